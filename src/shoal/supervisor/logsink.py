"""Writes a container's output to its log file in Docker's json-file format; runs in a supervisor.

One record a line: `{"log":"text\\n","stream":"stdout","time":"2006-01-02T15:04:05.999999999Z"}`, with `attrs` in
front of `time` where the container has log labels. A line of 16 KiB and more is cut into records without the
newline, all with the first one's time. Bytes that are not UTF-8 become U+FFFD, one for each. A record is never
split over two files. Source: Docker Engine, "JSON File logging driver".
"""

from __future__ import annotations

import os

from shoal.supervisor.timestamps import rfc3339_nano

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from shoal.supervisor.protocol import LogBody

PARTIAL_BYTES = 16 * 1024

# The bytes that JSON, or Docker's taste (<, >, &), wants escaped. The newline separates the records and is not among
# them; the backslash comes first, because the other escapes contain it.
_ESCAPES = {
    ord("\\"): "\\\\",
    ord('"'): '\\"',
    ord("\r"): "\\r",
    **{code: f"\\u00{code:02x}" for code in (*range(10), 11, 12, *range(14, 32), *b"<>&")},
}
_PLAIN = bytes(code for code in range(256) if code not in _ESCAPES)
# What `surrogateescape` makes of bytes that are not UTF-8.
_REPLACED = dict.fromkeys(range(56448, 56576), "\\ufffd")


def escape(data: bytes) -> str:
    """The bytes as the inside of a JSON string, newlines left as they are."""
    invalid = False
    try:
        text = data.decode()
    except UnicodeDecodeError:
        text = data.decode("utf-8", "surrogateescape")
        invalid = True
    special = data.translate(None, _PLAIN)
    if special:
        present = set(special)
        for code, replacement in _ESCAPES.items():
            if code in present:
                text = text.replace(chr(code), replacement)
    if b"\xe2\x80" in data:
        text = text.replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")
    return text.translate(_REPLACED) if invalid else text


class LogSink:
    """One container's log. It owns the file's descriptor; the caller keeps the unfinished lines it is given back.

    A write that fails (a full disk) loses its records and is told once through `on_problem`: the container
    goes on, as with Docker.
    """

    __slots__ = (
        "_attributes", "_fd", "_max_files", "_max_size_bytes", "_partial_since", "_path", "_size_bytes", "_told",
        "on_problem",
    )  # fmt: skip

    def __init__(self, log: LogBody, on_problem: Callable[[str], None]) -> None:
        self._path = log["path"]
        self._max_size_bytes = log["max_size_bytes"]
        self._max_files = log["max_files"]
        self._attributes = _attributes(log["attributes"])
        # The time of the first record of a line that is being cut, for each stream.
        self._partial_since: dict[str, str] = {}
        self._told = False
        self.on_problem = on_problem
        self._fd = -1
        self._size_bytes = 0
        self._open(0)

    @property
    def fileno(self) -> int:
        """The current file's descriptor."""
        return self._fd

    @property
    def size_bytes(self) -> int:
        """How much the current file holds."""
        return self._size_bytes

    def write(self, stream: str, data: bytes, time_ns: int) -> bytes:
        """Writes the complete lines of `data`, and returns what is left: less than 16 KiB without a newline."""
        head, newline, tail = data.rpartition(b"\n")
        now = rfc3339_nano(time_ns)
        text = ""
        if newline:
            text = self._records(stream, head, now)
        while len(tail) >= PARTIAL_BYTES:
            text += self._partial(stream, tail[:PARTIAL_BYTES], now)
            tail = tail[PARTIAL_BYTES:]
        if text:
            self._append(text.encode())
        return tail

    def finish(self, stream: str, tail: bytes, time_ns: int) -> None:
        """Writes what `write` left, as a record without a newline: the stream has ended."""
        if tail:
            self._append(self._partial(stream, tail, rfc3339_nano(time_ns)).encode())
        self._partial_since.pop(stream, None)

    def close(self) -> None:
        """Gives the file back."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _records(self, stream: str, head: bytes, now: str) -> str:
        """Records of whole lines; `head` lacks the last one's newline."""
        begin = '{"log":"'
        end = f'","stream":"{stream}",{self._attributes}"time":"{now}"}}\n'
        if stream not in self._partial_since and (len(head) < PARTIAL_BYTES or _longest_line(head) < PARTIAL_BYTES):
            return begin + escape(head).replace("\n", f"\\n{end}{begin}") + "\\n" + end
        text = []
        for line in head.split(b"\n"):
            while len(line) >= PARTIAL_BYTES:
                text.append(self._partial(stream, line[:PARTIAL_BYTES], now))
                line = line[PARTIAL_BYTES:]
            since = self._partial_since.pop(stream, now)
            text.append(f'{begin}{escape(line)}\\n","stream":"{stream}",{self._attributes}"time":"{since}"}}\n')
        return "".join(text)

    def _partial(self, stream: str, piece: bytes, now: str) -> str:
        since = self._partial_since.setdefault(stream, now)
        return f'{{"log":"{escape(piece)}","stream":"{stream}",{self._attributes}"time":"{since}"}}\n'

    def _append(self, records: bytes) -> None:
        try:
            while records:
                cut = self._room(records)
                if cut == 0:
                    self._rotate()
                    cut = self._room(records) or records.index(b"\n") + 1
                self._write_all(records[:cut])
                records = records[cut:]
        except OSError as error:
            if not self._told:
                self._told = True
                self.on_problem(f"log `{self._path}`: {os.strerror(error.errno or 0)}, its output is lost")

    def _room(self, records: bytes) -> int:
        """How many bytes of `records`, cut after a record, the present file still takes."""
        if self._max_size_bytes is None:
            return len(records)
        room = self._max_size_bytes - self._size_bytes
        if len(records) <= room:
            return len(records)
        return records.rfind(b"\n", 0, max(room, 0)) + 1

    def _write_all(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            count = os.write(self._fd, view)
            self._size_bytes += count
            view = view[count:]

    def _rotate(self) -> None:
        """Renames PATH.1 to PATH.2 and so on, PATH to PATH.1, and begins a new file. The last one goes."""
        if self._max_files > 1:
            for number in range(self._max_files - 1, 0, -1):
                older = f"{self._path}.{number - 1}" if number > 1 else self._path
                try:
                    os.rename(older, f"{self._path}.{number}")
                except FileNotFoundError:
                    pass  # fewer files than allowed yet
            self._reopen(0)
        else:
            self._reopen(os.O_TRUNC)

    def _reopen(self, flags: int) -> None:
        self.close()
        self._open(flags)

    def _open(self, flags: int) -> None:
        self._fd = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | flags, 0o640)
        self._size_bytes = os.fstat(self._fd).st_size


def _longest_line(data: bytes) -> int:
    return max(map(len, data.split(b"\n")))


def _attributes(attributes: dict[str, str]) -> str:
    if not attributes:
        return ""
    pairs = ",".join(f'"{_string(key)}":"{_string(value)}"' for key, value in sorted(attributes.items()))
    return f'"attrs":{{{pairs}}},'


def _string(text: str) -> str:
    return escape(text.encode("utf-8", "surrogateescape")).replace("\n", "\\n")
