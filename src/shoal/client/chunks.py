"""The bytes of logs and attached streams as chunks of stdout and stderr, and as lines. Pure: bytes in, objects out."""

from __future__ import annotations

from shoal.api import stdcopy
from shoal.client.results import Chunk, LogLine, parse_time
from shoal.errors import Internal

_NAMES = {stdcopy.STDIN: "stdout", stdcopy.STDOUT: "stdout", stdcopy.STDERR: "stderr"}


class Decoder:
    """Takes a stream apart; one that is not multiplexed (a terminal's) is all stdout."""

    def __init__(self, *, multiplexed: bool) -> None:
        self._frames = stdcopy.StdcopyDecoder() if multiplexed else None

    def feed(self, data: bytes) -> list[Chunk]:
        """What is complete. Raises: Internal for an error that the engine put into the stream."""
        if self._frames is None:
            return [Chunk("stdout", data)]
        chunks = []
        for stream, payload in self._frames.feed(data):
            if stream == stdcopy.SYSTEM_ERROR:
                raise Internal(f"error from daemon in stream: {payload.decode('utf-8', 'replace')}")
            chunks.append(Chunk(_NAMES[stream], payload))
        return chunks


class Collector:
    """Keeps what comes, stdout and stderr apart."""

    def __init__(self) -> None:
        self._parts: dict[str, list[bytes]] = {"stdout": [], "stderr": []}

    def take(self, chunk: Chunk) -> None:
        """Takes one more."""
        self._parts[chunk.stream].append(chunk.data)

    @property
    def stdout(self) -> bytes:
        """What came on stdout so far."""
        return b"".join(self._parts["stdout"])

    @property
    def stderr(self) -> bytes:
        """What came on stderr so far."""
        return b"".join(self._parts["stderr"])


class LineSplitter:
    """Puts chunks of a log together into lines; with `timestamps` each begins with its time."""

    def __init__(self, *, timestamps: bool) -> None:
        self._timestamps = timestamps
        self._pending = {"stdout": b"", "stderr": b""}

    def feed(self, chunk: Chunk) -> list[LogLine]:
        """The lines that the chunk completes."""
        *complete, self._pending[chunk.stream] = (self._pending[chunk.stream] + chunk.data).split(b"\n")
        return [self._line(chunk.stream, line) for line in complete]

    def end(self) -> list[LogLine]:
        """The last lines, which have no end."""
        return [self._line(stream, line) for stream, line in self._pending.items() if line]

    def _line(self, stream: str, line: bytes) -> LogLine:
        if not self._timestamps:
            return LogLine(stream, line)
        time, _, rest = line.partition(b" ")
        return LogLine(stream, rest, parse_time(time.decode("ascii", "replace")))
