"""Messages for systemd's journal, in its native protocol. Pure.

A message is a datagram of fields: `KEY=value` and a newline; a value with a newline in it as `KEY`, newline, its
length in 8 bytes (little endian), value, newline. Source: systemd, "Native Journal Protocol".
"""

from __future__ import annotations

import struct

from shoal.supervisor.timestamps import rfc3339_nano

TYPE_CHECKING = False
if TYPE_CHECKING:
    from shoal.supervisor.logsink_cutter import Part, Piece

_PRIORITIES = {"stdout": 6, "stderr": 3}


class JournaldEncoder:
    """Messages of one container: `fields` are in each."""

    __slots__ = ("_fields",)

    def __init__(self, fields: dict[str, str]) -> None:
        self._fields = b"".join(
            _field(key, value.encode("utf-8", "surrogateescape")) for key, value in sorted(fields.items())
        )

    def messages(self, stream: str, parts: list[Part], time_ns: int) -> list[bytes]:
        """A message for each line and piece."""
        found = []
        begin = self._begin(stream, time_ns)
        for text, piece in parts:
            if piece is None:
                # A line has no newline in it, so its field is of the short form.
                found += [begin + b"MESSAGE=" + line + b"\n" for line in text.split(b"\n")]
            else:
                found.append(self._begin(stream, piece.since_ns) + _piece_fields(piece) + b"MESSAGE=" + text + b"\n")
        return found

    def _begin(self, stream: str, time_ns: int) -> bytes:
        return b"PRIORITY=%d\nSYSLOG_TIMESTAMP=%b\n" % (_PRIORITIES[stream], rfc3339_nano(time_ns).encode()) + (
            self._fields
        )


def _piece_fields(piece: Piece) -> bytes:
    return (
        f"CONTAINER_PARTIAL_ID={piece.id}\nCONTAINER_PARTIAL_ORDINAL={piece.ordinal}\n"
        f"CONTAINER_PARTIAL_LAST={'true' if piece.last else 'false'}\n"
        + ("" if piece.last else "CONTAINER_PARTIAL_MESSAGE=true\n")
    ).encode()


def _field(key: str, value: bytes) -> bytes:
    if b"\n" in value:
        return b"%b\n%b%b\n" % (key.encode(), struct.pack("<Q", len(value)), value)
    return b"%b=%b\n" % (key.encode(), value)
