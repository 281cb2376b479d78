"""Containers made of plans alone: no supervisor, no shoald, only clone3 and the steps.

box = Box(tmp_path)                      a root file system with busybox in it
box.run(["id"], user="app").output       a command in a container, and what it printed
with box.started(["sleep", "9"]) as one: a container that stays, for exec and shared namespaces
"""

from __future__ import annotations

import builtins
import errno
import json
import marshal
import os
import shutil
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from shoal.api.container import ContainerCreateRequest
from shoal.api.exec import ExecConfig
from shoal.api.host_config import HostConfig
from shoal.api.image import ImageConfig
from shoal.engine.specgen import ContainerFacts, DaemonDefaults, HostDevice, MachineFacts, SpecGenerator, merge_process
from shoal.engine.specgen.requested import RequestedMount
from shoal.errors import ShoalError, SyscallError
from shoal.linux import capabilities
from shoal.linux.clone import clone3
from shoal.linux.fd import Fd
from shoal.linux.namespaces import CLONE_NEWPID, open_namespace, setns
from shoal.linux.pidfd import pidfd_open
from shoal.linux.seccomp import install_filter
from shoal.linux.seccomp_compile import FilterCache
from shoal.oci.rootfs import OverlayRootfs, PlainRootfs, Rootfs
from shoal.oci.runtime_spec import RuntimeSpec, seccomp_json
from shoal.runtime.compile import Hierarchy, HostFacts, Plan, compile_exec, compile_plan
from shoal.runtime.driver import ExecLaunch, Launch, LogSink
from shoal.supervisor.steps import steps_from_wire
from shoal.supervisor.steps.context import Context
from shoal.supervisor.steps.preparation import Prepared, preparable

BUSYBOX = Path("/bin/busybox")
PASSWD = "root:x:0:0:root:/root:/bin/sh\napp:x:1000:1001:App:/home/app:/bin/sh\n"
GROUP = "root:x:0:\nwheel:x:10:app\napp:x:1001:\n"
APPLETS = "sh id cat ls echo sleep true grep hostname stat mount touch mkdir tty head wc readlink rm mkfifo"
_DEADLINE_S = 30


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a plan ended: what the process printed, its exit code, or the step and the error it failed with."""

    output: str = ""
    code: int = 0
    step: str = ""
    kind: str = ""
    error: str = ""
    errno: int = 0
    warnings: tuple[str, ...] = ()


@dataclass(slots=True)
class Running:
    """A container that runs."""

    pid: int
    pidfd: Fd
    spec: RuntimeSpec
    output: Fd
    report: Fd
    console: Fd | None = None
    written: bytes = b""
    said: bytes = b""

    def wait_running(self) -> None:
        """Returns once its program runs, or could not be started: the report ends with execve."""
        self.said += _read_all(self.report)

    def wait_output(self, text: str) -> None:
        """Returns once it has written `text`."""
        while text.encode() not in self.written:
            part = os.read(self.output.fileno(), 4096)
            assert part, f"the container ended, and wrote only {self.written!r}"
            self.written += part

    def wait(self) -> Outcome:
        """How it ended, once it has, with everything that it wrote."""
        self.wait_running()
        self.written += _read_all(self.output)
        _, status = os.waitpid(self.pid, 0)
        for fd in (self.pidfd, self.output, self.report, *([self.console] if self.console else [])):
            fd.close()
        said = dict(marshal.loads(self.said)) if self.said else {}
        return Outcome(self.written.decode(), os.waitstatus_to_exitcode(status), **said)


class _Channel:
    """The child's end: barriers are always reached, a terminal's master goes to the test."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self.warnings: list[str] = []

    def send_fd(self, kind: str, fd: int) -> None:
        socket.send_fds(self._sock, [kind.encode()], [fd])

    def wait(self, barrier: str) -> None:
        pass

    def warn(self, text: str) -> None:
        self.warnings.append(text)


class _HostDevices:
    """The devices of this machine that a test names."""

    def lookup(self, path: str) -> list[HostDevice]:
        status = os.stat(path)
        major, minor = os.major(status.st_rdev), os.minor(status.st_rdev)
        mode = status.st_mode & 0o777
        return [HostDevice(path=path, kind="c", major=major, minor=minor, mode=mode, uid=0, gid=0)]

    def all(self) -> list[HostDevice]:
        return self.lookup("/dev/null")


class Box:
    """A root file system below the test's directory, and the ways to run things in it."""

    def __init__(self, directory: Path, *, cgroup_v2: bool | None = None) -> None:
        self.directory = directory
        self._v2 = Path("/sys/fs/cgroup/cgroup.controllers").exists() if cgroup_v2 is None else cgroup_v2
        self.lower = directory / "lower"
        self._count = 0
        self.missing: tuple[str, ...] = ()
        # Steps that every child gets ready for before it has its plan.
        self.expected: list[tuple[str, dict[str, Any]]] = []
        self.last_prepared: list[tuple[str, dict[str, Any]]] = []
        self._filters = FilterCache(str(directory / "filters"))
        for name in ("bin", "etc", "proc", "sys", "dev", "tmp", "root"):
            (self.lower / name).mkdir(parents=True)
        shutil.copy(BUSYBOX, self.lower / "bin/busybox")
        for name in APPLETS.split():
            (self.lower / "bin" / name).symlink_to("busybox")
        (self.lower / "etc/passwd").write_text(PASSWD)
        (self.lower / "etc/group").write_text(GROUP)
        (directory / "mnt").mkdir()

    def run(self, command: list[str], *, host: HostConfig | None = None, **config: Any) -> Outcome:
        """The outcome of a command in a container of its own."""
        return self.start(command, host=host, **config).wait()

    @contextmanager
    def started(self, command: list[str], *, host: HostConfig | None = None, **config: Any) -> Iterator[Running]:
        """A container that runs until the block ends."""
        container = self.start(command, host=host, **config)
        container.wait_running()
        try:
            yield container
        finally:
            os.kill(container.pid, signal.SIGKILL)
            container.wait()

    def start(
        self,
        command: list[str],
        *,
        host: HostConfig | None = None,
        ipc_pid: int | None = None,
        network_pid: int | None = None,
        rootfs: Rootfs | None = None,
        mounts: tuple[RequestedMount, ...] = (),
        **config: Any,
    ) -> Running:
        """A container that was cloned; its steps may still run, or have failed."""
        request = ContainerCreateRequest(cmd=command, host_config=host or HostConfig(), **config)
        generator = SpecGenerator(self._machine(), DaemonDefaults(), _HostDevices())
        generator.validate(request)
        place = self._place()
        facts = ContainerFacts(
            id="a" * 64,
            hostname=request.hostname or "box",
            cgroup_path="/",
            hosts_path=str(place / "hosts"),
            ipc_pid=ipc_pid,
            network_pid=network_pid,
            mounts=mounts,
        )
        spec = generator.generate(merge_process(request, ImageConfig()), request.host_config, facts)
        launch = Launch(
            id="a" * 64,
            spec=spec,
            rootfs=rootfs or OverlayRootfs((str(self.lower),), str(place / "upper"), str(place / "work")),
            run_dir=str(place),
            bundle_dir=str(place),
            log=LogSink("none"),
            exit_file=str(place / "exit"),
            cgroup_path="/",
            terminal=request.tty,
        )
        plan = compile_plan(launch, self._host())
        self.last_prepared = preparable(plan.to_wire())
        joins = {kind: open_namespace(path) for kind, path in plan.joins}
        return self.clone(plan, spec, joins, terminal=request.tty)

    def exec(self, container: Running, command: list[str], **config: Any) -> Outcome:
        """The outcome of one more process in a running container."""
        generator = SpecGenerator(self._machine(), DaemonDefaults(), _HostDevices())
        request = ExecConfig(cmd=command, **config)
        merged = merge_process(ContainerCreateRequest(cmd=["x"]), ImageConfig())
        launch = ExecLaunch(
            id="a" * 64,
            exec_id="e",
            pid=container.pid,
            process=generator.exec_process(request, merged, container.spec),
            spec=container.spec,
            run_dir="",
            cgroup_path="/",
            terminal=request.tty,
        )
        joins = {"process": pidfd_open(container.pid)}
        plan = compile_exec(launch, self._host())
        # What the supervisor does around the clone: children are made in the container's pid namespace.
        with open_namespace("/proc/self/ns/pid") as home, open_namespace(dict(plan.joins)["pid"]) as inside:
            setns(inside, CLONE_NEWPID)
            try:
                process = self.clone(plan, container.spec, joins, terminal=request.tty)
            finally:
                setns(home, CLONE_NEWPID)
        return process.wait()

    def clone(self, plan: Plan, spec: RuntimeSpec, joins: dict[str, Fd], *, terminal: bool) -> Running:
        """Clones a child that runs the plan."""
        wire = marshal.dumps(plan.to_wire(), 2)
        hidden = self._filters.program(_hiding(self.missing)) if self.missing else b""
        output, write_output = (Fd(number) for number in os.pipe())
        report, write_report = (Fd(number) for number in os.pipe())
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        null = Fd(os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC))
        pid, pidfd = clone3(plan.clone_flags)
        if pid == 0:
            stdio = None if terminal else (null.fileno(), write_output.fileno(), write_output.fileno())
            _be_child(wire, _Channel(theirs), stdio, joins, write_report, hidden, self.expected)
        assert pidfd is not None
        theirs.close()
        for fd in (write_output, write_report, null, *joins.values()):
            fd.close()
        running = Running(pid, pidfd, spec, output, report)
        with ours:
            if terminal:
                _, fds, _, _ = socket.recv_fds(ours, 64, 1)
                running.console = Fd(fds[0]) if fds else None
        return running

    def _place(self) -> Path:
        self._count += 1
        place = self.directory / f"container-{self._count}"
        for name in ("upper", "work"):
            (place / name).mkdir(parents=True)
        (place / "hosts").write_text("127.0.0.1 localhost\n")
        return place

    def _machine(self) -> MachineFacts:
        return MachineFacts(
            machine=os.uname().machine,
            kernel=(6, 1),
            cpus=os.cpu_count() or 1,
            cgroup_version=self._host().cgroup_version,
            controllers=frozenset({"memory", "cpu", "pids", "cpuset", "blkio"}),
            capabilities=tuple(capabilities.names(capabilities.bounding_set())),
        )

    def _host(self) -> HostFacts:
        top = Path("/sys/fs/cgroup")
        v2 = self._v2
        directories = [] if v2 else sorted(path for path in top.iterdir() if path.is_dir() and not path.is_symlink())
        return HostFacts(
            rootfs_mount_point=str(self.directory / "mnt"),
            cgroup_version="v2" if v2 else "v1",
            hierarchies=(Hierarchy("", str(top)),)
            if v2
            else tuple(Hierarchy(path.name, str(path)) for path in directories),
            last_capability=capabilities.last_cap(),
            compile_filter=lambda profile: self._filters.program(seccomp_json(profile)),
        )

    def plain_rootfs(self) -> PlainRootfs:
        """The same root file system as one directory."""
        copy = self.directory / "plain"
        shutil.copytree(self.lower, copy, symlinks=True)
        return PlainRootfs(str(copy))


def _hiding(names: tuple[str, ...]) -> bytes:
    """A seccomp profile under which these system calls are not there, as on an older kernel."""
    rule = {"names": names, "action": "SCMP_ACT_ERRNO", "errnoRet": errno.ENOSYS}
    return json.dumps({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [rule]}).encode()


def _be_child(
    wire: bytes,
    channel: _Channel,
    stdio: tuple[int, int, int] | None,
    joins: dict[str, Fd],
    report: Fd,
    hidden: bytes,
    expected: list[tuple[str, dict[str, Any]]],
) -> NoReturn:
    signal.alarm(_DEADLINE_S)
    if hidden:
        install_filter(hidden)
    builtins.__import__ = _refuse_import
    said: dict[str, object] = {}
    step = "none"
    prepared = Prepared()
    prepared.make(expected)
    context = Context(channel, stdio, {kind: fd.fileno() for kind, fd in joins.items()}, prepared)
    try:
        for current in steps_from_wire(marshal.loads(wire)):
            step = current.name
            if step == "exec" and channel.warnings:
                os.write(report.fileno(), marshal.dumps({"warnings": tuple(channel.warnings)}))
            current.run(context)
    except SyscallError as error:
        said = {"kind": "SyscallError", "error": str(error), "errno": error.errno}
    except ShoalError as error:
        said = {"kind": type(error).__name__, "error": str(error)}
    except BaseException as error:  # noqa: BLE001 - the edge of a process
        said = {"kind": type(error).__name__, "error": str(error)}
    os.write(report.fileno(), marshal.dumps({"step": step, **said}))
    os._exit(1)


def _refuse_import(name: str, *_: object) -> NoReturn:
    """Stands for `import` in the child: after pivot_root there is no library to import from.

    Even of a module that is loaded: it is by this test runner, and would not be in a supervisor.
    """
    raise AssertionError(f"{name} is imported between clone and exec")


def _read_all(fd: Fd) -> bytes:
    parts = []
    while True:
        try:
            part = os.read(fd.fileno(), 65536)
        except OSError:
            break  # EIO: a terminal whose last user has gone
        if not part:
            break
        parts.append(part)
    return b"".join(parts)
