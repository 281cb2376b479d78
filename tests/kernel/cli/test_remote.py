"""Engines that are not on a unix socket of this machine: TLS over TCP, and ssh."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.engines.busybox import IMAGE
from tests.engines.certificates import Certificates, make_certificates
from tests.engines.engine import DOCKER
from tests.engines.shoald import Shoald
from tests.kernel.cli.shoal import COMMAND, environment

pytestmark = pytest.mark.root

SHOAL = list(COMMAND)
CLIENTS = [pytest.param(SHOAL, id="shoal"), pytest.param([DOCKER], id="docker")] if DOCKER else [SHOAL]


@dataclass(frozen=True)
class Remote:
    """A shoald that serves TLS, with a container that runs."""

    engine: Shoald
    port: int
    certificates: Certificates

    def run(
        self, client: list[str], *words: str, who: str = "client", input: bytes = b"", tls: bool = True
    ) -> subprocess.CompletedProcess[bytes]:
        """The outcome of a command over TLS with the certificate of `who`, or without any TLS."""
        variables = environment() | {
            "DOCKER_HOST": f"tcp://127.0.0.1:{self.port}",
            "DOCKER_CERT_PATH": str(getattr(self.certificates, who)),
            "DOCKER_CONFIG": str(self.certificates.client.parent),
        }
        if tls:
            variables["DOCKER_TLS_VERIFY"] = "1"
        return subprocess.run([*client, *words], input=input, capture_output=True, env=variables, timeout=60)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


@pytest.fixture(scope="module")
def remote(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Remote]:
    """One engine for the module."""
    certificates, port = make_certificates(tmp_path_factory.mktemp("certificates")), _free_port()
    files = [f"--tlscacert={certificates.authority}", f"--tlscert={certificates.engine}"]
    engine = Shoald(
        "--ip-forward=false", "--tlsverify", *files, f"--tlskey={certificates.engine_key}", f"-H=tcp://127.0.0.1:{port}"
    )
    try:
        engine.start()
        engine.import_busybox()
        found = Remote(engine, port, certificates)
        body = {"Image": IMAGE, "Cmd": ["sleep", "1000"], "HostConfig": {"NetworkMode": "none"}}
        engine.request("POST", "/containers/create?name=idle", body)
        engine.request("POST", "/containers/idle/start")
        yield found
    finally:
        engine.close()


@pytest.mark.parametrize("client", CLIENTS)
def test_tls_known_client_is_served(remote: Remote, client: list[str]) -> None:
    """A client whose certificate the engine's CA signed is a client like any other."""
    outcome = remote.run(client, "ps", "--format", "{{.Names}}")
    assert (outcome.returncode, outcome.stdout, outcome.stderr) == (0, b"idle\n", b"")


@pytest.mark.parametrize("client", CLIENTS)
def test_tls_streams_carry_everything_after_a_half_close(remote: Remote, client: list[str]) -> None:
    """Two megabytes go in and come out, though the input's end is told before the output begins to end."""
    data = os.urandom(1 << 20) * 2
    outcome = remote.run(client, "exec", "-i", "idle", "cat", input=data)
    assert outcome.returncode == 0, outcome.stderr
    assert outcome.stdout == data
    outcome = remote.run(client, "run", "--rm", "-i", "--network=none", "--log-driver=none", IMAGE, "cat", input=data)
    assert outcome.returncode == 0, outcome.stderr
    assert outcome.stdout == data


@pytest.mark.parametrize("client", CLIENTS)
def test_tls_exit_code_and_stderr_come_through(remote: Remote, client: list[str]) -> None:
    """What a container's end means is the same over TLS."""
    outcome = remote.run(client, "run", "--rm", "--network=none", IMAGE, "sh", "-c", "echo bad >&2; exit 7")
    assert (outcome.returncode, outcome.stdout, outcome.stderr) == (7, b"", b"bad\n")


@pytest.mark.parametrize("client", CLIENTS)
def test_tls_stranger_is_refused_and_told_why(remote: Remote, client: list[str]) -> None:
    """Another CA's certificate gets nobody in, and the alert arrives."""
    outcome = remote.run(client, "ps", who="stranger")
    assert outcome.returncode == 1
    assert b"ca" in outcome.stderr.lower()
    assert b"Cannot connect" not in outcome.stderr


@pytest.mark.parametrize("client", CLIENTS)
def test_tls_plain_client_is_told_to_use_tls(remote: Remote, client: list[str]) -> None:
    """A request in plain text gets the answer that Go's servers give, in plain text."""
    outcome = remote.run(client, "ps", tls=False)
    assert outcome.returncode == 1
    assert b"Client sent an HTTP request to an HTTPS server." in outcome.stderr


def test_tls_silent_and_babbling_clients_cost_the_engine_nothing(remote: Remote) -> None:
    """Bytes that are no TLS end that client alone, and those who say nothing are let go when they leave."""
    before = len(os.listdir(f"/proc/{remote.engine.pid}/fd"))
    silent = [socket.create_connection(("127.0.0.1", remote.port)) for _ in range(20)]
    for noise in (b"\x16\x03\x01\xff\xff" + b"x" * 1000, os.urandom(5000), b"\0" * 20):
        with socket.create_connection(("127.0.0.1", remote.port)) as babbling:
            babbling.sendall(noise)
            babbling.shutdown(socket.SHUT_WR)
            while babbling.recv(4096):
                pass
    for client in silent:
        client.close()
    assert remote.run(SHOAL, "ps").returncode == 0
    assert _settles(lambda: len(os.listdir(f"/proc/{remote.engine.pid}/fd")) <= before + 2)


def _settles(holds: object) -> bool:
    assert callable(holds)
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        if holds():
            return True
        time.sleep(0.05)  # what another process closes announces itself to nobody
    return False


# ── ssh ─────────────────────────────────────────────────────────────────────────────────────────────────────────────

# Does what ssh does, on this machine: drops its own options, takes the host, runs the rest by a shell.
FAKE_SSH = """#!/bin/sh
while [ "$1" != -- ]; do shift; done
shift
[ "$1" != nowhere ] || { echo "ssh: connect to host nowhere port 22: Connection refused" >&2; exit 255; }
shift
exec sh -c "$*"
"""


@pytest.fixture
def on_path(tmp_path: Path) -> dict[str, str]:
    """An environment in which `ssh` is a stand-in, and the other machine has `shoal` and, by a link, `docker`."""
    ssh, shoal = tmp_path / "ssh", tmp_path / "far" / "shoal"
    shoal.parent.mkdir()
    ssh.write_text(FAKE_SSH.replace("exec sh", f"PATH={shoal.parent}:$PATH exec sh"))
    shoal.write_text(f'#!/bin/sh\nexec {" ".join(COMMAND)} "$@"\n')
    for program in (ssh, shoal):
        program.chmod(0o755)
    (shoal.parent / "docker").symlink_to("shoal")
    return environment() | {"PATH": f"{tmp_path}:{os.environ['PATH']}", "DOCKER_CONFIG": str(tmp_path)}


def _through_ssh(
    remote: Remote, variables: dict[str, str], client: list[str], *words: str, input: bytes = b""
) -> subprocess.CompletedProcess[bytes]:
    address = f"ssh://me@box{remote.engine.socket}"
    return subprocess.run(
        [*client, *words], input=input, capture_output=True, env=variables | {"DOCKER_HOST": address}, timeout=60
    )


@pytest.mark.parametrize("client", CLIENTS)
def test_ssh_reaches_the_engine_with_all_its_streams(
    remote: Remote, client: list[str], on_path: dict[str, str]
) -> None:
    """`shoal` and Docker's client both work through `dial-stdio`, half-close and all."""
    assert _through_ssh(remote, on_path, client, "ps", "--format", "{{.Names}}").stdout == b"idle\n"
    data = os.urandom(1 << 20)
    outcome = _through_ssh(remote, on_path, client, "exec", "-i", "idle", "cat", input=data)
    assert outcome.returncode == 0, outcome.stderr
    assert outcome.stdout == data
    assert _through_ssh(remote, on_path, client, "exec", "idle", "sh", "-c", "exit 5").returncode == 5


def test_ssh_that_can_not_log_in_is_told(on_path: dict[str, str]) -> None:
    """ssh's own words are shown, and then what they mean."""
    outcome = subprocess.run(
        [*SHOAL, "-H", "ssh://nowhere", "ps"], input=b"", capture_output=True, env=on_path, timeout=30
    )
    assert outcome.returncode == 1
    assert b"Connection refused" in outcome.stderr
    assert b"cannot reach ssh://nowhere: ssh could not log in" in outcome.stderr


def test_ssh_without_shoal_on_the_other_side_is_told(on_path: dict[str, str], tmp_path: Path) -> None:
    """The shell's 127 becomes a sentence."""
    shutil.rmtree(tmp_path / "far")
    outcome = subprocess.run([*SHOAL, "-H", "ssh://box", "ps"], input=b"", capture_output=True, env=on_path, timeout=30)
    assert outcome.returncode == 1
    assert b"no `shoal` on the PATH of that machine" in outcome.stderr
