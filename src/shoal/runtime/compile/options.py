"""mount(8) words, as the specification's mounts have them, sorted into what the kernel takes where. Pure."""

from __future__ import annotations

from dataclasses import dataclass

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
# Said by other words, or the kernel's default, or of no meaning for the file systems mounted here.
_SKIPPED = frozenset(
    ("bind", "rbind", "defaults", "norelatime", "async", "nomand", "mand", "rro", "nocopy", LATEST_OPTION)
)


@dataclass(frozen=True, slots=True)
class MountWords:
    """`attributes` are MOUNT_ATTR_*, `propagation` an MS_* flag or 0, `data` the file system's own options."""

    attributes: int
    propagation: int
    data: tuple[str, ...]
    recursive: bool
    readonly: str


def read_options(options: tuple[str, ...]) -> MountWords:
    """The words sorted; of contradicting ones the later wins, as with mount(8)."""
    attributes = 0
    propagation = 0
    data = []
    for word in options:
        if word in _ATTRIBUTES:
            attributes |= _ATTRIBUTES[word]
        elif word in _CLEARED:
            attributes &= ~_CLEARED[word]
        elif word in _PROPAGATIONS:
            propagation = _PROPAGATIONS[word]
        elif word not in _SKIPPED:
            data.append(word)
    readonly = "recursive" if "rro" in options else "mount" if attributes & MOUNT_ATTR_RDONLY else "no"
    return MountWords(attributes, propagation, tuple(data), "rbind" in options, readonly)
