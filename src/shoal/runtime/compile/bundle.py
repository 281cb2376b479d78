"""From an OCI bundle to the plan of its first process, and of one that joins it. Pure: golden files hold whole plans.

What an engine decided before its launch (`container`), a bundle decides in its `config.json`, with more freedom: hooks,
user namespaces, every mount option. The order is the specification's lifecycle:

    namespaces, mounts ─▶ barrier "hooks": prestart, createRuntime (outside) ─▶ createContainer (inside)
    ─▶ pivot_root, limits, user ─▶ barrier "start": `create` is done, `start` is awaited ─▶ startContainer ─▶ execve

OCI runtime-spec v1.3, runtime.md §Lifecycle.
"""

from __future__ import annotations

from typing import NamedTuple

from shoal.linux.mounts import MS_PRIVATE, MS_REC, MS_SHARED, MS_SLAVE, MS_UNBINDABLE
from shoal.linux.namespaces import FLAGS, OCI_NAMES
from shoal.oci.runtime_spec import Hook, Linux, Mount, RuntimeSpec, resources_data
from shoal.runtime.compile.bundle_mounts import bundle_mount_step
from shoal.runtime.compile.bundle_process import BundleProcess, bundle_process_steps
from shoal.runtime.compile.mounts import cgroup_step, trees_before_cut
from shoal.runtime.compile.plan import HostFacts, Plan
from shoal.supervisor.steps.bundle_root import BindBundleRoot, MoveRoot, SetPropagation
from shoal.supervisor.steps.devices import MakeDevices, OpenConsole, TakeStdio
from shoal.supervisor.steps.hooks import RunHooks
from shoal.supervisor.steps.identity import BecomeRoot, EnterContainer
from shoal.supervisor.steps.namespaces import JoinNamespaces, SetHostname, UnshareCgroup
from shoal.supervisor.steps.network import ConfigureInterface, WaitBarrier
from shoal.supervisor.steps.paths import MaskPaths, ReadonlyPaths, SetSysctls
from shoal.supervisor.steps.process import MakeWorkingDirectory, SetOomScore
from shoal.supervisor.steps.rootfs import Pivot, ReadonlyRoot
from shoal.supervisor.steps.step import Step

PROPAGATIONS = {
    "shared": MS_SHARED,
    "slave": MS_SLAVE,
    "private": MS_PRIVATE,
    "unbindable": MS_UNBINDABLE,
    "rshared": MS_SHARED | MS_REC,
    "rslave": MS_SLAVE | MS_REC,
    "rprivate": MS_PRIVATE | MS_REC,
    "runbindable": MS_UNBINDABLE | MS_REC,
}
# What every container may do with devices, whatever its own list says: make nodes, and use the default devices, the
# terminals of its own devpts, and /dev/net/tun no more than the list allows. OCI runtime-spec §Default Devices.
_DENY_ALL: dict[str, object] = {"allow": False, "access": "rwm"}
_DEFAULT_DEVICES = (
    ("c", None, None, "m"),
    ("b", None, None, "m"),
    *(("c", 1, minor, "rwm") for minor in (3, 5, 7, 8, 9)),
)
_TERMINALS = (("c", 5, 0, "rwm"), ("c", 5, 2, "rwm"), ("c", 136, None, "rwm"))


class Bundle(NamedTuple):
    """What is to be compiled: the specification with its paths made absolute, and what the command line adds.

    `rootfs` is the real path of the root file system; `state` the container's state as JSON, with `RunHooks.PID` where
    the pid goes, keyed by status.
    """

    spec: RuntimeSpec
    rootfs: str
    cgroup_path: str
    state: dict[str, str]
    pivot: bool = True
    new_keyring: bool = True


def compile_bundle(bundle: Bundle, host: HostFacts) -> Plan:
    """The plan of a container's first process; the bundle is valid (`check` in the runtime's own room)."""
    spec = bundle.spec
    process, linux = spec.process, spec.linux or Linux()
    assert process is not None
    own, joins = _namespaces(linux)
    in_user_namespace = "user" in own or any(kind == "user" for kind, _ in joins)
    hooks = spec.hooks
    steps: list[Step] = [
        *_first_steps(bundle, own, joins, in_user_namespace=in_user_namespace),
        *_root_steps(bundle, linux),
        *_mount_steps(spec.mounts, linux, host, bundle.cgroup_path, cgroup_namespace="cgroup" in own),
        *([SetHostname(spec.hostname, spec.domainname)] if spec.hostname or spec.domainname else []),
        WaitBarrier("hooks"),
        *([run_hooks("createContainer", hooks.create_container, bundle.state["creating"])] if hooks else []),
        MakeWorkingDirectory(process.cwd),
        Pivot() if bundle.pivot else MoveRoot(),
        *_after_pivot(linux),
        *_stdio_steps(spec, bind=True),
        *_path_steps(spec, linux, loopback="net" in own),
        *bundle_process_steps(
            BundleProcess(
                process,
                linux,
                new_keyring=bundle.new_keyring,
                limits="user" not in own,
                awaits_start=True,
                at_start=[run_hooks("startContainer", hooks.start_container, bundle.state["created"])] if hooks else [],
            ),
            host,
        ),
    ]
    flags = 0
    for kind in own - {"cgroup", "time"}:
        flags |= FLAGS[kind]
    return Plan(
        steps=tuple(step for step in steps if not isinstance(step, RunHooks) or step.hooks),
        clone_flags=flags,
        cgroup_path=bundle.cgroup_path,
        joins=joins,
        resources=allowed_resources(linux),
    )


def compile_bundle_exec(spec: RuntimeSpec, host: HostFacts, *, flags: int, cgroup_path: str, new_keyring: bool) -> Plan:
    """The plan of one more process (`spec.process`) in a running container, whose namespaces are `flags`."""
    process, linux = spec.process, spec.linux or Linux()
    assert process is not None
    steps: list[Step] = [
        *([SetOomScore(process.oom_score_adj)] if process.oom_score_adj is not None else []),
        EnterContainer(flags),
        *_stdio_steps(spec, bind=False),
        *bundle_process_steps(
            BundleProcess(process, linux, new_keyring=new_keyring, limits=True, awaits_start=False, at_start=[]), host
        ),
    ]
    return Plan(steps=tuple(steps), clone_flags=0, cgroup_path=cgroup_path)


def run_hooks(kind: str, hooks: tuple[Hook, ...], state: str) -> RunHooks:
    """The step that runs hooks inside the container."""
    return RunHooks(kind, [(hook.path, list(hook.args), list(hook.env), hook.timeout) for hook in hooks], state)


def allowed_resources(linux: Linux) -> dict[str, object]:
    """The container's resources; of devices nothing is allowed but what the list says, and what all may use."""
    resources = resources_data(linux.resources)
    listed = resources.get("devices", ())
    assert isinstance(listed, (list, tuple))
    defaults = [
        {"allow": True, "type": kind, "access": access}
        | ({} if major is None else {"major": major})
        | ({} if minor is None else {"minor": minor})
        for kind, major, minor, access in (*_DEFAULT_DEVICES, *_TERMINALS)
    ]
    return {**resources, "devices": [_DENY_ALL, *listed, *defaults]}


def _namespaces(linux: Linux) -> tuple[set[str], tuple[tuple[str, str], ...]]:
    """(kinds of new namespaces, (kind, path) of joined ones), kinds as in /proc/PID/ns."""
    own = {OCI_NAMES[namespace.type] for namespace in linux.namespaces if not namespace.path}
    return own, tuple((OCI_NAMES[namespace.type], namespace.path) for namespace in linux.namespaces if namespace.path)


def _first_steps(
    bundle: Bundle, own: set[str], joins: tuple[tuple[str, str], ...], *, in_user_namespace: bool
) -> list[Step]:
    """What comes before the first mount. The runtime has entered pid and user namespaces around the clone."""
    steps: list[Step] = []
    process = bundle.spec.process
    assert process is not None
    if "user" in own:
        # Until the runtime has written our maps, we are nobody.
        steps.append(WaitBarrier("maps"))
    elif process.oom_score_adj is not None:
        # With the host's /proc. In a new user namespace we may not; the runtime does it from outside.
        steps.append(SetOomScore(process.oom_score_adj))
    kinds = [kind for kind, _ in joins if kind not in ("pid", "user")]
    if kinds:
        steps.append(JoinNamespaces(kinds))
    if in_user_namespace:
        steps.append(BecomeRoot(drop_groups=True))
    return steps


def _root_steps(bundle: Bundle, linux: Linux) -> list[Step]:
    # Slaves of the host's mounts, or apart from them: what we mount never reaches the host (a `shared` bind is taken
    # before). pivot_root wants it so, too.
    private = PROPAGATIONS.get(linux.rootfs_propagation, 0) & MS_PRIVATE
    return [
        *trees_before_cut(bundle.spec.mounts, latest=False),
        SetPropagation((MS_PRIVATE if private else MS_SLAVE) | MS_REC),
        BindBundleRoot(bundle.rootfs),
    ]


def _mount_steps(
    mounts: tuple[Mount, ...], linux: Linux, host: HostFacts, cgroup_path: str, *, cgroup_namespace: bool
) -> list[Step]:
    # We are in our cgroup from the beginning: the namespace is rooted there.
    steps: list[Step] = [UnshareCgroup()] if cgroup_namespace else []
    devices = MakeDevices(
        [
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
    )
    places = [mount.destination.rstrip("/") for mount in mounts]
    if "/dev" not in places:
        steps.append(devices)
    in_namespace = any(namespace.type == "cgroup" for namespace in linux.namespaces)
    for mount in mounts:
        if mount.type in ("cgroup", "cgroup2"):
            steps.append(cgroup_step(mount, host, cgroup_path, in_namespace=in_namespace))
        else:
            steps.append(bundle_mount_step(mount))
            if mount.destination.rstrip("/") == "/dev" and not is_bind(mount):
                # Right behind, because later mounts may lie in /dev. A /dev of the host is left as it is.
                steps.append(devices)
    return steps


def is_bind(mount: Mount) -> bool:
    """Whether a mount binds something of the host."""
    return mount.type == "bind" or "bind" in mount.options or "rbind" in mount.options


def _after_pivot(linux: Linux) -> list[Step]:
    flags = PROPAGATIONS.get(linux.rootfs_propagation, 0)
    return [SetPropagation(flags)] if flags else []


def _stdio_steps(spec: RuntimeSpec, *, bind: bool) -> list[Step]:
    process = spec.process
    assert process is not None
    if not process.terminal:
        return [TakeStdio()]
    size = process.console_size
    return [OpenConsole(size.height if size else 0, size.width if size else 0, bind=bind)]


def _path_steps(spec: RuntimeSpec, linux: Linux, *, loopback: bool) -> list[Step]:
    steps: list[Step] = [ConfigureInterface("lo", None, None)] if loopback else []
    if linux.sysctl:
        # Before /proc/sys is read-only.
        steps.append(SetSysctls(dict(linux.sysctl)))
    if spec.root is not None and spec.root.readonly:
        steps.append(ReadonlyRoot())
    if linux.readonly_paths:
        steps.append(ReadonlyPaths(list(linux.readonly_paths)))
    if linux.masked_paths:
        steps.append(MaskPaths(list(linux.masked_paths)))
    return steps
