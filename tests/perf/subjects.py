"""What is measured: shoald, dockerd and Podman, each private, driven by its command line."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

from tests.engines import busybox
from tests.engines.dockerd import Dockerd
from tests.engines.engine import DOCKER, Engine
from tests.engines.leaks import pids
from tests.engines.shoald import Shoald

IDLE = ("sleep", "1000000")


class Failed(Exception):
    """A command that was to be measured did not succeed; the text is its last words."""


class Subject(Protocol):
    """One engine to measure."""

    name: str
    runs_containers: bool

    def version(self) -> str:
        """The engine's name and version, for the report."""

    def command(self, *args: str) -> list[str]:
        """The command line for `args` of `docker`."""

    def environment(self) -> dict[str, str]:
        """What that command runs with."""

    def processes(self) -> dict[str, list[int]]:
        """Process ids by role: what runs beside the containers' own programs."""

    def network_pid(self) -> int | None:
        """A process in whose network it reaches loopback; None where that is the host's."""

    def insecure(self) -> list[str]:
        """What its pull and push need for a registry without TLS on loopback."""

    def close(self) -> None:
        """Stop it and remove all it made."""


def timed(subject: Subject, *args: str, timeout_s: float = 300) -> float:
    """The seconds that one command takes from start to end.

    Raises: Failed when it does not succeed.
    """
    command, environment = subject.command(*args), subject.environment()
    begin = time.perf_counter()
    with subprocess.Popen(
        command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    ) as process:
        # Waiting with a timeout would poll, and count its pauses; so somebody else holds the watch.
        watch = threading.Timer(timeout_s, process.kill)
        watch.daemon = True
        watch.start()
        assert process.stderr is not None
        said = process.stderr.read().decode(errors="replace")
        code = process.wait()
        seconds = time.perf_counter() - begin
        watch.cancel()
    if code:
        said = said.partition("\n\nRun '")[0].strip()
        raise Failed(said or f"exit code {code}")
    return seconds


def _named(marker: str, word: str) -> list[int]:
    """Processes whose command line has a marker and whose program's name has a word."""
    found = []
    for pid in pids():
        try:
            text = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace")
        except OSError:
            continue
        if marker in text and word in os.path.basename(text.partition("\0")[0]):
            found.append(pid)
    return found


class InMemory:
    """The directory `path` on a file system in memory.

    Images that come and go would measure the disk otherwise: ext4 takes a hundred times as long to make a file while
    it remembers those that have just been deleted.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        os.makedirs(path)
        subprocess.run(["mount", "-t", "tmpfs", "bench", path], check=True)

    def close(self) -> None:
        """Lets go of it, whoever may still have it open."""
        subprocess.run(["umount", "-l", self._path], check=False, stderr=subprocess.DEVNULL)
        shutil.rmtree(self._path, ignore_errors=True)


class DaemonSubject:
    """A subject that is an engine of the conformance suite, driven by the docker command."""

    runs_containers = True

    def __init__(self, engine: Engine, *, in_memory: bool) -> None:
        self.engine = engine
        self.name = engine.name
        self._memory = InMemory(engine.data_root) if in_memory else None
        engine.start()
        engine.import_busybox()

    def command(self, *args: str) -> list[str]:
        client = DOCKER or str(Path(sys.executable).with_name("shoal"))
        return [client, *args]

    def environment(self) -> dict[str, str]:
        return self.engine.environment()

    def version(self) -> str:
        return f"{self.name} {self.engine.request('GET', '/version').json['Version']}"

    def network_pid(self) -> int | None:
        return self.engine.pid if self.engine.own_network else None

    def insecure(self) -> list[str]:
        return []

    def close(self) -> None:
        self.engine.shutdown()
        if self._memory is not None:  # before the engine looks for what it has left behind
            self._memory.close()
        self.engine.close()


class ShoaldSubject(DaemonSubject):
    """shoald and its supervisors."""

    def __init__(self, *, in_memory: bool) -> None:
        super().__init__(Shoald(), in_memory=in_memory)

    def processes(self) -> dict[str, list[int]]:
        """shoald, and each supervisor."""
        assert isinstance(self.engine, Shoald)
        return {"shoald": [self.engine.pid], "supervisor": self.engine.supervisor_pids()}


class DockerdSubject(DaemonSubject):
    """dockerd, its containerd, and a shim for each container."""

    def __init__(self, *, in_memory: bool) -> None:
        super().__init__(Dockerd(), in_memory=in_memory)

    def processes(self) -> dict[str, list[int]]:
        """dockerd, containerd, the shims and the port proxies."""
        marker = str(self.engine.directory)
        shims = _named(marker, "containerd-shim")
        return {
            "dockerd": [self.engine.pid],
            "containerd": [pid for pid in _named(marker, "containerd") if pid not in shims],
            "shim": shims,
        }


# Makes the directories that Podman knows by fixed names private, then stays.
HOLD = """
ip link set lo up
mkdir -p /etc/cni/net.d
cp -r /etc/cni/net.d "$0/cni"
mount -t tmpfs cni /etc/cni/net.d
cp -r "$0"/cni/. /etc/cni/net.d
mount -t tmpfs cni /var/lib/cni
mount -t tmpfs run /run
echo ready
exec sleep 1000000
"""


class PodmanSubject:
    """Podman with a storage of its own, in namespaces that a sleeping process holds: the host stays as it was."""

    name = "podman"
    runs_containers = True

    def __init__(self, *, in_memory: bool) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="podman-", dir="/tmp"))
        self._memory = InMemory(str(self.directory / "root")) if in_memory else None
        self._made_cni = not os.path.exists("/var/lib/cni")
        os.makedirs("/var/lib/cni", exist_ok=True)
        command = ["unshare", "-n", "-m", "--propagation", "private", "sh", "-c", HOLD, str(self.directory)]
        self.holder = subprocess.Popen(command, stdout=subprocess.PIPE)
        assert self.holder.stdout is not None
        self.holder.stdout.readline()
        tar = self.directory / "image.tar"
        tar.write_bytes(busybox.root_filesystem())
        timed(self, "import", str(tar), busybox.IMAGE)
        timed(self, "run", "--rm", busybox.IMAGE, "true")

    def version(self) -> str:
        """Podman's own words."""
        return (
            subprocess.run(["podman", "--version"], capture_output=True, text=True)
            .stdout.strip()
            .replace(" version", "")
        )

    def command(self, *args: str) -> list[str]:
        """`podman` inside the held namespaces. Its default limits exceed what some hosts allow, so they are named."""
        enter = ["nsenter", "-t", str(self.holder.pid), "-n", "-m"]
        storage = ["--root", f"{self.directory}/root", "--runroot", f"{self.directory}/run"]
        options = [*storage, "--cgroup-manager", "cgroupfs", "--events-backend", "file"]
        if shutil.which("runc"):
            options += ["--runtime", "runc"]
        if args[0] == "run":
            limits = ["--ulimit", "nofile=1024:1024", "--ulimit", "nproc=1024:1024"]
            args = ("run", *limits, "--cgroup-parent", f"/{self.directory.name}", *args[1:])
        if args[0] == "rm":
            args = ("rm", "-t", "0", *args[1:])
        return [*enter, "podman", *options, *args]

    def environment(self) -> dict[str, str]:
        """The caller's own."""
        return dict(os.environ)

    def processes(self) -> dict[str, list[int]]:
        """A conmon for each container."""
        return {"conmon": _named(str(self.directory), "conmon")}

    def network_pid(self) -> int | None:
        """The namespaces' holder."""
        return self.holder.pid

    def insecure(self) -> list[str]:
        """It takes no loopback for granted."""
        return ["--tls-verify=false"]

    def close(self) -> None:
        """Remove its containers, then the namespaces' holder, the storage and the cgroups."""
        try:
            timed(self, "rm", "-f", "-a")
        except Failed as problem:
            print(f"podman could not remove its containers: {problem}", file=sys.stderr)
        self.holder.kill()
        self.holder.communicate()
        for name in (self.directory.name, "libpod_parent"):
            for top in [*Path("/sys/fs/cgroup").glob(f"*/{name}"), Path("/sys/fs/cgroup", name)]:
                _remove_cgroup(top)
        if self._made_cni:
            os.rmdir("/var/lib/cni")
        if self._memory is not None:
            self._memory.close()
        shutil.rmtree(self.directory, ignore_errors=True)


class CommandAlone:
    """The docker command against a server that answers at once: what no engine can be faster than."""

    name = "docker alone"
    runs_containers = False

    def __init__(self) -> None:
        self._directory = Path(tempfile.mkdtemp(prefix="floor-", dir="/tmp"))
        self._socket = self._directory / "socket"
        self._server = subprocess.Popen([sys.executable, "-m", "tests.perf.floor", str(self._socket)])
        while not self._socket.exists() and self._server.poll() is None:
            time.sleep(0.01)

    def version(self) -> str:
        """What the column shows."""
        return "the docker command alone"

    def command(self, *args: str) -> list[str]:
        """The stock command."""
        assert DOCKER is not None
        return [DOCKER, *args]

    def environment(self) -> dict[str, str]:
        """The server as the command's host."""
        return {**os.environ, "DOCKER_HOST": f"unix://{self._socket}"}

    def processes(self) -> dict[str, list[int]]:
        """None: it runs nothing."""
        return {}

    def network_pid(self) -> int | None:
        """The host's network."""
        return None

    def insecure(self) -> list[str]:
        """Nothing: it pulls nothing."""
        return []

    def close(self) -> None:
        """Ends the server."""
        self._server.kill()
        self._server.wait()
        shutil.rmtree(self._directory, ignore_errors=True)


def _remove_cgroup(top: Path) -> None:
    for path in [*sorted((path for path in top.rglob("*") if path.is_dir()), reverse=True), top]:
        try:
            path.rmdir()
        except OSError:
            return  # in use, or not there


def installed(only: str | None = None, *, in_memory: bool = False) -> Iterator[Subject]:
    """shoald first, then each peer that is installed here; says why one that is installed can't be measured.

    `in_memory`: the engines' storage is on no disk.
    """
    kinds: tuple[tuple[str, Callable[..., Subject]], ...] = (
        ("shoald", ShoaldSubject),
        ("dockerd", DockerdSubject),
        ("podman", PodmanSubject),
    )
    for needed, kind in kinds:
        if only not in (None, needed):
            continue
        if needed != "shoald" and not shutil.which(needed):
            print(f"bench: {needed} is not installed here: left out", file=sys.stderr)
            continue
        try:
            yield kind(in_memory=in_memory)
        except (Failed, RuntimeError) as problem:
            if needed == "shoald":
                raise
            print(f"bench: {needed} does not work here: {problem}", file=sys.stderr)
    if DOCKER and only is None and not in_memory:  # it stores nothing
        yield CommandAlone()
