"""One running instance of the application: in the engine, as a container or a virtual machine, or as a bare process."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from shoal.cli.compare.probes import PLACE
from shoal.client.capture import exec_captured
from shoal.client.client import Client
from shoal.client.document import Document, Json
from shoal.errors import Internal, NotFound, SyscallError
from shoal.linux import procfs

BUSYBOX = f"{PLACE}/busybox"
_FIRST_OUTPUT_S = 120.0
STOP_S = 10
# What runs where the application itself ends at once, or says nothing.
IDLE = [BUSYBOX, "sleep", "1000000"]
_LABEL = "shoal.compare"


class Instance(Protocol):
    """What figures are taken of. `close` ends it and leaves nothing."""

    @property
    def busybox(self) -> str:
        """The path of the probes' program in it."""

    def pids(self) -> list[int]:
        """Its processes on the host."""

    def run(self, script: str) -> tuple[float, str]:
        """Seconds that a script took in it, and what it printed. Raises: Internal where it failed."""

    def address(self) -> str:
        """Where its network answers the host, "" for none."""

    def serve(self, command: Sequence[str]) -> None:
        """Starts a server in it, which ends with it."""

    def stop(self) -> float:
        """The seconds until it has ended as it is asked to."""

    def close(self) -> None:
        """It is gone afterwards; closing twice does nothing."""


@dataclass(frozen=True, slots=True)
class Kind:
    """How the engine is to make an instance."""

    image: str
    isolation: str
    probe_directory: str

    def request(self, command: Sequence[str] | None) -> dict[str, Json]:
        """The body of ContainerCreate; without a command the image's own, else the command instead of it all."""
        body: dict[str, Json] = {
            "Image": self.image,
            "Labels": {_LABEL: self.isolation},
            "HostConfig": {"Isolation": self.isolation, "Binds": [f"{self.probe_directory}:{PLACE}:ro"]},
        }
        if command is not None:
            body["Cmd"] = list(command)
        return body

    def probe_request(self, words: Sequence[str]) -> dict[str, Json]:
        """The body for the probes' program in place of the image's."""
        # A program without handlers, as process 1, is deaf to anything but SIGKILL.
        return {**self.request(words[1:]), "Entrypoint": [words[0]], "StopSignal": "SIGKILL"}


def first_output_s(client: Client, request: Mapping[str, Json]) -> float:
    """The seconds from the request until the first byte of its output; it is removed.

    Raises: Internal where it said nothing.
    """
    began = time.monotonic()
    ref = client.containers.create(request).text("Id")
    try:
        stream = client.containers.attach(ref, stdin=False, stdout=True, stderr=True)
        try:
            client.containers.start(ref)
            if not stream.early and not select.select([stream.connection], [], [], _FIRST_OUTPUT_S)[0]:
                raise Internal(f"an instance printed nothing within {_FIRST_OUTPUT_S:.0f} s")
            if not stream.receive():
                raise Internal("an instance ended without any output")
            return time.monotonic() - began
        finally:
            stream.close()
    finally:
        client.containers.remove(ref, force=True, volumes=True)


class EngineInstance:
    """One container of the engine, in whichever isolation."""

    def __init__(self, client: Client, request: Mapping[str, Json]) -> None:
        """Creates and starts it. Raises: as these calls; nothing is left then."""
        self._client = client
        self._is_closed = False
        self.ref = client.containers.create(request).text("Id")
        try:
            client.containers.start(self.ref)
        except BaseException:
            self.close()
            raise

    busybox = BUSYBOX

    def details(self, *, size: bool = False) -> Document:
        """What inspect tells."""
        return self._client.containers.inspect(self.ref, size=size)

    def is_running(self) -> bool:
        """Whether it still runs."""
        return self.details().flag("State", "Running")

    def main_pid(self) -> int:
        """Its first process on the host, 0 once it has ended."""
        return self.details().number("State", "Pid")

    def pids(self) -> list[int]:
        """Its first process on the host with all below it: of a virtual machine, its monitor, QEMU and virtiofsd."""
        pid = self.main_pid()
        return list(_with_descendants(pid)) if pid else []

    def run(self, script: str) -> tuple[float, str]:
        """As Instance."""
        began = time.monotonic()
        done = exec_captured(self._client, self.ref, [BUSYBOX, "sh", "-c", script])
        took_s = time.monotonic() - began
        if done.exit_code:
            raise Internal("a probe failed in an instance", why=(done.stderr or done.stdout).decode(errors="replace"))
        return took_s, done.text().strip()

    def address(self) -> str:
        """As Instance."""
        for network in self.details().child("NetworkSettings", "Networks").raw.values():
            if isinstance(network, dict) and network.get("IPAddress"):
                return str(network["IPAddress"])
        return ""

    def serve(self, command: Sequence[str]) -> None:
        """As Instance."""
        self._client.execs.start_detached(self._client.execs.create(self.ref, {"Cmd": list(command)}), tty=False)

    def stop(self) -> float:
        """As Instance."""
        began = time.monotonic()
        self._client.containers.stop(self.ref, timeout_s=STOP_S)
        return time.monotonic() - began

    def close(self) -> None:
        """As Instance."""
        if self._is_closed:
            return
        self._is_closed = True
        try:
            self._client.containers.remove(self.ref, force=True, volumes=True)
        except NotFound:
            pass


class BareProcess:
    """A program of the host that nothing isolates: the floor. `root` is the file system that it sees."""

    def __init__(
        self, words: Sequence[str], busybox: str, environment: Mapping[str, str], root: str = "", cwd: str = "/"
    ) -> None:
        """Starts it. Raises: OSError."""
        self.busybox = busybox

        def enter() -> None:
            if root:
                os.chroot(root)
            os.chdir(cwd)

        null = subprocess.DEVNULL
        self._process = subprocess.Popen(
            list(words),
            env=dict(environment),
            stdin=null,
            stdout=null,
            stderr=null,
            preexec_fn=enter,
            start_new_session=True,
        )
        self._servers: list[subprocess.Popen[bytes]] = []

    def is_running(self) -> bool:
        """Whether it still runs."""
        return self._process.poll() is None

    def pids(self) -> list[int]:
        """As Instance."""
        return list(_with_descendants(self._process.pid))

    def run(self, script: str) -> tuple[float, str]:
        """As Instance."""
        began = time.monotonic()
        done = subprocess.run([self.busybox, "sh", "-c", script], capture_output=True, text=True, check=False)
        took_s = time.monotonic() - began
        if done.returncode:
            raise Internal("a probe failed on the host", why=done.stderr)
        return took_s, done.stdout.strip()

    def address(self) -> str:
        """As Instance."""
        return "127.0.0.1"

    def serve(self, command: Sequence[str]) -> None:
        """As Instance."""
        null = subprocess.DEVNULL
        server = subprocess.Popen(list(command), stdin=null, stdout=null, stderr=null, start_new_session=True)
        self._servers.append(server)

    def stop(self) -> float:
        """As Instance."""
        began = time.monotonic()
        self._process.terminate()
        try:
            self._process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self.close()
        return time.monotonic() - began

    def close(self) -> None:
        """As Instance."""
        for process in (*self._servers, self._process):
            try:
                os.killpg(process.pid, signal.SIGKILL)  # its children with it, even where it has ended itself
            except ProcessLookupError:
                pass
            process.wait()


def process_first_output_s(busybox: str) -> float:
    """The seconds that a bare process takes to its first output."""
    began = time.monotonic()
    subprocess.run([busybox, "echo", "first"], stdout=subprocess.PIPE, check=True)
    return time.monotonic() - began


def _with_descendants(pid: int) -> Iterator[int]:
    yield pid
    try:
        children = procfs.children(pid)
    except (OSError, SyscallError):
        return
    for child in children:
        yield from _with_descendants(child)
