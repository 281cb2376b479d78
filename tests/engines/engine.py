"""What every engine under test can do, whichever it is: the docker command, docker-py, raw HTTP, its network."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from functools import cached_property
from pathlib import Path
from typing import IO
from urllib.parse import quote

from docker.client import DockerClient

from tests.engines import busybox
from tests.engines.http import Response, UnixConnection, exchange, request
from tests.engines.netns import in_network_of, listening_socket

DOCKER = shutil.which("docker")
PREDEFINED_NETWORKS = ("bridge", "host", "none")


class Engine:
    """A daemon of its own: own data root, exec root, socket; stopped, and its directory removed, by `close`."""

    name = "engine"
    # Whether the daemon was put into a network namespace of its own.
    own_network = False

    def __init__(self) -> None:
        # A unix socket's path is at most 107 bytes, so not below a long TMPDIR.
        self.directory = Path(tempfile.mkdtemp(prefix=f"{self.name}-", dir="/tmp"))
        self.data_root = str(self.directory / "data")
        self.exec_root = str(self.directory / "run")
        self.socket = str(self.directory / "run" / "docker.sock")
        self.log_path = self.directory / "log"
        self.process: subprocess.Popen[bytes] | None = None
        # With a file in it: a client that finds none there, as Compose 1.29, would read the developer's own.
        (self.directory / "config").mkdir()
        (self.directory / "config" / "config.json").write_text("{}")
        os.mkdir(self.exec_root)

    def command(self) -> list[str]:
        """The command line that starts the daemon in the foreground."""
        raise NotImplementedError

    @property
    def pid(self) -> int:
        """The daemon's process id."""
        assert self.process is not None, f"{self.name} is not running"
        return self.process.pid

    @property
    def log(self) -> str:
        """What the daemon has logged so far."""
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    def start(self, *, timeout_s: float = 120) -> None:
        """Start the daemon, and return when it answers a ping.

        Raises: RuntimeError with the end of its log when it ends or stays silent.
        """
        with self.log_path.open("ab") as log:
            self.process = subprocess.Popen(
                self.command(), stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=self.environment()
            )
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline and self.process.poll() is None:
            with contextlib.suppress(OSError):
                if self.request("GET", "/_ping").status == 200:
                    return
            time.sleep(0.01)  # nothing announces readiness but the socket itself
        raise RuntimeError(f"{self.name} did not come up:\n" + self.log[-4000:])

    def environment(self) -> dict[str, str]:
        """The environment of the daemon and of the docker command: nothing of the developer's own settings."""
        keep = {key: value for key, value in os.environ.items() if not key.startswith(("DOCKER_", "COLUMNS"))}
        config = str(self.directory / "config")
        return keep | {"DOCKER_HOST": f"unix://{self.socket}", "DOCKER_CONFIG": config, "DOCKER_CLI_HINTS": "false"}

    def stop(self, *, timeout_s: float = 30) -> int:
        """The daemon's exit status after SIGTERM."""
        assert self.process is not None
        process, self.process = self.process, None
        process.send_signal(signal.SIGTERM)
        try:
            return process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise

    def restart(self) -> None:
        """Stop the daemon in the ordinary way and start it again on the same state."""
        self.stop()
        self.start()

    def kill9(self) -> None:
        """Kill the daemon as the kernel's OOM killer would; `start` starts it again."""
        assert self.process is not None
        process, self.process = self.process, None
        process.kill()
        process.wait()

    def shutdown(self) -> None:
        """Remove every container and stop the daemon, if it runs."""
        if self.process is not None:
            self.remove_containers()
            self.client_close()
            self.stop()

    def close(self) -> None:
        """Shut down, and remove the engine's directory."""
        self.shutdown()
        shutil.rmtree(self.directory, ignore_errors=True)

    # ── the docker command ──────────────────────────────────────────────────────────────────────────────────────────

    def docker(self, *args: str, input: str | None = None, timeout_s: float = 60) -> subprocess.CompletedProcess[str]:
        """The outcome of one docker command, its output as text."""
        done = self.docker_bytes(*args, input=None if input is None else input.encode(), timeout_s=timeout_s)
        out, err = (text.decode(errors="replace") for text in (done.stdout, done.stderr))
        return subprocess.CompletedProcess(done.args, done.returncode, out, err)

    def docker_bytes(
        self, *args: str, input: bytes | None = None, timeout_s: float = 60
    ) -> subprocess.CompletedProcess[bytes]:
        """The outcome of one docker command, its output as it came. No input means an empty, closed one."""
        assert DOCKER is not None, "the docker command is not installed"
        return subprocess.run(
            [DOCKER, *args], input=input or b"", capture_output=True, env=self.environment(), timeout=timeout_s
        )

    def ok(self, *args: str, input: str | None = None, timeout_s: float = 60) -> str:
        """What a docker command printed, without the line's end; asserts that it succeeded."""
        done = self.docker(*args, input=input, timeout_s=timeout_s)
        assert done.returncode == 0, f"docker {' '.join(args)}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout.rstrip("\n")

    def popen(self, *args: str, stdin: int | IO[bytes] | None = subprocess.DEVNULL) -> subprocess.Popen[bytes]:
        """A docker command that goes on while the test does; the test ends it."""
        assert DOCKER is not None, "the docker command is not installed"
        pipe = subprocess.PIPE
        return subprocess.Popen([DOCKER, *args], stdin=stdin, stdout=pipe, stderr=pipe, env=self.environment())

    def inspect(self, ref: str) -> dict[str, object]:
        """`docker inspect` of a container as the API gives it."""
        answer = self.request("GET", f"/containers/{ref}/json")
        assert answer.status == 200, answer.body
        return dict(answer.json)

    # ── docker-py and raw HTTP ──────────────────────────────────────────────────────────────────────────────────────

    @cached_property
    def client(self) -> DockerClient:
        """A docker-py client of this engine."""
        return DockerClient(base_url=f"unix://{self.socket}", version="auto", timeout=60)

    def client_close(self) -> None:
        """Close the docker-py client, if one was made."""
        if "client" in self.__dict__:
            self.client.close()
            del self.__dict__["client"]

    def request(self, method: str, target: str, body: object = None, headers: dict[str, str] | None = None) -> Response:
        """The answer to one HTTP request; a body that is not bytes travels as JSON."""
        headers = dict(headers or {})
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
            headers.setdefault("Content-Type", "application/json")
        return request(self.socket, method, target, body, headers)

    def exchange(self, data: bytes, *, half_close: bool = False) -> bytes:
        """All that the engine sends back for raw bytes."""
        return exchange(self.socket, data, half_close=half_close)

    def connection(self) -> UnixConnection:
        """An HTTP connection to keep open; the caller closes it."""
        return UnixConnection(self.socket)

    # ── state ───────────────────────────────────────────────────────────────────────────────────────────────────────

    def import_busybox(self) -> None:
        """Put the busybox image in place, without any registry."""
        changes = quote('CMD ["sh"]')
        target = f"/images/create?fromSrc=-&repo={busybox.IMAGE}&tag=latest&changes={changes}"
        answer = self.request("POST", target, busybox.root_filesystem())
        assert answer.status == 200, answer.body
        assert b"error" not in answer.body, answer.body

    def remove_containers(self) -> None:
        """Remove every container of this engine by force; dockerd may need to be asked again while one is dying."""
        for entry in self.request("GET", "/containers/json?all=1").json:
            for _ in range(5):
                if self.request("DELETE", f"/containers/{entry['Id']}?force=1&v=1").status < 500:
                    break
                time.sleep(0.5)  # nothing tells when it will be possible

    def clear(self) -> None:
        """Remove every container, volume and network that a case left; images stay."""
        self.remove_containers()
        for volume in self.request("GET", "/volumes").json["Volumes"] or []:
            self.request("DELETE", f"/volumes/{quote(volume['Name'], safe='')}?force=1")
        for network in self.request("GET", "/networks").json:
            if network["Name"] not in PREDEFINED_NETWORKS:
                self.request("DELETE", f"/networks/{network['Id']}")

    def remove_images(self, *, keep: str = f"{busybox.IMAGE}:latest") -> None:
        """Remove every image but one, and put that one back where a test took it away."""
        for entry in self.request("GET", "/images/json?all=1").json:
            tags = [tag for tag in entry["RepoTags"] or [] if tag != "<none>:<none>"]
            if keep not in tags:
                self.request("DELETE", f"/images/{entry['Id']}?force=1")
            for tag in tags:
                if tag != keep:
                    self.request("DELETE", f"/images/{quote(tag, safe='')}?force=1")
        if self.request("GET", f"/images/{keep}/json").status != 200:
            self.import_busybox()

    # ── the engine's network ────────────────────────────────────────────────────────────────────────────────────────

    @property
    def _network_pid(self) -> int | None:
        return self.pid if self.own_network else None

    def ip(self, *words: str) -> str:
        """What ip(8) says on the machine that the engine believes to run on."""
        command = ["nsenter", f"--net=/proc/{self._network_pid or 'self'}/ns/net", "ip", *words]
        return subprocess.run(command, check=True, capture_output=True, text=True, timeout=30).stdout

    def connect(self, port: int, host: str = "127.0.0.1", timeout_s: float = 10) -> socket.socket:
        """A TCP connection, made on the machine that the engine believes to run on; the caller closes it."""
        return in_network_of(self._network_pid, lambda: socket.create_connection((host, port), timeout_s))

    def listen(self, port: int = 0) -> socket.socket:
        """A listening TCP socket of a host process on the engine's machine; the caller closes it."""
        return in_network_of(self._network_pid, lambda: listening_socket(port))

    def free_port(self) -> int:
        """A TCP port that nobody has now."""
        with self.listen() as sock:
            return int(sock.getsockname()[1])

    def datagram_socket(self) -> socket.socket:
        """A UDP socket on the engine's machine; the caller closes it."""
        return in_network_of(self._network_pid, lambda: listening_socket(kind=socket.SOCK_DGRAM))
