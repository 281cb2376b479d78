"""The notation of `-v SOURCE:TARGET[:MODE]`, and all that a request wants mounted. Pure.

Source: Docker API v1.50 HostConfig.Binds; error sentences as dockerd's.
"""

from __future__ import annotations

import posixpath

from shoal.api.host_config import HostConfig
from shoal.engine.specgen.mount_flags import requested_mount
from shoal.engine.specgen.requested import PROPAGATIONS, TARGET_IS_ROOT, RequestedMount, clean_target, tmpfs_options
from shoal.errors import InvalidArgument

_LABEL_MODES = ("z", "Z")
_COPY_MODES = ("nocopy",)
_CONSISTENCIES = ("consistent", "cached", "delegated", "default")


def requested_mounts(host: HostConfig) -> tuple[RequestedMount, ...]:
    """All mounts that the request names (`-v`, `--mount`, `--tmpfs`), checked, in the order of mounting.

    Raises: InvalidArgument in Docker's words, `Duplicate mount point: …` among them.
    """
    found = [parse_bind(text) for text in host.binds]
    found += [requested_mount(mount) for mount in host.mounts]
    found += [_parse_tmpfs(target, options) for target, options in host.tmpfs.items()]
    seen: set[str] = set()
    for mount in found:
        if mount.target in seen:
            raise InvalidArgument(f"Duplicate mount point: {mount.target}")
        seen.add(mount.target)
    # A parent before what lies in it, or it would hide it.
    return tuple(sorted(found, key=lambda mount: (mount.target.count("/"), mount.target)))


def _parse_tmpfs(target: str, options: str) -> RequestedMount:
    if not target.startswith("/"):
        raise InvalidArgument(f"invalid mount path: '{target}' mount path must be absolute")
    if clean_target(target) == "/":
        raise InvalidArgument(TARGET_IS_ROOT)
    return RequestedMount(kind="tmpfs", source="tmpfs", target=clean_target(target), options=tmpfs_options(options))


def parse_bind(text: str) -> RequestedMount:
    """What one `-v` argument means. Raises: InvalidArgument `invalid volume specification: '…'`."""
    parts = text.split(":")
    # "/place:ro" is refused, as Docker does: a volume without a source has no mode.
    if len(parts) > 3 or not parts[0] or (len(parts) == 2 and _is_mode(parts[1])):
        raise InvalidArgument(f"invalid volume specification: '{text}'", fix="write [SOURCE:]TARGET[:MODE]")
    if len(parts) == 1:
        parts.insert(0, "")
    source, target, mode = (*parts, "")[:3]
    if mode and not _is_mode(mode):
        raise InvalidArgument(f"invalid mode: {mode}", fix="use ro, rw, z, Z, or a propagation such as rshared")
    words = [word for word in mode.split(",") if word]
    is_bind = source.startswith("/")
    _check_bind_text(text, target, words, "bind" if is_bind else "volume")
    return RequestedMount(
        kind="bind" if is_bind else "volume",
        source=posixpath.normpath(source) if is_bind else source,
        target=clean_target(target),
        read_only="recursive" if "ro" in words or "rro" in words else "no",
        propagation=next((word for word in words if word in PROPAGATIONS), "rprivate" if is_bind else ""),
        create_source=is_bind,
        mode=mode,
        no_copy="nocopy" in words,
    )


def _check_bind_text(text: str, target: str, words: list[str], kind: str) -> None:
    """Raises: InvalidArgument for what a mount of this kind cannot have."""
    if not target:
        problem = "field Target must not be empty"
    elif target.startswith("/") and clean_target(target) == "/":
        problem = TARGET_IS_ROOT
    elif not target.startswith("/"):
        problem = f"invalid mount path: '{target}' mount path must be absolute"
    elif kind == "bind" and set(words) & set(_COPY_MODES):
        problem = "field VolumeOptions must not be specified"
    elif kind == "volume" and set(words) & set(PROPAGATIONS):
        problem = "field BindOptions must not be specified"
    else:
        return
    raise InvalidArgument(
        f"invalid volume specification: '{text}'", why=f'invalid mount config for type "{kind}": {problem}'
    )


def _is_mode(text: str) -> bool:
    """Whether the text is a mode: no word twice from one kind, and no word of no kind."""
    kinds: list[str] = []
    for word in text.split(","):
        if word in ("ro", "rro", "rw"):
            kinds.append("access")
        elif word in PROPAGATIONS:
            kinds.append("propagation")
        elif word in _LABEL_MODES:
            kinds.append("label")
        elif word in _COPY_MODES:
            kinds.append("copy")
        elif word in _CONSISTENCIES:
            kinds.append("consistency")
        else:
            return False
    return len(set(kinds)) == len(kinds)
