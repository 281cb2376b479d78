"""What `--mount type=…` asks for: HostConfig.Mounts checked. Pure.

Source: Docker API v1.50 HostConfig.Mounts; error sentences as dockerd's.
"""

from __future__ import annotations

import posixpath

from shoal.api.host_config import Mount, VolumeDriverConfig, VolumeOptions
from shoal.engine.specgen.requested import (
    PROPAGATIONS,
    TARGET_IS_ROOT,
    ReadOnly,
    RequestedMount,
    clean_target,
    tmpfs_options,
)
from shoal.errors import InvalidArgument

# Which options belong to which type.
_OPTIONS = {
    "bind": ("BindOptions", "bind_options"),
    "volume": ("VolumeOptions", "volume_options"),
    "image": ("ImageOptions", "image_options"),
    "tmpfs": ("TmpfsOptions", "tmpfs_options"),
}


def requested_mount(mount: Mount) -> RequestedMount:
    """The mount that was asked for. Raises: InvalidArgument `invalid mount config for type \"…\": …`."""
    if problem := _problem_of(mount):
        raise InvalidArgument(f'invalid mount config for type "{mount.type}": {problem}')
    target = clean_target(mount.target)
    if mount.type == "tmpfs":
        access: ReadOnly = "mount" if mount.read_only else "no"
        return RequestedMount(
            kind="tmpfs", source="tmpfs", target=target, options=_tmpfs_words(mount), read_only=access, propagation=""
        )
    if mount.type == "volume":
        return _volume(mount, target)
    if mount.type == "image":
        part = mount.image_options.subpath if mount.image_options else ""
        return RequestedMount(kind="image", source=mount.source, target=target, read_only="recursive", subpath=part)
    bind = mount.bind_options
    shallow = bind is not None and bind.read_only_non_recursive
    return RequestedMount(
        kind="bind",
        source=posixpath.normpath(mount.source),
        target=target,
        read_only=("mount" if shallow else "recursive") if mount.read_only else "no",
        propagation=(bind.propagation if bind else "") or "rprivate",
        recursive=not (bind and bind.non_recursive),
        create_source=bind is not None and bind.create_mountpoint,
    )


def _volume(mount: Mount, target: str) -> RequestedMount:
    volume = mount.volume_options or VolumeOptions()
    driver = volume.driver_config or VolumeDriverConfig()
    return RequestedMount(
        kind="volume",
        source=mount.source,
        target=target,
        read_only="recursive" if mount.read_only else "no",
        propagation="",
        no_copy=volume.no_copy,
        subpath=volume.subpath,
        driver=driver.name,
        driver_options=driver.options,
        labels=volume.labels,
    )


def _tmpfs_words(mount: Mount) -> tuple[str, ...]:
    words = ["ro"] if mount.read_only else []
    wanted = mount.tmpfs_options
    if wanted:
        if wanted.mode:
            words.append(f"mode={wanted.mode:o}")
        if wanted.size_bytes:
            words.append(f"size={wanted.size_bytes}")
        words += ["=".join(option) for option in wanted.options]
    return tmpfs_options(",".join(words))


def _problem_of(mount: Mount) -> str:
    """What is wrong with the mount, in Docker's words; "" for nothing."""
    if mount.type not in _OPTIONS:
        return "mount type unknown"
    if not mount.target:
        return "field Target must not be empty"
    if posixpath.normpath(mount.target) == "/":
        return TARGET_IS_ROOT
    if not mount.target.startswith("/"):
        return f"invalid mount path: '{mount.target}' mount path must be absolute"
    for kind, (field, attribute) in _OPTIONS.items():
        if kind != mount.type and getattr(mount, attribute) is not None:
            return f"field {field} must not be specified"
    if mount.type == "bind":
        return _problem_of_bind(mount)
    if mount.type == "volume":
        return _problem_of_volume(mount)
    if mount.type == "image":
        return _problem_of_image(mount)
    return "field Source must not be specified" if mount.source else ""


def _problem_of_bind(mount: Mount) -> str:
    if not mount.source:
        return "field Source must not be empty"
    options = mount.bind_options
    if options and options.propagation and options.propagation not in PROPAGATIONS:
        return f"invalid propagation mode: {options.propagation}"
    if options and options.read_only_force_recursive and not mount.read_only:
        return "mount source must be read-only for ReadOnlyForceRecursive"
    if options and options.read_only_force_recursive and (options.non_recursive or options.read_only_non_recursive):
        return "ReadOnlyForceRecursive conflicts with NonRecursive and ReadOnlyNonRecursive"
    if not mount.source.startswith("/"):
        return f"invalid mount path: '{mount.source}' mount path must be absolute"
    return ""


def _problem_of_volume(mount: Mount) -> str:
    subpath = mount.volume_options.subpath if mount.volume_options else ""
    if subpath and not mount.source:
        return "must not set Subpath when using anonymous volumes"
    if not _is_local(subpath):
        return "subpath must be a relative path within the volume"
    if mount.read_only and not mount.source:
        return "must not set ReadOnly mode when using anonymous volumes"
    return ""


def _problem_of_image(mount: Mount) -> str:
    if not mount.source:
        return "field Source must not be empty"
    if mount.image_options and not _is_local(mount.image_options.subpath):
        return "subpath must be a relative path within the image"
    return ""


def _is_local(path: str) -> bool:
    """Whether the path stays, by its words alone, below where it begins."""
    return not path.startswith("/") and posixpath.normpath(path).split("/")[0] != ".."
