"""From a `Launch` to the plan of a container's first process. Pure: golden files hold whole plans.

The order is the heart of it; every comment here says why something stands where it stands.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from shoal.errors import Internal
from shoal.linux.namespaces import FLAGS, OCI_NAMES
from shoal.oci.rootfs import OverlayRootfs
from shoal.oci.runtime_spec import Linux, Mount, Process, RuntimeSpec, resources_data
from shoal.runtime.compile.mounts import cgroup_step, mount_step, namespace_of_binds, trees_before_cut, trees_of_others
from shoal.runtime.compile.plan import HostFacts, Plan
from shoal.runtime.compile.process import limits_first, process_steps
from shoal.supervisor.steps.devices import MakeDevices, OpenConsole, TakeStdio
from shoal.supervisor.steps.namespaces import JoinNamespaces, JoinProcess, SetHostname, UnshareCgroup
from shoal.supervisor.steps.network import ConfigureInterface, WaitBarrier
from shoal.supervisor.steps.paths import MaskPaths, ReadonlyPaths, SetSysctls
from shoal.supervisor.steps.process import MakeWorkingDirectory
from shoal.supervisor.steps.rootfs import BindRoot, CutPropagation, MountOverlayRoot, Pivot, ReadonlyRoot
from shoal.supervisor.steps.step import Step

if TYPE_CHECKING:
    from shoal.runtime.driver import ExecLaunch, Launch

# Entered by the supervisor around the clone, because setns(2) changes it for children only.
_ENTERED_BY_SUPERVISOR = ("pid",)
# Unshared by the child itself, when it is in its cgroup.
_UNSHARED_LATE = ("cgroup",)


def compile_plan(launch: Launch, host: HostFacts) -> Plan:
    """The plan of a container.

    Raises: Internal for a specification without a process; KeyError for a kind of namespace that is none.
    """
    spec = launch.spec
    process, linux = spec.process, spec.linux
    if process is None or linux is None:
        raise Internal("the specification has no process or no Linux part")
    own, joins = _namespaces(linux)
    steps = [
        *limits_first(process),
        *_join_steps(joins),
        *trees_before_cut(spec.mounts, latest=bool(host.mount_namespace)),
        CutPropagation(),
        *trees_of_others(spec.mounts),
        root_step(launch, host),
        *_mount_steps(spec.mounts, linux, host, launch.cgroup_path, cgroup_namespace="cgroup" in own),
        *_name_steps(spec),
        MakeWorkingDirectory(process.cwd),
        Pivot(),
        *_stdio_steps(launch.terminal, launch.rows, launch.columns, process, bind=True),
        *_path_steps(spec, linux, _network_steps(launch, own)),
        *process_steps(process, spec, host),
    ]
    flags = 0
    for kind in own - set(_UNSHARED_LATE):
        flags |= FLAGS[kind]
    return Plan(
        steps=tuple(steps),
        clone_flags=flags,
        cgroup_path=launch.cgroup_path,
        joins=(*joins, *namespace_of_binds(spec.mounts, host.mount_namespace)),
        resources=resources_data(linux.resources),
    )


def compile_exec(request: ExecLaunch, host: HostFacts) -> Plan:
    """The plan of one more process in a running container, which joins it through its pidfd."""
    process = request.process
    steps = [
        # With the host's /proc, before we are in the container's hands.
        *limits_first(process),
        JoinProcess(),
        *_stdio_steps(request.terminal, request.rows, request.columns, process, bind=False),
        *process_steps(process, request.spec, host),
    ]
    return Plan(
        steps=tuple(steps),
        clone_flags=0,
        cgroup_path=request.cgroup_path,
        joins=(("process", str(request.pid)), ("pid", f"/proc/{request.pid}/ns/pid")),
    )


def _namespaces(linux: Linux) -> tuple[set[str], tuple[tuple[str, str], ...]]:
    """(kinds of new namespaces, (kind, path) of joined ones), kinds as in /proc/PID/ns."""
    own = {OCI_NAMES[namespace.type] for namespace in linux.namespaces if not namespace.path}
    joins = tuple((OCI_NAMES[namespace.type], namespace.path) for namespace in linux.namespaces if namespace.path)
    return own, joins


def _join_steps(joins: tuple[tuple[str, str], ...]) -> list[Step]:
    kinds = [kind for kind, _ in joins if kind not in _ENTERED_BY_SUPERVISOR]
    # The user namespace first: it decides about our rights in all others.
    kinds.sort(key=lambda kind: kind != "user")
    return [JoinNamespaces(kinds)] if kinds else []


def root_step(launch: Launch, host: HostFacts) -> Step:
    """The step that mounts the container's root."""
    rootfs = launch.rootfs
    if isinstance(rootfs, OverlayRootfs):
        return MountOverlayRoot(list(rootfs.lower), rootfs.upper, rootfs.work, host.rootfs_mount_point)
    return BindRoot(rootfs.path, host.rootfs_mount_point)


def _mount_steps(
    mounts: tuple[Mount, ...], linux: Linux, host: HostFacts, cgroup_path: str, *, cgroup_namespace: bool
) -> list[Step]:
    steps: list[Step] = []
    late: list[Step] = []
    for mount in mounts:
        if mount.type == "cgroup":
            # Shows the cgroup that we are in, so we have to be there; attaching a process to cgroups v1 takes
            # milliseconds, so everything else goes first, unless something is mounted on top of it.
            late = [WaitBarrier("cgroup"), *([UnshareCgroup()] if cgroup_namespace else [])]
            late.append(cgroup_step(mount, host, cgroup_path, in_namespace=cgroup_namespace))
            if any(other.destination.startswith(mount.destination + "/") for other in mounts):
                steps, late = [*steps, *late], []
        else:
            steps.append(mount_step(mount))
            if mount.destination == "/dev" and mount.type != "bind":
                # Right behind, because later mounts may lie in /dev. A /dev of the host is left as it is.
                steps.append(MakeDevices(_device_nodes(linux)))
    if cgroup_namespace and not any(mount.type == "cgroup" for mount in mounts):
        late = [WaitBarrier("cgroup"), UnshareCgroup()]
    return [*steps, *late]


def _device_nodes(linux: Linux) -> list[tuple[str, str, int, int, int, int, int]]:
    return [
        (
            device.path,
            device.type,
            device.major,
            device.minor,
            0o666 if device.file_mode is None else device.file_mode,
            device.uid or 0,
            device.gid or 0,
        )
        for device in linux.devices
    ]


def _name_steps(spec: RuntimeSpec) -> list[Step]:
    # While the host's /proc is there: the domain name goes through it.
    return [SetHostname(spec.hostname, spec.domainname)] if spec.hostname or spec.domainname else []


def _stdio_steps(terminal: bool, rows: int, columns: int, process: Process, *, bind: bool) -> list[Step]:
    if not terminal:
        return [TakeStdio()]
    size = process.console_size
    if size is not None and not (rows and columns):
        rows, columns = size.height, size.width
    return [OpenConsole(rows, columns, bind=bind)]


def _network_steps(launch: Launch, own: set[str]) -> list[Step]:
    if "net" not in own:
        return []  # another's network is another's to configure
    if not launch.interfaces:
        return [ConfigureInterface("lo", None, None)]
    configure = [
        ConfigureInterface(one.name, one.address, one.gateway, one.gateway_mac, one.address6, one.gateway6)
        for one in launch.interfaces
    ]
    return [WaitBarrier("network"), *configure]


def _path_steps(spec: RuntimeSpec, linux: Linux, network: list[Step]) -> list[Step]:
    """Parameters, read-only and hidden paths, and the network where it fits in."""
    steps: list[Step] = []
    if linux.sysctl:
        # Before /proc/sys is read-only.
        steps.append(SetSysctls(dict(linux.sysctl)))
    if spec.root is not None and spec.root.readonly:
        steps.append(ReadonlyRoot())
    if linux.readonly_paths:
        steps.append(ReadonlyPaths(list(linux.readonly_paths)))
    if linux.masked_paths:
        steps.append(MaskPaths(list(linux.masked_paths)))
    # The network is wired by shoald meanwhile, so we wait for it last; first only where a parameter of an
    # interface has to be set.
    if any(name.startswith("net.") and (".conf." in name or ".neigh." in name) for name in linux.sysctl):
        return [*network, *steps]
    return [*steps, *network]
