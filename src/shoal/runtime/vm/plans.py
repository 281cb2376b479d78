"""From a `Launch` to the plan of a container in a virtual machine: a part for the host, one for the guest. Pure.

host   the container's root and its binds, mounted as ever, but nobody's root; then the machine's monitor
guest  the same plan as on a host, on the files that the host shows, in the machine's own network
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from shoal.errors import Internal
from shoal.linux.namespaces import CLONE_NEWIPC, CLONE_NEWNET, CLONE_NEWNS, CLONE_NEWPID, CLONE_NEWUTS
from shoal.oci.rootfs import PlainRootfs
from shoal.oci.runtime_spec import (
    IMAGE_TYPE,
    SUBPATH_OPTION,
    DeviceCgroup,
    Mount,
    Namespace,
    Resources,
    RuntimeSpec,
    changed,
    resources_data,
)
from shoal.runtime.compile import compile_exec, compile_plan
from shoal.runtime.compile.container import root_step
from shoal.runtime.compile.mounts import mount_step, namespace_of_binds, trees_before_cut
from shoal.runtime.compile.options import read_options
from shoal.runtime.compile.plan import Hierarchy, HostFacts, Plan
from shoal.runtime.driver import ExecLaunch, Launch
from shoal.runtime.vm.record import machine_record
from shoal.supervisor.machine.places import ROOT, SHARE
from shoal.supervisor.steps.devices import OpenConsole, TakeStdio
from shoal.supervisor.steps.machine import JoinMachine, RunMachine
from shoal.supervisor.steps.rootfs import CutPropagation

if TYPE_CHECKING:
    from shoal.runtime.compile.plan import Hierarchy
    from shoal.supervisor.steps.step import Step

# In the guest the container has the machine's own network: nobody else is there.
_GUEST_NAMESPACES = tuple(Namespace(type=kind) for kind in ("mount", "uts", "pid", "ipc", "cgroup", "network"))
_HOST_CLONE_FLAGS = CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS
# What monitor, QEMU and virtiofsd open: null, zero, random, urandom, terminals, tun, kvm. Nodes may be made in files.
_HOST_DEVICES = (
    DeviceCgroup(allow=False, access="rwm"),
    DeviceCgroup(allow=True, type="c", access="m"),
    DeviceCgroup(allow=True, type="b", access="m"),
    *(
        DeviceCgroup(allow=True, type="c", major=major, minor=minor, access="rw")
        for major, minor in ((1, 3), (1, 5), (1, 8), (1, 9), (5, 0), (5, 2), (136, None), (10, 200), (10, 232))
    ),
)
_GUEST_RUN_DIR = "/run/container"


def compile_machine(launch: Launch, host: HostFacts, qemu: list[str], files: list[str], *, template: str = "") -> Plan:
    """The plan of a container's first process on the host: the monitor of its machine. Raises: as compile_plan.

    `template` is the directory of the one that `qemu` wakes, "" where it boots.
    """
    spec = launch.spec
    binds = tuple(mount for mount in spec.mounts if _is_of_host(mount))
    steps: list[Step] = [
        *trees_before_cut(binds, latest=bool(host.mount_namespace)),
        CutPropagation(),
        root_step(launch, host),
        *(mount_step(mount) for mount in binds),
        OpenConsole(launch.rows, launch.columns, bind=False) if launch.terminal else TakeStdio(),
        RunMachine(
            qemu,
            files,
            [one.name for one in launch.interfaces],
            _launch_body(launch, host),
            record=machine_record(launch.exit_file),
            resolver=launch.resolver,
            template=template,
        ),
    ]
    return Plan(
        steps=tuple(steps),
        clone_flags=_HOST_CLONE_FLAGS,
        cgroup_path=launch.cgroup_path,
        joins=namespace_of_binds(binds, host.mount_namespace),
        resources=resources_data(_host_resources(spec)),
    )


def compile_machine_exec(request: ExecLaunch, host: HostFacts) -> Plan:
    """The plan of one more process: on the host, what stands for it."""
    steps: list[Step] = [
        OpenConsole(request.rows, request.columns, bind=False) if request.terminal else TakeStdio(),
        JoinMachine(_exec_body(request, host)),
    ]
    return Plan(
        steps=tuple(steps),
        clone_flags=0,
        cgroup_path=request.cgroup_path,
        joins=(("process", str(request.pid)), ("pid", f"/proc/{request.pid}/ns/pid")),
    )


def guest_facts(host: HostFacts) -> HostFacts:
    """What compiling knows of the guest, which is what we make it."""
    return HostFacts(
        rootfs_mount_point=ROOT,
        cgroup_version="v2",
        hierarchies=(Hierarchy(name="", mount_point="/sys/fs/cgroup"),),
        last_capability=host.last_capability,
        compile_filter=host.compile_filter,
    )


def guest_spec(spec: RuntimeSpec) -> RuntimeSpec:
    """The specification as the guest gets it."""
    if spec.process is None or spec.linux is None:
        raise Internal("the specification has no process or no Linux part")
    # Profiles of the host's kernel are not the guest's.
    process = changed(spec.process, apparmor_profile="")
    linux = changed(
        spec.linux,
        namespaces=_GUEST_NAMESPACES,
        # The host's own devices have no meaning there.
        devices=(),
        resources=_guest_resources(spec),
    )
    mounts = tuple(_guest_mount(mount) for mount in spec.mounts)
    return changed(spec, process=process, linux=linux, mounts=mounts)


def _launch_body(launch: Launch, host: HostFacts) -> dict[str, Any]:
    spec = guest_spec(launch.spec)
    inside = Launch(
        id=launch.id,
        spec=spec,
        rootfs=PlainRootfs(path=SHARE),
        run_dir=_GUEST_RUN_DIR,
        bundle_dir="",
        log=launch.log,
        exit_file="",
        cgroup_path=f"/{launch.id}",
        terminal=launch.terminal,
        rows=launch.rows,
        columns=launch.columns,
        interfaces=launch.interfaces,
    )
    plan = compile_plan(inside, guest_facts(host))
    body = _body(plan, launch.id, None, terminal=launch.terminal, open_stdin=launch.open_stdin)
    body.update(
        rows=launch.rows, cols=launch.columns, attach=[_attach(launch.id, None, launch.open_stdin, launch.terminal)]
    )
    return body


def _exec_body(request: ExecLaunch, host: HostFacts) -> dict[str, Any]:
    inside = ExecLaunch(
        id=request.id,
        exec_id=request.exec_id,
        pid=request.pid,
        process=changed(request.process, apparmor_profile=""),
        spec=guest_spec(request.spec),
        run_dir=_GUEST_RUN_DIR,
        cgroup_path="",
        terminal=request.terminal,
        rows=request.rows,
        columns=request.columns,
    )
    plan = compile_exec(inside, guest_facts(host))
    body = _body(plan, request.id, request.exec_id, terminal=request.terminal, open_stdin=request.open_stdin)
    if request.clients or request.open_stdin or request.terminal:
        attach = [_attach(request.id, request.exec_id, request.open_stdin, request.terminal)]
        body.update(rows=request.rows, cols=request.columns, attach=attach)
    return body


def _body(plan: Plan, id: str, exec_id: str | None, *, terminal: bool, open_stdin: bool) -> dict[str, Any]:
    """A `launch` or `exec` as supervisor/protocol.py has it; the guest keeps no log and no record."""
    return {
        "id": id,
        "exec_id": exec_id,
        "clone_flags": plan.clone_flags & ~CLONE_NEWNET,
        "cgroup": plan.cgroup_path if exec_id is None else None,
        "resources": dict(plan.resources),
        "steps": plan.to_wire(),
        "joins": {},
        "terminal": terminal,
        "open_stdin": open_stdin,
        "stdin_once": True,
        "rows": 0,
        "cols": 0,
        "run_dir": _GUEST_RUN_DIR,
        "log": None,
        "exit_file": f"{_GUEST_RUN_DIR}.exit",
        "wired": False,
        "attach": [],
    }


def _attach(id: str, exec_id: str | None, open_stdin: bool, terminal: bool) -> dict[str, Any]:
    return {
        "id": id,
        "exec_id": exec_id,
        "stdin": open_stdin,
        "stdout": True,
        "stderr": True,
        "mux": not terminal,
        "detach_keys": b"",
        "early": b"",
        "fd": 1,
    }


def _is_of_host(mount: Mount) -> bool:
    """Whether the host has what is mounted, and shows it to the guest within the container's root."""
    return mount.type in ("bind", IMAGE_TYPE) or "bind" in mount.options or "rbind" in mount.options


def _guest_mount(mount: Mount) -> Mount:
    """The same mount in the guest: what the host has mounted is found at the same place below what it shows.

    It is mounted once more, because it may lie below something that the guest has mounted, its /dev for one.
    """
    if not _is_of_host(mount):
        return mount
    words = read_options(mount.options)
    access = {"no": "rw", "mount": "ro", "recursive": "rro"}["mount" if mount.type == IMAGE_TYPE else words.readonly]
    return Mount(
        destination=mount.destination,
        type="bind",
        source=SHARE,
        options=("rbind", access, f"{SUBPATH_OPTION}{mount.destination.lstrip('/')}"),
    )


def _host_resources(spec: RuntimeSpec) -> Resources:
    """What the machine as a whole is held to. Its memory it has; how many tasks it may have, the guest sees to."""
    given = spec.linux.resources if spec.linux is not None else None
    if given is None:
        return Resources(devices=_HOST_DEVICES)
    return changed(given, devices=_HOST_DEVICES, memory=None, pids=None)


def _guest_resources(spec: RuntimeSpec) -> Resources:
    given = spec.linux.resources if spec.linux is not None else None
    return Resources(devices=given.devices, pids=given.pids) if given is not None else Resources()
