"""The notation of `-v SOURCE:TARGET[:MODE]`, and what a mount asked for either way comes to. Pure.

Source: Docker API v1.50 HostConfig.Binds and HostConfig.Mounts; error sentences as dockerd's.
"""

from __future__ import annotations

import posixpath
from typing import Literal

import msgspec

from shoal.api.host_config import HostConfig, VolumeDriverConfig, VolumeOptions
from shoal.api.host_config import Mount as MountRequest
from shoal.errors import InvalidArgument

_PROPAGATIONS = ("private", "rprivate", "shared", "rshared", "slave", "rslave")
_LABEL_MODES = ("z", "Z")
_COPY_MODES = ("nocopy",)
_CONSISTENCIES = ("consistent", "cached", "delegated", "default")

ReadOnly = Literal["no", "mount", "recursive"]


class RequestedMount(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One mount of the request, checked.

    `kind` is bind (source: a path of the host), volume (source: its name, "" for an anonymous one) or tmpfs.
    A volume that the engine has resolved has its name in `volume`, its directory in `source`; `anonymous` ones go
    with their container. `subpath` is the part of a volume that is mounted.
    `create_source` says that a missing source becomes a directory, as with `-v`. `mode` is the `-v` notation's
    third part, for `inspect`.
    """

    kind: Literal["bind", "volume", "tmpfs"]
    source: str
    target: str
    read_only: ReadOnly = "no"
    propagation: str = "rprivate"
    recursive: bool = True
    create_source: bool = False
    mode: str = ""
    options: tuple[str, ...] = ()
    no_copy: bool = False
    volume: str = ""
    anonymous: bool = False
    subpath: str = ""
    driver: str = ""
    driver_options: dict[str, str] = {}
    labels: dict[str, str] = {}


def requested_mounts(host: HostConfig) -> tuple[RequestedMount, ...]:
    """All mounts that the request names (`-v`, `--mount`, `--tmpfs`), checked, in the order of mounting.

    Raises: InvalidArgument in Docker's words, `Duplicate mount point: …` among them.
    """
    found = [parse_bind(text) for text in host.binds]
    found += [_from_request(mount) for mount in host.mounts]
    found += [
        RequestedMount(kind="tmpfs", source="tmpfs", target=clean_target(target), options=tmpfs_options(options))
        for target, options in host.tmpfs.items()
    ]
    seen: set[str] = set()
    for mount in found:
        if mount.target in seen:
            raise InvalidArgument(f"Duplicate mount point: {mount.target}")
        seen.add(mount.target)
    # A parent before what lies in it, or it would hide it.
    return tuple(sorted(found, key=lambda mount: (mount.target.count("/"), mount.target)))


def parse_bind(text: str) -> RequestedMount:
    """What one `-v` argument means. Raises: InvalidArgument `invalid volume specification: '…'`."""
    parts = text.split(":")
    if len(parts) == 1:
        source, target, mode = "", parts[0], ""
    elif len(parts) == 2 and _is_mode(parts[1]):
        source, target, mode = "", parts[0], parts[1]
    elif len(parts) in (2, 3):
        source, target, mode = parts[0], parts[1], parts[2] if len(parts) == 3 else ""
    else:
        raise InvalidArgument(f"invalid volume specification: '{text}'")
    if not target or (len(parts) > 1 and not source and not _is_mode(parts[1])):
        raise InvalidArgument(f"invalid volume specification: '{text}'", why="empty section between colons")
    if len(parts) == 3 and not _is_mode(mode):
        raise InvalidArgument(f"invalid mode: {mode}", fix="use ro, rw, z, Z, or a propagation such as rshared")
    _check_target(target, text)
    words = [word for word in mode.split(",") if word]
    is_bind = source.startswith("/")
    return RequestedMount(
        kind="bind" if is_bind else "volume",
        source=posixpath.normpath(source) if is_bind else source,
        target=clean_target(target),
        read_only="recursive" if "ro" in words or "rro" in words else "no",
        propagation=next((word for word in words if word in _PROPAGATIONS), "rprivate" if is_bind else ""),
        create_source=is_bind,
        mode=mode,
        no_copy="nocopy" in words,
    )


def tmpfs_options(text: str) -> tuple[str, ...]:
    """The mount options of `--tmpfs TARGET:TEXT`: Docker's defaults, then the text's, the later word winning.

    Raises: InvalidArgument for an option that tmpfs or Docker does not know.
    """
    options: dict[str, str] = {"exec": "noexec", "suid": "nosuid", "dev": "nodev"}
    for word in (word for word in text.split(",") if word):
        key, equals, value = word.partition("=")
        if equals:
            if key not in ("mode", "size", "uid", "gid", "nr_inodes", "nr_blocks", "mpol") or not value:
                raise InvalidArgument(f'Invalid tmpfs option "{word}"')
            options[key] = word
        elif word in ("ro", "rw"):
            options["rw"] = word
        elif word in _FLAGS:
            options[word.removeprefix("no")] = word
        elif word != "defaults" and word not in _PROPAGATIONS:
            raise InvalidArgument(f'Invalid tmpfs option "{word}"')
    return tuple(options.values())


_FLAGS = frozenset(
    [
        "atime",
        "noatime",
        "diratime",
        "nodiratime",
        "dev",
        "nodev",
        "exec",
        "noexec",
        "suid",
        "nosuid",
        "relatime",
        "norelatime",
        "strictatime",
        "nostrictatime",
        "sync",
        "async",
        "dirsync",
        "mand",
        "nomand",
    ]
)


def _from_request(mount: MountRequest) -> RequestedMount:
    _check_request(mount)
    target = clean_target(mount.target)
    if mount.type == "tmpfs":
        return RequestedMount(kind="tmpfs", source="tmpfs", target=target, options=_tmpfs_request_options(mount))
    if mount.type == "volume":
        return _volume_from_request(mount, target)
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


def _volume_from_request(mount: MountRequest, target: str) -> RequestedMount:
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


def _tmpfs_request_options(mount: MountRequest) -> tuple[str, ...]:
    words = ["ro"] if mount.read_only else []
    wanted = mount.tmpfs_options
    if wanted:
        if wanted.mode:
            words.append(f"mode={wanted.mode:o}")
        if wanted.size_bytes:
            words.append(f"size={wanted.size_bytes}")
        words += ["=".join(option) for option in wanted.options]
    return tmpfs_options(",".join(words))


def _check_request(mount: MountRequest) -> None:
    def refuse(why: str) -> InvalidArgument:
        return InvalidArgument(f'invalid mount config for type "{mount.type}": {why}')

    if mount.type not in ("bind", "volume", "tmpfs"):
        raise InvalidArgument(f'mount type unknown: "{mount.type}"')
    if not mount.target:
        raise refuse("field Target must not be empty")
    if posixpath.normpath(mount.target) == "/":
        raise refuse("invalid specification: destination can't be '/'")
    if not mount.target.startswith("/"):
        raise refuse(f"invalid mount path: '{mount.target}' mount path must be absolute")
    if mount.type == "bind":
        if not mount.source:
            raise refuse("field Source must not be empty")
        if not mount.source.startswith("/"):
            raise refuse(f"invalid mount path: '{mount.source}' mount path must be absolute")
        propagation = mount.bind_options.propagation if mount.bind_options else ""
        if propagation and propagation not in _PROPAGATIONS:
            raise refuse(f"invalid propagation mode: {propagation}")
        if mount.bind_options and mount.bind_options.read_only_force_recursive and not mount.read_only:
            raise refuse("mount source must be read-only for ReadOnlyForceRecursive")
        if mount.volume_options:
            raise refuse("field VolumeOptions must not be specified")
    if mount.type == "volume" and mount.volume_options and mount.volume_options.subpath:
        if not mount.source:
            raise refuse("must not set Subpath when using anonymous volumes")
        if not _is_local(mount.volume_options.subpath):
            raise refuse("subpath must be a relative path within the volume")
    if mount.type == "tmpfs" and mount.source:
        raise refuse("field Source must not be specified")
    if mount.type != "bind" and mount.bind_options:
        raise refuse("field BindOptions must not be specified")


def _is_local(path: str) -> bool:
    """Whether the path stays, by its words alone, below where it begins."""
    return not path.startswith("/") and posixpath.normpath(path).split("/")[0] != ".."


def _check_target(target: str, text: str) -> None:
    if not target.startswith("/"):
        raise InvalidArgument(
            f"invalid volume specification: '{text}'",
            why=f"invalid mount config for type \"volume\": invalid mount path: '{target}' mount path must be absolute",
        )
    if clean_target(target) == "/":
        raise InvalidArgument(
            f"invalid volume specification: '{text}'", why="invalid specification: destination can't be '/'"
        )


def _is_mode(text: str) -> bool:
    """Whether the text is a mode: no word twice from one kind, and no word of no kind."""
    kinds: list[str] = []
    for word in text.split(","):
        if word in ("ro", "rro", "rw"):
            kinds.append("access")
        elif word in _PROPAGATIONS:
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


def clean_target(target: str) -> str:
    """The absolute path without `.`, `..` and doubled slashes; POSIX lets normpath keep two leading ones."""
    return "/" + posixpath.normpath(target).lstrip("/")
