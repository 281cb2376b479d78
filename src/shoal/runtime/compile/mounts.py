"""The specification's mounts as steps. Pure."""

from __future__ import annotations

import re

from shoal.linux.mounts import MOUNT_ATTR_RDONLY, MS_PRIVATE, MS_SHARED
from shoal.oci.runtime_spec import IMAGE_TYPE, LATEST_OPTION, LAYER_OPTION, SUBPATH_OPTION, Mount
from shoal.runtime.compile.options import read_options
from shoal.runtime.compile.plan import HostFacts
from shoal.supervisor.steps.cgroup import MountCgroupV1, MountCgroupV2
from shoal.supervisor.steps.mounts import BindMount, BindSubpath, MountFilesystem, MountImage, ShareTree
from shoal.supervisor.steps.rootfs import HOST_MOUNTS, TakeTree, TakeTrees
from shoal.supervisor.steps.step import Step

# A path as another process sees it, for `--ipc container:ID`.
_SEEN_BY = re.compile(r"/proc/(\d+)/root(/.*)")


def namespace_of_binds(mounts: tuple[Mount, ...], path: str) -> tuple[tuple[str, str], ...]:
    """The namespace at `path` as one to be passed to the child, if a mount needs it."""
    return ((HOST_MOUNTS, path),) if path and any(LATEST_OPTION in mount.options for mount in mounts) else ()


def trees_before_cut(mounts: tuple[Mount, ...], *, latest: bool) -> list[Step]:
    """Steps that take mount trees of the host while they still are its peers.

    For `shared` binds; with `latest` for all whose sources have to be looked up where the host is now.
    """
    if latest:
        binds = [
            (m.source, _subpath(m), m.destination, read_options(m.options).recursive)
            for m in mounts
            if LATEST_OPTION in m.options
        ]
        return [TakeTrees(binds)] if binds else []
    steps: list[Step] = []
    for mount in mounts:
        words = read_options(mount.options)
        if mount.type == "bind" and words.propagation == MS_SHARED and not _SEEN_BY.fullmatch(mount.source):
            steps.append(TakeTree(mount.source, mount.destination, words.recursive))
    return steps


def trees_of_others(mounts: tuple[Mount, ...]) -> list[Step]:
    """Steps that take mount trees out of other containers; before the root is built."""
    steps: list[Step] = []
    for mount in mounts:
        seen = _SEEN_BY.fullmatch(mount.source)
        if mount.type == "bind" and seen:
            steps.append(ShareTree(int(seen[1]), seen[2], mount.destination))
    return steps


def mount_step(mount: Mount) -> Step:
    """The step of any mount but the cgroup one."""
    words = read_options(mount.options)
    subpath = _subpath(mount)
    if mount.type == IMAGE_TYPE:
        return MountImage(_values(mount, LAYER_OPTION), subpath, mount.destination)
    if mount.type == "bind" or "bind" in mount.options or "rbind" in mount.options:
        if subpath:
            return BindSubpath(mount.source, subpath, mount.destination, readonly=words.readonly)
        return BindMount(
            mount.source,
            mount.destination,
            recursive=words.recursive,
            readonly=words.readonly,
            propagation=words.propagation or MS_PRIVATE,
        )
    return MountFilesystem(
        mount.type,
        mount.destination,
        source=mount.source,
        options=list(words.data),
        attributes=words.attributes,
    )


def _subpath(mount: Mount) -> str:
    """The part of the source that is mounted; "" for all of it."""
    return next(iter(_values(mount, SUBPATH_OPTION)), "")


def _values(mount: Mount, option: str) -> list[str]:
    """What stands behind each `option`."""
    return [word.removeprefix(option) for word in mount.options if word.startswith(option)]


def cgroup_step(mount: Mount, host: HostFacts, cgroup_path: str, *, in_namespace: bool) -> Step:
    """The step that shows the container its cgroups, for this machine's layout."""
    readonly = bool(read_options(mount.options).attributes & MOUNT_ATTR_RDONLY)
    if host.cgroup_version == "v2":
        mount_point = host.hierarchies[0].mount_point if host.hierarchies else "/sys/fs/cgroup"
        return MountCgroupV2(mount.destination, mount_point, readonly, in_namespace)
    hierarchies = [
        (hierarchy.name, hierarchy.mount_point + cgroup_path, list(hierarchy.aliases)) for hierarchy in host.hierarchies
    ]
    return MountCgroupV1(mount.destination, hierarchies, readonly)
