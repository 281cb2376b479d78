"""Everything that a test of the native driver needs: a busybox rootfs, launches, and a driver on its own roots."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import socket
import subprocess
import time
import uuid
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from shoal.linux import capabilities
from shoal.linux.cgroups import detect
from shoal.linux.fd import Fd
from shoal.oci.rootfs import PlainRootfs
from shoal.oci.runtime_spec import Linux, Mount, Namespace, Process, RuntimeSpec, Seccomp, User
from shoal.runtime.compile import Hierarchy, HostFacts
from shoal.runtime.driver import (
    AttachOptions,
    Client,
    ExecLaunch,
    Exit,
    Launch,
    LogSink,
    Started,
    StreamTarget,
)
from shoal.runtime.native.driver import NativeDriver
from tests.kernel.leaks import GRACE_S

T = TypeVar("T")
PATH = "PATH=/bin:/usr/bin"
NAMESPACES = ("mount", "pid", "network", "ipc", "uts")
TIMEOUT_S = 20.0


def build_rootfs(root: Path) -> None:
    """A root file system with nothing but busybox."""
    for name in ("bin", "dev", "etc", "proc", "sys", "tmp", "root"):
        (root / name).mkdir(parents=True)
    shutil.copy2("/bin/busybox", root / "bin/busybox")
    applets = subprocess.run(["/bin/busybox", "--list"], capture_output=True, check=True, text=True)
    for applet in applets.stdout.split():
        if applet != "busybox":
            (root / "bin" / applet).symlink_to("busybox")
    (root / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/sh\napp:x:1000:1000::/:/bin/sh\n")
    (root / "etc/group").write_text("root:x:0:\napp:x:1000:\n")


def host_facts(exec_root: Path) -> HostFacts:
    """What the compiler has to know of this machine."""
    layout = detect()
    hierarchies = tuple(Hierarchy(Path(point).name, point) for point in layout.mounts)

    def no_filter(_: Seccomp) -> bytes:
        raise NotImplementedError("tests without seccomp")

    return HostFacts(
        rootfs_mount_point=str(exec_root / "rootfs"),
        cgroup_version="v2" if layout.version == "v2" else "v1",
        hierarchies=hierarchies,
        last_capability=capabilities.last_cap(),
        compile_filter=no_filter,
    )


def spec_of(args: tuple[str, ...], *, terminal: bool, user: str, namespaces: tuple[str, ...]) -> RuntimeSpec:
    """A specification with the mounts that a program expects."""
    mounts = (
        Mount(destination="/proc", type="proc", source="proc", options=("nosuid", "noexec", "nodev")),
        Mount(destination="/dev", type="tmpfs", source="tmpfs", options=("nosuid", "strictatime", "mode=755")),
        Mount(
            destination="/dev/pts",
            type="devpts",
            source="devpts",
            options=("nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"),
        ),
    )
    process = Process(cwd="/", args=args, env=(PATH,), terminal=terminal, user=User(username=user))
    linux = Linux(namespaces=tuple(Namespace(type=name) for name in namespaces))
    return RuntimeSpec(process=process, hostname="box", mounts=mounts, linux=linux)


class Reader:
    """The test's end of an attached client's connection."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        sock.setblocking(False)

    async def all(self) -> bytes:
        """Everything until the end."""
        loop = asyncio.get_running_loop()
        parts = []
        async with asyncio.timeout(TIMEOUT_S):
            while data := await loop.sock_recv(self.sock, 1 << 16):
                parts.append(data)
        self.sock.close()
        return b"".join(parts)

    async def until(self, text: bytes) -> bytes:
        """Everything until `text` has come."""
        loop = asyncio.get_running_loop()
        seen = b""
        async with asyncio.timeout(TIMEOUT_S):
            while text not in seen:
                data = await loop.sock_recv(self.sock, 1 << 16)
                if not data:
                    raise EOFError(seen)
                seen += data
        return seen

    async def send(self, data: bytes) -> None:
        """Sends input."""
        async with asyncio.timeout(TIMEOUT_S):
            await asyncio.get_running_loop().sock_sendall(self.sock, data)

    def end_input(self) -> None:
        """Closes the sending half."""
        self.sock.shutdown(socket.SHUT_WR)


def client(
    *, stdin: bool = True, mux: bool = False, keys: bytes = b"", early: bytes = b"", stderr: bool = True
) -> tuple[Reader, Client]:
    """A connected client: the test's end, and what the driver gets."""
    ours, theirs = socket.socketpair()
    options = AttachOptions(stdin=stdin, stdout=True, stderr=stderr, mux=mux, detach_keys=keys)
    return Reader(ours), Client(options, Fd(theirs.detach()), early)


class Bench:
    """A driver on directories of its own, and what it told."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.exec_root = directory / "run"
        self.name = uuid.uuid4().hex[:8]
        self.cgroup_parent = f"/shoal-test-{self.name}"
        self.rootfs = directory / "rootfs"
        build_rootfs(self.rootfs)
        (self.exec_root / "rootfs").mkdir(parents=True)
        self.facts = host_facts(self.exec_root)
        self.logs: list[tuple[str, str]] = []
        self.detached: list[str] = []
        self._exits: dict[tuple[str, str | None], asyncio.Future[Exit]] = {}
        self.driver = self.new_driver()

    def new_driver(self, **settings: int) -> NativeDriver:
        """Another driver on the same roots."""
        driver = NativeDriver(self.exec_root, self.facts, cgroup_parent=self.cgroup_parent, **settings)
        driver.subscribe(self._on_exit, self._on_exec_exit, lambda id, _: self.detached.append(id), self._on_log)
        self.driver = driver
        return driver

    def launch(
        self,
        *args: str,
        terminal: bool = False,
        open_stdin: bool = False,
        stdin_once: bool = True,
        clients: tuple[Client, ...] = (),
        id: str = "",
        user: str = "",
        log: str = "json-file",
        namespaces: tuple[str, ...] = NAMESPACES,
        max_size_bytes: int | None = None,
    ) -> Launch:
        """A container that runs `args`."""
        id = id or uuid.uuid4().hex * 2
        data = self.directory / "data" / id
        data.mkdir(parents=True, exist_ok=True)
        return Launch(
            id=id,
            spec=spec_of(args, terminal=terminal, user=user, namespaces=namespaces),
            rootfs=PlainRootfs(path=str(self.rootfs)),
            run_dir=str(self.exec_root / "containers" / id),
            bundle_dir=str(data),
            log=LogSink("json-file" if log == "json-file" else "none", str(data / "log.json"), max_size_bytes, 5),
            exit_file=str(data / "exit.json"),
            cgroup_path=f"{self.cgroup_parent}/{id}",
            terminal=terminal,
            open_stdin=open_stdin,
            stdin_once=stdin_once,
            rows=24 if terminal else 0,
            columns=80 if terminal else 0,
            clients=clients,
        )

    async def start(self, launch: Launch) -> Started:
        """Starts it."""
        self._exits[launch.id, None] = asyncio.get_running_loop().create_future()
        return await asyncio.wait_for(self.driver.start(launch, None), TIMEOUT_S)

    def exec_launch(
        self, launch: Launch, started: Started, *args: str, terminal: bool = False, clients: tuple[Client, ...] = ()
    ) -> ExecLaunch:
        """One more process in it."""
        assert launch.spec.process is not None
        process = Process(cwd="/", args=args, env=(PATH,), terminal=terminal)
        return ExecLaunch(
            id=launch.id,
            exec_id=uuid.uuid4().hex,
            pid=started.pid,
            process=process,
            spec=launch.spec,
            run_dir=launch.run_dir,
            cgroup_path=launch.cgroup_path,
            terminal=terminal,
            open_stdin=any(client.options.stdin for client in clients),
            rows=24,
            columns=80,
            clients=clients,
        )

    async def exec(self, request: ExecLaunch) -> Started:
        """Starts an exec."""
        self._exits[request.id, request.exec_id] = asyncio.get_running_loop().create_future()
        return await asyncio.wait_for(self.driver.exec(request), TIMEOUT_S)

    async def exit_of(self, launch: Launch | ExecLaunch) -> Exit:
        """How it ended, once it has."""
        key = (launch.id, launch.exec_id if isinstance(launch, ExecLaunch) else None)
        return await asyncio.wait_for(asyncio.shield(self.exit_future(key)), TIMEOUT_S)

    def exit_future(self, key: tuple[str, str | None]) -> asyncio.Future[Exit]:
        """The end to come of a process."""
        return self._exits.setdefault(key, asyncio.get_running_loop().create_future())

    async def run(self, *args: str, **options: object) -> tuple[bytes, Exit]:
        """Runs a container to its end with one client: all output, and how it ended."""
        reader, attached = client(stdin=False)
        launch = self.launch(*args, clients=(attached,), **options)  # type: ignore[arg-type]
        await self.start(launch)
        output = await reader.all()
        return output, await self.exit_of(launch)

    async def attach(self, launch: Launch, attached: Client) -> None:
        """Attaches a client to a running container."""
        await self.driver.attach(StreamTarget(launch.id), attached.options, attached.socket, attached.early)

    def log_text(self, launch: Launch) -> str:
        """The container's log."""
        return Path(launch.log.path).read_text()

    def supervisor_pids(self) -> list[int]:
        """The living supervisors."""
        found = []
        for path in (self.exec_root / "supervisors").glob("*/pid"):
            with contextlib.suppress(OSError):
                found.append(int(path.read_text()))
        return found

    async def kill_all(self) -> None:
        """Ends whatever the test left running."""
        for hosted in tuple(self.driver._hosted):
            if hosted.exec_id is None:
                ended = self.exit_future(hosted.key)
                hosted.send_signal(9)
                await asyncio.wait_for(asyncio.shield(ended), TIMEOUT_S)

    def left_over(self) -> list[str]:
        """What should not be there any more."""
        found = [str(path) for path in self.exec_root.glob("containers/*/*")]
        found += [str(path) for path in self.exec_root.glob("supervisors/*")]
        for root in detect().mounts:
            found += [str(path) for path in Path(root + self.cgroup_parent).glob("*/")]
        mounts = Path("/proc/self/mounts").read_text()
        found += [line for line in mounts.splitlines() if str(self.directory) in line]
        for name in os.listdir("/proc"):
            if name.isdigit():
                with contextlib.suppress(OSError):
                    line = Path(f"/proc/{name}/cmdline").read_bytes()
                    if str(self.directory).encode() in line:
                        found.append(f"process {name}: {line!r}")
        return found

    def _on_exit(self, id: str, exit: Exit) -> None:
        self._settle((id, None), exit)

    def _on_exec_exit(self, id: str, exec_id: str, exit: Exit) -> None:
        self._settle((id, exec_id), exit)

    def _settle(self, key: tuple[str, str | None], exit: Exit) -> None:
        future = self.exit_future(key)
        if not future.done():
            future.set_result(exit)

    def _on_log(self, level: str, text: str) -> None:
        self.logs.append((level, text))


@contextlib.asynccontextmanager
async def running_bench(directory: Path) -> AsyncIterator[Bench]:
    """A bench, and the proof that nothing is left of it."""
    bench = Bench(directory)
    await bench.driver.recover([])
    try:
        yield bench
    finally:
        await bench.kill_all()
        await bench.driver.close()
    deadline = time.monotonic() + GRACE_S
    while (left := bench.left_over()) and time.monotonic() < deadline:
        await asyncio.sleep(0.02)  # what says goodbye to a log receiver is nobody's child that could be waited for
    assert left == [], (left, bench.logs)


def on_bench(directory: Path, body: Callable[[Bench], Coroutine[None, None, T]]) -> T:
    """Runs a test's body with a bench, within a minute."""

    async def main() -> T:
        async with asyncio.timeout(60), running_bench(directory) as bench:
            return await body(bench)

    return asyncio.run(main())


__all__ = ["Bench", "Reader", "client", "on_bench", "replace", "running_bench"]
