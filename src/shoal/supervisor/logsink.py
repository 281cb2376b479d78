"""Where a container's output is kept: files, a system's log, or both; runs in a supervisor.

    output ──▶ Cutter ──▶ lines, pieces ─┬─▶ encoder ─▶ RotatedFile          json-file, local, the cache of the others
                                         └─▶ encoder ─▶ Outlet ─▶ socket     syslog, journald

A sink never waits: a file is written at once, a socket takes what it takes, and the rest stands in a bounded queue.
Where the container is to wait for a slow receiver (mode=blocking), `is_full` says so, and only this container's
output is left unread.
"""

from __future__ import annotations

from shoal.supervisor.logsink_cutter import Cutter
from shoal.supervisor.logsink_file import RotatedFile
from shoal.supervisor.logsink_journald import JournaldEncoder
from shoal.supervisor.logsink_json import JsonEncoder
from shoal.supervisor.logsink_local import LocalEncoder
from shoal.supervisor.logsink_outlet import Outlet
from shoal.supervisor.logsink_syslog import SyslogEncoder

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Protocol

    from shoal.supervisor.logsink_cutter import Part
    from shoal.supervisor.loop import Loop
    from shoal.supervisor.protocol import LogBody, RemoteBody

    class MessageEncoder(Protocol):
        """Makes messages of lines, for a socket."""

        def messages(self, stream: str, parts: list[Part], time_ns: int) -> list[bytes]:
            """A message for each line and piece."""


def is_nowhere(log: LogBody) -> bool:
    """Whether nothing of the output is kept or sent."""
    return log["driver"] == "none" and log["remote"] is None


class LogSink:
    """One container's log. It owns its descriptors; the caller keeps the unfinished lines that it is given back."""

    __slots__ = ("_cutter", "_encoder", "_file", "_outlet")

    def __init__(self, log: LogBody, loop: Loop, on_problem: Callable[[str], None]) -> None:
        """Raises: OSError when there is no such directory."""
        self._cutter = Cutter()
        self._file: RotatedFile | None = None
        self._outlet: Outlet | None = None
        remote = log["remote"]
        if log["driver"] != "none":
            encoder = LocalEncoder() if log["driver"] == "local" else JsonEncoder(log["attributes"])
            self._file = RotatedFile(log, encoder, loop, on_problem)
        if remote is not None:
            self._encoder = _message_encoder(remote)
            self._outlet = Outlet(loop, remote, on_problem)

    @property
    def inode(self) -> int:
        """The current file's inode; 0 where there is none."""
        return self._file.inode if self._file is not None else 0

    @property
    def size_bytes(self) -> int:
        """How much the current file holds."""
        return self._file.size_bytes if self._file is not None else 0

    @property
    def is_full(self) -> bool:
        """Whether the container is to wait until `on_room` is called."""
        return self._outlet is not None and self._outlet.is_full

    def on_room(self, callback: Callable[[], None]) -> None:
        """Has `callback` called when a full sink takes output again."""
        if self._outlet is not None:
            self._outlet.on_room = callback

    def write(self, stream: str, data: bytes, time_ns: int) -> bytes:
        """Writes the complete lines of `data`, and returns what is left: less than 16 KiB without a newline."""
        parts, tail = self._cutter.cut(stream, data, time_ns)
        if parts:
            self._put(stream, parts, time_ns)
        return tail

    def finish(self, stream: str, tail: bytes, time_ns: int) -> None:
        """Writes what `write` left, as a record without a newline: the stream has ended."""
        parts = self._cutter.end(stream, tail, time_ns)
        if parts:
            self._put(stream, parts, time_ns)

    def close(self, on_closed: Callable[[], None]) -> bool:
        """Closes the log; False when something waits for its receiver still: `on_closed` is called after that."""
        if self._file is not None:
            self._file.close()
        return self._outlet is None or self._outlet.finish(on_closed)

    def drop(self) -> None:
        """Closes the log at once: what waits is lost."""
        if self._file is not None:
            self._file.close()
        if self._outlet is not None:
            self._outlet.close()

    def _put(self, stream: str, parts: list[Part], time_ns: int) -> None:
        if self._file is not None:
            self._file.append(stream, parts, time_ns)
        if self._outlet is not None:
            self._outlet.put(self._encoder.messages(stream, parts, time_ns))


def _message_encoder(remote: RemoteBody) -> MessageEncoder:
    return JournaldEncoder(remote["fields"]) if remote["format"] == "journald" else SyslogEncoder(remote)
