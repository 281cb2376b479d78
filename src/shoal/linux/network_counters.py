"""The traffic counters of a network namespace. proc_pid_net(5), `/proc/PID/net/dev`.

Used by shoald.
"""

from __future__ import annotations

from typing import NamedTuple

from shoal.errors import SyscallError


class Counters(NamedTuple):
    """What one interface has received and sent."""

    rx_bytes: int
    rx_packets: int
    rx_errors: int
    rx_dropped: int
    tx_bytes: int
    tx_packets: int
    tx_errors: int
    tx_dropped: int


def interface_counters(pid: int) -> dict[str, Counters]:
    """The counters of each interface of the network namespace that the process is in, the loopback included.

    Raises: SyscallError (ENOENT, ESRCH or EINVAL: no such process any more).
    """
    path = f"/proc/{pid}/net/dev"
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as table:
            return parse_counters(table.read())
    except OSError as error:
        raise SyscallError("open", path, error.errno or 0) from None


def parse_counters(text: str) -> dict[str, Counters]:
    """The table below its two lines of headings: eight columns received, eight columns sent."""
    found: dict[str, Counters] = {}
    for line in text.splitlines()[2:]:
        # An interface's name has no colon that a value could follow directly, but an alias may have one: the last.
        name, _, values = line.rpartition(":")
        columns = [int(value) for value in values.split()]
        found[name.strip()] = Counters(*columns[0:4], *columns[8:12])
    return found
