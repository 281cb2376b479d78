"""`-p` in all its forms."""

from __future__ import annotations

import pytest

from shoal.cli.container.ports import parse_ports
from shoal.errors import InvalidArgument


@pytest.mark.parametrize(
    ("text", "bindings"),
    [
        ("80", {"80/tcp": [("", "")]}),
        ("8080:80", {"80/tcp": [("", "8080")]}),
        ("8080:80/udp", {"80/udp": [("", "8080")]}),
        ("127.0.0.1:8080:80", {"80/tcp": [("127.0.0.1", "8080")]}),
        ("127.0.0.1::80", {"80/tcp": [("127.0.0.1", "")]}),
        ("[::1]:8080:80", {"80/tcp": [("::1", "8080")]}),
        ("[::1]::80", {"80/tcp": [("::1", "")]}),
        ("8080-8081:80-81", {"80/tcp": [("", "8080")], "81/tcp": [("", "8081")]}),
        ("8080-8090:80", {"80/tcp": [("", "8080-8090")]}),
        ("80-81", {"80/tcp": [("", "")], "81/tcp": [("", "")]}),
    ],
)
def test_parse_ports_published(text: str, bindings: dict[str, list[tuple[str, str]]]) -> None:
    """Each form gives the bindings that Docker's client sends, and exposes the ports."""
    ports = parse_ports([text], [])
    expected = {
        key: [{"HostIp": address, "HostPort": port} for address, port in pairs] for key, pairs in bindings.items()
    }
    assert ports.bindings == expected
    assert set(ports.exposed) == set(bindings)


def test_parse_ports_same_port_twice_has_two_bindings() -> None:
    """One container port may be published on several host ports."""
    assert len(parse_ports(["1:80", "2:80"], []).bindings["80/tcp"]) == 2


def test_parse_ports_exposed_is_not_published() -> None:
    """`--expose 90-91/udp` binds nothing."""
    ports = parse_ports([], ["90-91/udp"])
    assert set(ports.exposed) == {"90/udp", "91/udp"}
    assert ports.bindings == {}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "No port specified"),
        ("8080:", "No port specified"),
        ("x:80", "Invalid hostPort: x:80"),
        ("80:x", "Invalid containerPort: 80:x"),
        ("1:70000", "Invalid containerPort"),
        ("2-1:80", "Invalid hostPort"),
        ("1-3:1-2", "Invalid ranges specified for container and host Ports: 1-2 and 1-3"),
        ("80/icmp", "Invalid proto: 80/icmp"),
    ],
)
def test_parse_ports_malformed_is_refused(text: str, words: str) -> None:
    """Docker's sentence for each mistake."""
    with pytest.raises(InvalidArgument, match=words):
        parse_ports([text], [])
