"""mount(8) words, as the specification's mounts have them, sorted into what the kernel takes where. Pure."""

from __future__ import annotations

from typing import NamedTuple

from shoal.linux.mounts import (
    MOUNT_ATTR_NOATIME,
    MOUNT_ATTR_NODEV,
    MOUNT_ATTR_NODIRATIME,
    MOUNT_ATTR_NOEXEC,
    MOUNT_ATTR_NOSUID,
    MOUNT_ATTR_NOSYMFOLLOW,
    MOUNT_ATTR_RDONLY,
    MOUNT_ATTR_STRICTATIME,
    MS_PRIVATE,
    MS_SHARED,
    MS_SLAVE,
    MS_UNBINDABLE,
)
from shoal.oci.runtime_spec import LATEST_OPTION

_ATTRIBUTES = {
    "ro": MOUNT_ATTR_RDONLY,
    "nosuid": MOUNT_ATTR_NOSUID,
    "nodev": MOUNT_ATTR_NODEV,
    "noexec": MOUNT_ATTR_NOEXEC,
    "noatime": MOUNT_ATTR_NOATIME,
    "strictatime": MOUNT_ATTR_STRICTATIME,
    "nodiratime": MOUNT_ATTR_NODIRATIME,
    "nosymfollow": MOUNT_ATTR_NOSYMFOLLOW,
}
_CLEARED = {
    "rw": MOUNT_ATTR_RDONLY,
    "suid": MOUNT_ATTR_NOSUID,
    "dev": MOUNT_ATTR_NODEV,
    "exec": MOUNT_ATTR_NOEXEC,
    "atime": MOUNT_ATTR_NOATIME,
    "diratime": MOUNT_ATTR_NODIRATIME,
    "relatime": MOUNT_ATTR_NOATIME | MOUNT_ATTR_STRICTATIME,
    "nostrictatime": MOUNT_ATTR_STRICTATIME,
    "symfollow": MOUNT_ATTR_NOSYMFOLLOW,
}
_PROPAGATIONS = {
    "private": MS_PRIVATE,
    "rprivate": MS_PRIVATE,
    "slave": MS_SLAVE,
    "rslave": MS_SLAVE,
    "shared": MS_SHARED,
    "rshared": MS_SHARED,
    "unbindable": MS_UNBINDABLE,
    "runbindable": MS_UNBINDABLE,
}
# The same for a mount with all that is mounted below it: "rro", "rnosuid", …
_TREE_ATTRIBUTES = {f"r{word}": attribute for word, attribute in _ATTRIBUTES.items()}
_TREE_CLEARED = {f"r{word}": attribute for word, attribute in _CLEARED.items() if word not in ("nostrictatime",)}
# Said by other words, or the kernel's default, or of no meaning for the file systems mounted here.
_SKIPPED = frozenset(("bind", "rbind", "defaults", "norelatime", "async", "nomand", "mand", "nocopy", LATEST_OPTION))
_COPY_UP = "tmpcopyup"
_ID_MAPS = ("idmap", "ridmap")

# What `mountOptions` of an OCI runtime's features names.
KNOWN_OPTIONS = tuple(
    sorted(
        {
            *_ATTRIBUTES,
            *_CLEARED,
            *_TREE_ATTRIBUTES,
            *_TREE_CLEARED,
            *_PROPAGATIONS,
            *("bind", "rbind", "defaults", "norelatime"),
            *_ID_MAPS,
            _COPY_UP,
        }
    )
)


class MountWords(NamedTuple):
    """`attributes` are MOUNT_ATTR_*, `propagation` an MS_* flag or 0, `data` the file system's own options.

    `cleared` are the attributes that words take away; `tree` and `tree_cleared` the same for all below the mount as
    well. `id_map` is "", "idmap" or "ridmap".
    """

    attributes: int
    propagation: int
    data: tuple[str, ...]
    recursive: bool
    readonly: str
    cleared: int = 0
    tree: int = 0
    tree_cleared: int = 0
    propagation_recursive: bool = False
    id_map: str = ""
    copy_up: bool = False


def read_options(options: tuple[str, ...]) -> MountWords:
    """The words sorted; of contradicting ones the later wins, as with mount(8)."""
    attributes = cleared = tree = tree_cleared = propagation = 0
    data = []
    for word in options:
        if word in _ATTRIBUTES:
            attributes |= _ATTRIBUTES[word]
            cleared &= ~_ATTRIBUTES[word]
        elif word in _CLEARED:
            attributes &= ~_CLEARED[word]
            cleared |= _CLEARED[word]
        elif word in _PROPAGATIONS:
            propagation = _PROPAGATIONS[word]
        elif word in _TREE_ATTRIBUTES:
            tree |= _TREE_ATTRIBUTES[word]
            tree_cleared &= ~_TREE_ATTRIBUTES[word]
        elif word in _TREE_CLEARED:
            tree &= ~_TREE_CLEARED[word]
            tree_cleared |= _TREE_CLEARED[word]
        elif word not in _SKIPPED and word not in _ID_MAPS and word != _COPY_UP:
            data.append(word)
    whole = tree & MOUNT_ATTR_RDONLY
    readonly = "recursive" if whole else "mount" if attributes & MOUNT_ATTR_RDONLY else "no"
    return MountWords(
        attributes,
        propagation,
        tuple(data),
        "rbind" in options,
        readonly,
        cleared=cleared,
        tree=tree,
        tree_cleared=tree_cleared,
        propagation_recursive=any(word.startswith("r") and word in _PROPAGATIONS for word in options),
        id_map=next((word for word in options if word in _ID_MAPS), ""),
        copy_up=_COPY_UP in options,
    )
