"""`shoal why port` over the whole way, command to kernel. Against shoald alone, which adds it.

The faults of the kernel's parts are brought about in tests/kernel/network/test_port_path.py.
"""

from __future__ import annotations

import socket
import subprocess
import sys
from typing import Any

import pytest

from tests.conformance.test_network import container_pid, web
from tests.engines.engine import Engine
from tests.engines.netns import in_network_of, listening_socket

pytestmark = pytest.mark.usefixtures("cli")


def verdict(engine: Engine, name: str, port: str = "80") -> dict[str, Any]:
    """What the API says."""
    answer = engine.request("GET", f"/containers/{name}/why/port?port={port}")
    assert answer.status == 200, answer.body
    return dict(answer.json)


def told(engine: Engine, *words: str) -> str:
    """What `shoal why port` prints."""
    command = [sys.executable, "-m", "shoal.cli.main", "-H", f"unix://{engine.socket}", "why", "port", *words]
    done = subprocess.run(command, capture_output=True, text=True, env=engine.environment(), timeout=30)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_why_port_of_a_healthy_one(shoald: Engine) -> None:
    """Nothing is wrong, and where it is published is told."""
    number = shoald.free_port()
    web(shoald, "-p", f"{number}:80")
    assert told(shoald, "web", "80") == f"Nothing is wrong with 80/tcp of web, published at 0.0.0.0:{number}.\n"
    assert verdict(shoald, "web")["Healthy"] is True


def test_why_port_of_one_for_this_host_only(shoald: Engine) -> None:
    """Healthy, with the limit that was asked for."""
    number = shoald.free_port()
    web(shoald, "-p", f"127.0.0.1:{number}:80")
    found = verdict(shoald, "web")
    assert (found["Healthy"], found["Cause"]) == (True, "loopback-only")


def test_why_port_in_a_network_of_a_users_own(shoald: Engine) -> None:
    """The path over another bridge is looked at."""
    shoald.ok("network", "create", "mine")
    try:
        web(shoald, "--network", "mine", "-p", f"{shoald.free_port()}:80")
        assert (verdict(shoald, "web")["Healthy"], verdict(shoald, "web")["Cause"]) == (True, "")
        shoald.ok("network", "connect", "bridge", "web")
        assert verdict(shoald, "web")["Healthy"] is True
    finally:
        shoald.remove_containers()
        shoald.ok("network", "rm", "mine")


def test_why_port_of_both_families(shoald: Engine) -> None:
    """One program listens for both: healthy, and both are told; one for IPv4 alone is the fault of the other way."""
    shoald.ok("network", "create", "--ipv6", "--subnet", "fd00:77::/64", "mine")
    try:
        number = shoald.free_port()
        web(shoald, "--network", "mine", "-p", f"{number}:80")
        assert verdict(shoald, "web")["Healthy"] is True
        publish = ("-p", f"{shoald.free_port()}:81")
        shoald.ok("run", "-d", "--name", "old", "--network", "mine", *publish, "busybox", "sleep", "99")
        with in_network_of(container_pid(shoald, "old"), lambda: listening_socket(81, socket.SOCK_STREAM)):
            assert verdict(shoald, "old", "81")["Cause"] == "ipv4-listener"
        assert told(shoald, "web", "80").endswith(f"published at 0.0.0.0:{number}, [::]:{number}.\n")
    finally:
        shoald.remove_containers()
        shoald.ok("network", "rm", "mine")


def test_why_port_that_is_not_published(shoald: Engine) -> None:
    """The hint is the command that publishes it, and it mends."""
    web(shoald)
    assert "hint: shoal port add web 80:80/tcp" in told(shoald, "web", "80")
    number = shoald.free_port()
    shoald.request("POST", "/containers/web/ports", {"Add": {"80/tcp": [{"HostPort": str(number)}]}})
    assert verdict(shoald, "web")["Healthy"] is True


@pytest.mark.parametrize(
    ("address", "port", "cause"),
    [
        ("127.0.0.1", "80", "loopback-listener"),
        ("0.0.0.0", "81", "no-listener"),
        ("0.0.0.0", "80/udp", "listener-protocol"),
    ],
)
def test_why_port_of_a_program_that_listens_elsewhere(shoald: Engine, address: str, port: str, cause: str) -> None:
    """The address, the port or the protocol of the program is another one."""
    publish = ["-p", f"{shoald.free_port()}:80", "-p", f"{shoald.free_port()}:81"]
    shoald.ok("run", "-d", "--name", "web", *publish, "busybox", "httpd", "-f", "-p", f"{address}:80")
    shoald.ok("exec", "web", "sh", "-c", "while ! netstat -ltn | grep -q ':80 '; do sleep 0.02; done")
    assert verdict(shoald, "web", port)["Cause"] == cause


def test_why_port_of_a_container_that_does_not_run(shoald: Engine) -> None:
    """Made, ended, paused, or kept from starting by its host port: each has its own sentence."""
    shoald.ok("create", "--name", "made", "busybox", "true")
    assert verdict(shoald, "made")["Cause"] == "not-running"
    assert verdict(shoald, "made")["Hint"] == "shoal start made"
    shoald.ok("run", "--name", "ended", "busybox", "true")
    assert "why exit ended" in verdict(shoald, "ended")["Hint"]
    web(shoald)
    shoald.ok("pause", "web")
    assert verdict(shoald, "web")["Cause"] == "paused"
    shoald.ok("unpause", "web")
    with shoald.listen() as taken:
        shoald.docker("run", "-d", "--name", "late", "-p", f"{taken.getsockname()[1]}:80", "busybox", "sleep", "9")
    assert verdict(shoald, "late")["Cause"] == "host-port-taken"


def test_why_port_without_a_network_of_its_own(shoald: Engine) -> None:
    """The host's network is healthy where the program listens; none has no way; another's is looked at there."""
    number = shoald.free_port()
    web(shoald, "-p", f"{number}:80")
    shoald.ok("run", "-d", "--name", "guest", "--network", "container:web", "busybox", "sleep", "1000")
    assert verdict(shoald, "guest")["Published"] == [f"0.0.0.0:{number}"]
    shoald.ok("run", "-d", "--name", "none", "--network", "none", "busybox", "httpd", "-f", "-p", "80")
    assert verdict(shoald, "none")["Cause"] == "no-network"
    with shoald.listen() as server:
        shoald.ok("run", "-d", "--name", "host", "--network", "host", "busybox", "sleep", "1000")
        assert verdict(shoald, "host", str(server.getsockname()[1]))["Healthy"] is True
    assert verdict(shoald, "host", "1")["Cause"] == "no-listener"


def test_why_port_of_an_udp_server(shoald: Engine) -> None:
    """A bound datagram socket counts as a listener."""
    shoald.ok("run", "-d", "--name", "dns", "-p", f"{shoald.free_port()}:53/udp", "busybox", "sleep", "1000")
    assert verdict(shoald, "dns", "53/udp")["Cause"] == "no-listener"
    with in_network_of(container_pid(shoald, "dns"), lambda: listening_socket(53, socket.SOCK_DGRAM)):
        assert verdict(shoald, "dns", "53/udp")["Healthy"] is True


def test_why_port_bad_request_is_refused(shoald: Engine) -> None:
    """No such container, no such port."""
    web(shoald)
    assert shoald.request("GET", "/containers/nobody/why/port?port=80").status == 404
    for port in ("", "x", "0", "70000", "80/xtp"):
        assert shoald.request("GET", f"/containers/web/why/port?port={port}").status == 400
