"""Who listens in a network namespace, read from /proc/PID/net. Source: proc_net_tcp in the kernel's documentation."""

from __future__ import annotations

import contextlib
import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass

_LISTEN, _UNCONNECTED = "0A", "07"
_TABLES = (("tcp", _LISTEN), ("tcp6", _LISTEN), ("udp", _UNCONNECTED), ("udp6", _UNCONNECTED))


@dataclass(frozen=True, slots=True)
class Listener:
    """A socket that waits for clients: `address` as text, "0.0.0.0" and "::" for all."""

    protocol: str
    address: str
    port: int

    @property
    def is_everywhere(self) -> bool:
        """Whether it answers at every address of its namespace; one at `::` answers at IPv4 ones as well."""
        return self.address in ("0.0.0.0", "::")

    @property
    def is_loopback(self) -> bool:
        """Whether only its own namespace reaches it."""
        return self.address.startswith(("127.", "::ffff:127.")) or self.address == "::1"


def read_listeners(process: str) -> list[Listener]:
    """The listening TCP and unconnected UDP sockets in the network namespace of /proc/`process`; blocking.

    Raises: OSError when the process has gone.
    """
    found: list[Listener] = []
    for name, state in _TABLES:
        # A kernel without IPv6 has no such tables.
        with contextlib.suppress(FileNotFoundError) if name.endswith("6") else contextlib.nullcontext():
            with open(f"/proc/{process}/net/{name}", encoding="ascii") as file:
                found += parse_listeners(file.read(), name.rstrip("6"), state)
    return found


def parse_listeners(text: str, protocol: str, state: str = _LISTEN) -> Iterator[Listener]:
    """The sockets in that state of a table's text."""
    for line in text.splitlines()[1:]:
        words = line.split()
        if len(words) > 3 and words[3] == state:
            address, _, port = words[1].partition(":")
            yield Listener(protocol, _address(address), int(port, 16))


def _address(digits: str) -> str:
    """The kernel prints each 32-bit word of the address as a number of this machine."""
    words = [int(digits[at : at + 8], 16) for at in range(0, len(digits), 8)]
    packed = struct.pack(f"={len(words)}I", *words)
    return socket.inet_ntop(socket.AF_INET if len(words) == 1 else socket.AF_INET6, packed)
