"""EXPOSE: from its expanded words to the ports of an image's configuration. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from shoal.errors import InvalidArgument

_PROTOCOLS = ("tcp", "udp", "sctp")
_LAST_PORT = 65535


def exposed_ports(words: Iterable[str]) -> list[str]:
    """The ports that the words name, as `80/tcp`, each once and in order; a range is every port of it.

    What stands before a colon (an address, a port of the host) is of no effect, as in Docker.

    Raises: InvalidArgument, in Docker's sentences.
    """
    ports = {port for word in words for port in _ports_of(word)}
    return [f"{number}/{protocol}" for number, protocol in sorted(ports)]


def _ports_of(word: str) -> Iterator[tuple[int, str]]:
    numbers, slash, protocol = word.rpartition(":")[2].partition("/")
    protocol = protocol.lower() if slash else "tcp"
    if not numbers:
        raise InvalidArgument(f"No port specified: {word}<empty>")
    first, dash, last = numbers.partition("-")
    start, end = _port(first), _port(last if dash else first)
    if start is None or end is None or end < start:
        raise InvalidArgument(f"Invalid containerPort: {numbers}", fix="write a port or a range, as in `8000-8010/tcp`")
    if protocol not in _PROTOCOLS:
        raise InvalidArgument(f"Invalid proto: {protocol}", fix=f"one of {', '.join(_PROTOCOLS)}")
    return ((number, protocol) for number in range(start, end + 1))


def _port(text: str) -> int | None:
    is_number = text.isascii() and text.isdigit() and len(text) <= 5
    return int(text) if is_number and int(text) <= _LAST_PORT else None
