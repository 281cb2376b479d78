"""shoal.network.ports: Docker's port bindings read and shown, host ports reserved by sockets on loopback."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoal.api.host_config import PortBinding
from shoal.errors import Internal, InvalidArgument, ShoalError
from shoal.network.endpoint import PublishedPort
from shoal.network.ports import (
    PortRequest,
    PortReservations,
    parse_port,
    parse_port_bindings,
    read_ephemeral_range,
    show_ports,
)


def binding(host_port: str = "", host_ip: str = "") -> PortBinding:
    """One entry of a port's list."""
    return PortBinding(host_ip=host_ip, host_port=host_port)


@pytest.fixture
def free_port() -> int:
    """A port that nothing has on loopback at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def reservations() -> Iterator[PortReservations]:
    """Reservations that are let go at the end."""
    reservations = PortReservations()
    yield reservations
    reservations.close()


def local(port: int, protocol: str = "tcp") -> PortRequest:
    """A request for one port on loopback."""
    assert protocol in ("tcp", "udp")
    return PortRequest("tcp" if protocol == "tcp" else "udp", 80, "127.0.0.1", range(port, port + 1))


def test_parse_bindings_of_every_form() -> None:
    """Plain, with address, as a range, without number, udp, without protocol; fixed ones first."""
    parsed = parse_port_bindings(
        {
            "80/tcp": [binding("8080"), binding("8081", "127.0.0.1")],
            "53/udp": [binding("")],
            "443": [binding("8000-8010")],
            "25/tcp": [binding("0")],
        }
    )
    assert parsed == (
        PortRequest("tcp", 80, "0.0.0.0", range(8080, 8081), dual=True),
        PortRequest("tcp", 80, "127.0.0.1", range(8081, 8082)),
        PortRequest("tcp", 443, "0.0.0.0", range(8000, 8011), dual=True),
        PortRequest("udp", 53, "0.0.0.0", None, dual=True),
        PortRequest("tcp", 25, "0.0.0.0", None, dual=True),
    )


def test_parse_bindings_publish_all_adds_the_exposed_ones() -> None:
    """`-P` publishes what is exposed and not yet published."""
    parsed = parse_port_bindings({"80/tcp": [binding("8080")]}, exposed=["80/tcp", "53/udp"], publish_all=True)
    assert parsed == (
        PortRequest("tcp", 80, "0.0.0.0", range(8080, 8081), dual=True),
        PortRequest("udp", 53, dual=True),
    )


def test_parse_bindings_without_publish_all_ignores_exposed_and_empty_ones() -> None:
    """An exposed port, or one with an empty list, is not published."""
    assert parse_port_bindings({"80/tcp": [], "81/tcp": None}, exposed=["80/tcp"]) == ()
    assert len(parse_port_bindings({"80/tcp": [], "81/tcp": None}, exposed=["80/tcp"], publish_all=True)) == 2


def test_parse_bindings_default_host_ip_is_used() -> None:
    """The daemon's `--ip` stands in where none is given."""
    assert parse_port_bindings({"80": [binding()]}, default_host_ip="127.0.0.1")[0].host_ip == "127.0.0.1"


@pytest.mark.parametrize(
    "host_port", ["abc", "65536", "-1", "80-", "-", "90-80", "8080x", "٣", "1-2-3", "99999999999999"]
)
def test_parse_bindings_malformed_host_port_is_dockers_sentence(host_port: str) -> None:
    """HTTP 400 with the words that Docker uses."""
    with pytest.raises(InvalidArgument) as caught:
        parse_port_bindings({"80/tcp": [binding(host_port)]})
    assert caught.value.what == f'invalid port specification: "{host_port}"'


@pytest.mark.parametrize("key", ["", "0/tcp", "80/xyz", "80-90/tcp", "a/tcp", "70000", "/tcp"])
def test_parse_port_malformed_is_refused(key: str) -> None:
    """A container port is one number from 1 to 65535 and one of three protocols."""
    with pytest.raises(InvalidArgument, match="invalid port specification"):
        parse_port(key)


def test_parse_bindings_malformed_host_ip_is_refused() -> None:
    """Something that isn't an address never becomes 0.0.0.0."""
    with pytest.raises(InvalidArgument, match="invalid IP address in port binding"):
        parse_port_bindings({"80/tcp": [binding("80", "localhost")]})


@pytest.mark.parametrize(
    ("host_ip", "read"), [("::", "::"), ("::1", "::1"), ("[::1]", "::1"), ("FD00:0::1", "fd00::1")]
)
def test_parse_bindings_ipv6_host_ip_is_for_ipv6_only(host_ip: str, read: str) -> None:
    """In its usual form, so that equal addresses are the same, and at no IPv4 address besides."""
    (parsed,) = parse_port_bindings({"80/tcp": [binding("80", host_ip)]})
    assert parsed.host_ips == (read,)


@given(st.text(max_size=12), st.text(max_size=12), st.text(max_size=12))
def test_parse_bindings_any_text_is_parsed_or_refused(key: str, host_port: str, host_ip: str) -> None:
    """No text makes it fail in another way than with an error for the user."""
    try:
        parsed = parse_port_bindings({key: [binding(host_port, host_ip)]})
    except ShoalError:
        return
    assert all(0 < request.container_port <= 65535 for request in parsed)


def test_show_ports_has_published_and_exposed() -> None:
    """`NetworkSettings.Ports`: a list where published, None where only exposed."""
    ports = [PublishedPort("tcp", 80, "0.0.0.0", 8080), PublishedPort("tcp", 80, "127.0.0.1", 8081)]
    assert show_ports(ports, ["80/tcp", "53/udp"]) == {
        "80/tcp": [binding("8080", "0.0.0.0"), binding("8081", "127.0.0.1")],
        "53/udp": None,
    }


def test_reserve_fixed_port_holds_it_until_release(reservations: PortReservations, free_port: int) -> None:
    """While held nobody binds it, afterwards anybody does."""
    ports = reservations.reserve([local(free_port)], "172.17.0.2")
    assert ports == (PublishedPort("tcp", 80, "127.0.0.1", free_port),)
    with pytest.raises(OSError, match="in use"):
        socket.create_server(("127.0.0.1", free_port))
    reservations.release(ports)
    socket.create_server(("127.0.0.1", free_port)).close()


def test_reserve_tcp_and_udp_of_one_number_are_two_ports(reservations: PortReservations, free_port: int) -> None:
    """The same number may be published for both protocols."""
    assert len(reservations.reserve([local(free_port), local(free_port, "udp")], "172.17.0.2")) == 2


def test_reserve_range_takes_the_first_free(reservations: PortReservations, free_port: int) -> None:
    """A second container with the same range gets the next port; at the end all are allocated."""
    request = PortRequest("tcp", 80, "127.0.0.1", range(free_port, free_port + 2))
    first = reservations.reserve([request], "172.17.0.2")[0].host_port
    second = reservations.reserve([request], "172.17.0.3")[0].host_port
    assert (first, second) == (free_port, free_port + 1)
    with pytest.raises(Internal) as caught:
        reservations.reserve([request], "172.17.0.4")
    assert caught.value.what == f"Bind for 127.0.0.1:{free_port}-{free_port + 1} failed: all ports are allocated"


def test_reserve_random_ports_are_distinct_and_in_the_range(reservations: PortReservations) -> None:
    """Random ports come from the host's ephemeral range, each once."""
    request = PortRequest("tcp", 80, "127.0.0.1")
    ports = [reservations.reserve([request], "172.17.0.2")[0].host_port for _ in range(50)]
    assert len(set(ports)) == 50
    assert set(ports) <= set(read_ephemeral_range())


def test_reserve_random_port_just_freed_rests(reservations: PortReservations) -> None:
    """The next container doesn't get the port of the one that just ended."""
    request = PortRequest("tcp", 80, "127.0.0.1")
    first = reservations.reserve([request], "172.17.0.2")
    reservations.release(first)
    assert reservations.reserve([request], "172.17.0.2") != first


def test_reserve_failure_lets_go_of_the_others(reservations: PortReservations, free_port: int) -> None:
    """All or none: a request that fails frees what the same container had got."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        number = taken.getsockname()[1]
        with pytest.raises(Internal) as caught:
            reservations.reserve([local(free_port), local(number)], "172.17.0.2")
    assert caught.value.what == (
        f"failed to bind host port for 127.0.0.1:{number}:172.17.0.2:80/tcp: address already in use"
    )
    socket.create_server(("127.0.0.1", free_port)).close()


def test_reserve_address_that_the_host_lacks_tells_so(reservations: PortReservations) -> None:
    """The errno's text in Docker's sentence."""
    with pytest.raises(Internal) as caught:
        reservations.reserve([PortRequest("tcp", 80, "203.0.113.7", range(8080, 8090))], "172.17.0.2")
    assert caught.value.what == (
        "failed to bind host port for 203.0.113.7:8080:172.17.0.2:80/tcp: cannot assign requested address"
    )


@pytest.mark.parametrize(("first", "second"), [("0.0.0.0", "127.0.0.1"), ("127.0.0.1", "0.0.0.0")])
def test_reserve_port_of_another_daemon_is_refused(
    reservations: PortReservations, free_port: int, first: str, second: str
) -> None:
    """Two daemons never publish one port, whichever of them has all addresses."""
    reservations.reserve([PortRequest("tcp", 80, first, range(free_port, free_port + 1))], "172.17.0.2")
    other = PortReservations()
    with pytest.raises(Internal) as caught:
        other.reserve([PortRequest("tcp", 80, second, range(free_port, free_port + 1))], "172.18.0.2")
    assert caught.value.what.endswith("address already in use")


def test_hold_again_tells_which_ports_are_lost(reservations: PortReservations, free_port: int) -> None:
    """Of the ports of a former daemon, those that somebody has taken meanwhile."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        kept = PublishedPort("tcp", 80, "127.0.0.1", free_port)
        lost = PublishedPort("tcp", 80, "127.0.0.1", taken.getsockname()[1])
        assert reservations.hold_again([kept, lost]) == [lost]
        assert reservations.hold_again([kept]) == []
