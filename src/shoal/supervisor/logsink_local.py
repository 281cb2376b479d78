"""Records of Docker's `local` format. Pure.

record = length (4 bytes, big endian) · message · length again, so that a file can be read from its end
message, a protocol buffer: 1 source · 2 time in ns · 3 line without its newline · 4 whether it is a piece ·
                            5 piece: 1 last · 2 id · 3 ordinal
"""

from __future__ import annotations

import struct

TYPE_CHECKING = False
if TYPE_CHECKING:
    from shoal.supervisor.logsink_cutter import Part, Piece

_LENGTH = struct.Struct(">I")
_SOURCE, _TIME, _LINE, _PARTIAL, _PIECE = 0x0A, 0x10, 0x1A, 0x20, 0x2A
_PIECE_LAST, _PIECE_ID, _PIECE_ORDINAL = 0x08, 0x12, 0x18


class LocalEncoder:
    """Makes records."""

    __slots__ = ()

    def records(self, stream: str, parts: list[Part], time_ns: int) -> bytes:
        """A record for each line and piece."""
        out: list[bytes] = []
        for text, piece in parts:
            if piece is None:
                _add_lines(out, _begin(stream, time_ns), text)
            else:
                begin = _begin(stream, piece.since_ns)
                _add_record(out, begin + _varint(len(text)) + text + _piece(piece))
        return b"".join(out)

    def fitting(self, records: bytes, room_bytes: int) -> int:
        """How many bytes of `records`, whole ones, fit into `room_bytes`."""
        end = 0
        while end < len(records):
            next_end = end + self.first_record(records[end : end + _LENGTH.size])
            if next_end > room_bytes:
                break
            end = next_end
        return end

    def first_record(self, records: bytes) -> int:
        """The length of the first of `records`."""
        return int(_LENGTH.unpack_from(records)[0]) + 2 * _LENGTH.size


def _begin(stream: str, time_ns: int) -> bytes:
    """A message up to the length of its line."""
    source = stream.encode()
    return bytes((_SOURCE, len(source))) + source + bytes((_TIME,)) + _varint(time_ns) + bytes((_LINE,))


def _add_lines(out: list[bytes], begin: bytes, text: bytes) -> None:
    frames: dict[int, tuple[bytes, bytes]] = {}
    for line in text.split(b"\n"):
        size = len(line)
        frame = frames.get(size)
        if frame is None:
            head = begin + _varint(size)
            length = _LENGTH.pack(len(head) + size)
            frame = frames[size] = (length + head, length)
        out += (frame[0], line, frame[1])


def _add_record(out: list[bytes], message: bytes) -> None:
    length = _LENGTH.pack(len(message))
    out += (length, message, length)


def _piece(piece: Piece) -> bytes:
    id = piece.id.encode()
    data = bytes((_PIECE_LAST, 1)) if piece.last else b""
    data += bytes((_PIECE_ID,)) + _varint(len(id)) + id + bytes((_PIECE_ORDINAL,)) + _varint(piece.ordinal)
    return bytes((_PARTIAL, 1, _PIECE)) + _varint(len(data)) + data


def _varint(number: int) -> bytes:
    """A number as protocol buffers write it: seven bits a byte, the low ones first."""
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)
