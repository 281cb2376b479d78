"""`-p`, `-P` and `--expose` as the API's port maps. Pure."""

from __future__ import annotations

from shoal.client.document import Json
from shoal.errors import InvalidArgument

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence


class Ports:
    """Exposed ports (`80/tcp`) and their bindings on the host."""

    __slots__ = ("bindings", "exposed")

    def __init__(self) -> None:
        self.exposed: dict[str, Json] = {}
        self.bindings: dict[str, list[Json]] = {}


def parse_ports(published: Sequence[str], exposed: Sequence[str]) -> Ports:
    """The maps for `-p` and `--expose` values.

    Raises: InvalidArgument in Docker's words.
    """
    ports = Ports()
    for text in exposed:
        numbers, _, protocol = text.partition("/")
        for port in _range(numbers, text, "invalid range format for --expose"):
            ports.exposed[f"{port}/{_protocol(protocol, text)}"] = {}
    for text in published:
        _publish(ports, text)
    return ports


def _publish(ports: Ports, text: str) -> None:
    rest, _, protocol = text.partition("/")
    address, host, container = _split(rest)
    if not container:
        raise InvalidArgument(f"No port specified: {text}<empty>")
    inside = _range(container, text, "Invalid containerPort")
    outside = _range(host, text, "Invalid hostPort") if host else []
    # One container port may take any free port of a host range; otherwise both ranges pair up.
    if outside and len(outside) != len(inside) and len(inside) != 1:
        raise InvalidArgument(f"Invalid ranges specified for container and host Ports: {container} and {host}")
    for position, port in enumerate(inside):
        if not outside:
            host_port = ""
        elif len(inside) == 1 and len(outside) > 1:
            host_port = host
        else:
            host_port = str(outside[position])
        key = f"{port}/{_protocol(protocol, text)}"
        ports.exposed[key] = {}
        ports.bindings.setdefault(key, []).append({"HostIp": address, "HostPort": host_port})


def _split(text: str) -> tuple[str, str, str]:
    """(host address, host ports, container ports) of `[address:][[host]:]container`."""
    if text.startswith("["):
        address, _, rest = text[1:].partition("]")
        host, _, container = rest.lstrip(":").rpartition(":")
        return address, host, container
    *before, container = text.split(":")
    if not before:
        return "", "", container
    return ":".join(before[:-1]), before[-1], container


def _range(text: str, whole: str, complaint: str) -> list[int]:
    first, dash, last = text.partition("-")
    last = last if dash else first
    if not (first.isdecimal() and last.isdecimal() and 0 <= int(first) <= int(last) <= 65535):
        raise InvalidArgument(f"{complaint}: {whole}", fix="write [IP:][HOSTPORT:]PORT[/tcp|udp], like 8080:80")
    return list(range(int(first), int(last) + 1))


def _protocol(text: str, whole: str) -> str:
    protocol = (text or "tcp").lower()
    if protocol not in ("tcp", "udp", "sctp"):
        raise InvalidArgument(f"Invalid proto: {whole}")
    return protocol
