"""What else `-p` can say: ranges, protocols, addresses, and what is refused, in Docker's words."""

from __future__ import annotations

import errno
import socket

import pytest

from tests.conformance.test_network import HELLO, container_pid, fetch, web
from tests.engines.engine import Engine
from tests.engines.netns import in_network_of, listening_socket

pytestmark = pytest.mark.usefixtures("cli")


def free_range(engine: Engine, count: int) -> int:
    """The first of several ports in a row that nobody has now."""
    while True:
        first = engine.free_port()
        if first + count > 65_000:
            continue
        try:
            for number in range(first, first + count):
                engine.listen(number).close()
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
            continue
        return first


def test_publish_one_port_to_the_first_free_one_of_a_range(engine: Engine) -> None:
    """-p 8000-8002:80 takes the first that no other container has; the range used up, Docker says so."""
    first = free_range(engine, 3)
    for number in range(3):
        web(engine, "-p", f"{first}-{first + 2}:80", name=f"web{number}")
        assert engine.ok("port", f"web{number}", "80").splitlines()[0] == f"0.0.0.0:{first + number}"
        assert fetch(engine, first + number) == HELLO
    done = engine.docker("run", "-d", "--name", "late", "-p", f"{first}-{first + 2}:80", "busybox", "true")
    assert done.returncode == 125
    assert "all ports are allocated" in done.stderr


def test_publish_ranges_pair_up(engine: Engine) -> None:
    """-p 8000-8002:79-81 leads each to its own."""
    first = free_range(engine, 3)
    web(engine, "-p", f"{first}-{first + 2}:79-81")
    assert fetch(engine, first + 1) == HELLO
    for offset in range(3):
        assert engine.ok("port", "web", str(79 + offset)).splitlines()[0] == f"0.0.0.0:{first + offset}"


def test_publish_range_inside_only_takes_free_ports(engine: Engine) -> None:
    """-p 79-81 gives each of the three a free one."""
    web(engine, "-p", "79-81")
    ports = [engine.ok("port", "web", str(number)).splitlines()[0].rpartition(":")[2] for number in (79, 80, 81)]
    assert len(set(ports)) == 3
    assert fetch(engine, int(ports[1])) == HELLO


@pytest.mark.parametrize(
    "text", ["8000-8001:80-82", "8000-8005:80-82", "8002-8000:80", "70000:80", "80/xtp", "1.2.3:80:80"]
)
def test_publish_of_nonsense_is_refused(engine: Engine, text: str) -> None:
    """Ranges that do not match or run backwards, numbers, protocols and addresses that there are not."""
    done = engine.docker("create", "--name", "it", "-p", text, "busybox", "true")
    assert done.returncode in {1, 125}
    assert "nvalid" in done.stderr
    assert engine.docker("inspect", "it").returncode == 1


def test_publish_the_same_port_by_tcp_and_udp(engine: Engine) -> None:
    """The two protocols have ports of their own."""
    number = engine.free_port()
    web(engine, "-p", f"{number}:80/tcp", "-p", f"{number}:53/udp")
    assert fetch(engine, number) == HELLO
    inside = in_network_of(container_pid(engine, "web"), lambda: listening_socket(53, socket.SOCK_DGRAM))
    with inside, engine.datagram_socket() as outside:
        inside.settimeout(5)
        outside.settimeout(5)
        outside.sendto(b"ping", ("127.0.0.1", number))
        data, sender = inside.recvfrom(10)
        inside.sendto(data, sender)
        assert outside.recv(10) == b"ping"


def test_publish_range_with_one_taken_does_nothing_by_half(engine: Engine) -> None:
    """One of three is a host program's: the start fails in Docker's words, and the other two stay free."""
    first = free_range(engine, 3)
    with engine.listen(first + 1):
        done = engine.docker("run", "-d", "--name", "it", "-p", f"{first}-{first + 2}:79-81", "busybox", "true")
        assert done.returncode == 125
        assert "driver failed programming external connectivity on endpoint it" in done.stderr
        engine.listen(first).close()
        engine.listen(first + 2).close()
    assert engine.ok("inspect", "-f", "{{.State.Status}}", "it") == "created"


def test_publish_large_request_and_release_of_a_hundred_ports(engine: Engine) -> None:
    """A hundred ports answer, and are free again when the container has gone."""
    first = free_range(engine, 100)
    web(engine, *(word for number in range(100) for word in ("-p", f"127.0.0.1:{first + number}:80")))
    for number in (0, 50, 99):
        assert fetch(engine, first + number) == HELLO
    engine.ok("rm", "-f", "web")
    # Not those that were asked: dockerd's proxy leaves connections in TIME_WAIT on them.
    for number in (*range(1, 50), *range(51, 99)):
        engine.listen(first + number).close()


def test_publish_at_an_ipv6_address_without_ipv6_is_refused(shoald: Engine) -> None:
    """The kernel has nowhere to send what comes there: said at the start, and nothing is left."""
    done = shoald.docker("run", "--rm", "-p", "[::1]:8080:80", "busybox", "true")
    assert done.returncode == 125
    assert "cannot publish port 80/tcp on [::1]: the container has no IPv6 address" in done.stderr
    assert shoald.ok("ps", "-aq") == ""
