"""Messages for a syslog server, in the formats that Docker's driver knows. Pure.

    ""            <PRI>Jan  2 15:04:05 TAG[PID]: line             local daemons
    rfc3164       <PRI>Jan  2 15:04:05 HOST TAG[PID]: line
    rfc5424       <PRI>1 2006-01-02T15:04:05Z HOST TAG PID TAG - line
    rfc5424micro  the same with microseconds

stdout has severity informational, stderr error. Each message ends with a newline, which separates them on a stream;
with TLS, RFC 5424's have their length in front (RFC 5425). Empty lines are passed over.
"""

from __future__ import annotations

import os
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from shoal.supervisor.logsink_cutter import Part
    from shoal.supervisor.protocol import RemoteBody

_SEVERITIES = {"stdout": 6, "stderr": 3}
# Names of RFC 3164, whatever the locale.
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


class SyslogEncoder:
    """Messages of one container."""

    __slots__ = ("_counts_octets", "_facility", "_format", "_host", "_tag")

    def __init__(self, remote: RemoteBody) -> None:
        self._format = remote["format"]
        self._facility = remote["facility"]
        self._host = remote["hostname"]
        self._tag = remote["tag"]
        self._counts_octets = remote["protocol"] == "tcp+tls" and self._format.startswith("rfc5424")

    def messages(self, stream: str, parts: list[Part], time_ns: int) -> list[bytes]:
        """A message for each line and piece."""
        begin = self._begin(stream, time_ns)
        messages = [
            begin + line + b"\n"
            for text, piece in parts
            for line in (text.split(b"\n") if piece is None else (text,))
            if line
        ]
        if self._counts_octets:
            return [b"%d %b" % (len(message), message) for message in messages]
        return messages

    def _begin(self, stream: str, time_ns: int) -> bytes:
        priority = self._facility << 3 | _SEVERITIES[stream]
        pid, tag, host = os.getpid(), self._tag, self._host
        if self._format.startswith("rfc5424"):
            fraction = f".{time_ns % 1_000_000_000 // 1000:06d}" if self._format == "rfc5424micro" else ""
            text = f"<{priority}>1 {_rfc3339(time_ns, fraction)} {host} {tag} {pid} {tag} - "
        else:
            name = f"{host} " if self._format == "rfc3164" else ""
            text = f"<{priority}>{_stamp(time_ns)} {name}{tag}[{pid}]: "
        return text.encode("utf-8", "surrogateescape")


def _stamp(time_ns: int) -> str:
    """Local time as RFC 3164 wants it: `Jan  2 15:04:05`."""
    at = time.localtime(time_ns // 1_000_000_000)
    return f"{_MONTHS[at.tm_mon - 1]} {at.tm_mday:2d} {at.tm_hour:02d}:{at.tm_min:02d}:{at.tm_sec:02d}"


def _rfc3339(time_ns: int, fraction: str) -> str:
    """Local time with its distance from UTC."""
    at = time.localtime(time_ns // 1_000_000_000)
    date = f"{at.tm_year:04d}-{at.tm_mon:02d}-{at.tm_mday:02d}T{at.tm_hour:02d}:{at.tm_min:02d}:{at.tm_sec:02d}"
    minutes = (at.tm_gmtoff or 0) // 60
    if minutes == 0:
        return f"{date}{fraction}Z"
    return f"{date}{fraction}{'-' if minutes < 0 else '+'}{abs(minutes) // 60:02d}:{abs(minutes) % 60:02d}"
