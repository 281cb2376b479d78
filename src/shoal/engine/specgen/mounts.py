"""The mounts of a container, in the order in which they are made: Docker's own, then the request's. Pure."""

from __future__ import annotations

from shoal.api.host_config import HostConfig
from shoal.engine.specgen.binds import requested_mounts
from shoal.engine.specgen.facts import ContainerFacts, DaemonDefaults
from shoal.engine.specgen.namespaces import Modes
from shoal.engine.specgen.process import INIT_DESTINATION
from shoal.engine.specgen.requested import RequestedMount
from shoal.engine.specgen.security import read_security_options
from shoal.errors import Internal
from shoal.oci.runtime_spec import IMAGE_TYPE, LATEST_OPTION, LAYER_OPTION, SUBPATH_OPTION, Mount

_SAFE = ("nosuid", "noexec", "nodev")
# The system's own places in a read-only container stay as they are.
_NOT_MADE_READ_ONLY = ("/proc", "/dev", "/dev/pts", "/dev/shm", "/dev/mqueue")


def container_mounts(
    host: HostConfig, facts: ContainerFacts, defaults: DaemonDefaults, modes: Modes, *, init: bool
) -> tuple[Mount, ...]:
    """Every mount of the container but its root, parents first.

    A mount of the request takes the place of a default one with the same destination.
    """
    requested = _all_requested(host, facts)
    taken = {mount.target for mount in requested}
    system = _system_mounts(host, facts, defaults, modes)
    if "/dev" in taken:
        # Who brings a /dev of their own gets it as it is: what we mounted in ours would be hidden anyway.
        system = [mount for mount in system if not mount.destination.startswith("/dev/")]
    files = _file_mounts(facts)
    if init:
        files.append(_bind(defaults.init_path, INIT_DESTINATION, "ro"))
    system, files = (
        [_made_read_only(mount) if host.readonly_rootfs else mount for mount in own if mount.destination not in taken]
        for own in (system, files)
    )
    # A parent before what lies in it, or it would hide it: /etc of the request before our /etc/hosts.
    others = [*files, *(_requested(mount) for mount in requested)]
    others.sort(key=lambda mount: (mount.destination.count("/"), mount.destination))
    return (*system, *others)


def _system_mounts(host: HostConfig, facts: ContainerFacts, defaults: DaemonDefaults, modes: Modes) -> list[Mount]:
    # A privileged container may write to /sys and its cgroups, unless all of it is to be read-only.
    access = () if host.privileged and not host.readonly_rootfs else ("ro",)
    writable_cgroups = read_security_options(host.security_opt).writable_cgroups
    cgroup_access = access if writable_cgroups is None else () if writable_cgroups else ("ro",)
    dev_options = ("nosuid", "strictatime", "mode=755", "size=65536k")
    pts_options = ("nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5")
    mounts = [
        Mount(destination="/proc", type="proc", source="proc", options=_SAFE),
        Mount(destination="/dev", type="tmpfs", source="tmpfs", options=dev_options),
        Mount(destination="/dev/pts", type="devpts", source="devpts", options=pts_options),
        Mount(destination="/sys", type="sysfs", source="sysfs", options=(*_SAFE, *access)),
        Mount(destination="/sys/fs/cgroup", type="cgroup", source="cgroup", options=(*_SAFE, *cgroup_access)),
    ]
    # The instance of the IPC namespace: with the host's, the host's queues.
    mounts.append(Mount(destination="/dev/mqueue", type="mqueue", source="mqueue", options=_SAFE))
    if modes.ipc == "host":
        mounts.append(_bind("/dev/shm", "/dev/shm"))
    elif modes.ipc == "container":
        # The other container's own memory file system; the plan takes it from its mount namespace.
        source = f"/proc/{facts.ipc_pid}/root/dev/shm"
        mounts.append(Mount(destination="/dev/shm", type="bind", source=source, options=("bind", "rprivate")))
    elif modes.ipc != "none":
        size = host.shm_size or defaults.shm_size_bytes
        options = (*_SAFE, "mode=1777", f"size={size}")
        mounts.append(Mount(destination="/dev/shm", type="tmpfs", source="shm", options=options))
    return mounts


def _file_mounts(facts: ContainerFacts) -> list[Mount]:
    files = (
        (facts.resolv_conf_path, "/etc/resolv.conf"),
        (facts.hostname_path, "/etc/hostname"),
        (facts.hosts_path, "/etc/hosts"),
    )
    return [_bind(source, target) for source, target in files if source]


def _all_requested(host: HostConfig, facts: ContainerFacts) -> tuple[RequestedMount, ...]:
    """The mounts of the request, its volumes as the engine resolved them, and those that came from elsewhere."""
    resolved = {mount.target for mount in facts.mounts}
    return (*(mount for mount in requested_mounts(host) if mount.target not in resolved), *facts.mounts)


def _requested(mount: RequestedMount) -> Mount:
    if mount.kind == "tmpfs":
        return Mount(destination=mount.target, type="tmpfs", source="tmpfs", options=mount.options)
    if mount.kind == "volume" and not mount.volume:
        raise Internal(f"volume for {mount.target} was not resolved", why="the engine gave no directory for it")
    if mount.kind == "image":
        return _image(mount)
    access = {"no": "rw", "mount": "ro", "recursive": "rro"}[mount.read_only]
    kind = "rbind" if mount.recursive else "bind"
    part = (f"{SUBPATH_OPTION}{mount.subpath}",) if mount.subpath else ()
    options = (kind, access, mount.propagation or "rprivate", *part, LATEST_OPTION)
    return Mount(destination=mount.target, type="bind", source=mount.source, options=options)


def _image(mount: RequestedMount) -> Mount:
    part = (f"{SUBPATH_OPTION}{mount.subpath}",) if mount.subpath else ()
    layers = tuple(f"{LAYER_OPTION}{layer}" for layer in mount.layers)
    return Mount(destination=mount.target, type=IMAGE_TYPE, source=mount.volume, options=("ro", *part, *layers))


def _bind(source: str, target: str, access: str = "rw") -> Mount:
    return Mount(destination=target, type="bind", source=source, options=("rbind", access, "rprivate"))


def _made_read_only(mount: Mount) -> Mount:
    if mount.destination in _NOT_MADE_READ_ONLY or "ro" in mount.options:
        return mount
    options = (*(word for word in mount.options if word != "rw"), "ro")
    return Mount(destination=mount.destination, type=mount.type, source=mount.source, options=options)
