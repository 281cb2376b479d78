"""Reads Docker's `local` format, which supervisor/logsink_local.py describes. Pure.

A file whose end a crash has cut short is read up to there.
"""

from __future__ import annotations

import struct

from shoal.api.log import LogEntry
from shoal.api.stdcopy import STDERR, STDOUT

_LENGTH = struct.Struct(">I")
_FRAME_BYTES = 2 * _LENGTH.size
# A line has 16 KiB at the most. What claims to be much longer is damage.
_MOST_BYTES = 1 << 20
_SOURCE, _TIME, _LINE, _PARTIAL, _PIECE = 1, 2, 3, 4, 5
_PIECE_LAST = 1
_VARINT, _BYTES = 0, 2


class LocalFormat:
    """The format of `local` (logs.format.LogFormat)."""

    def parse(self, data: bytes) -> tuple[list[LogEntry], int]:
        """The entries of the whole records that `data` begins with, and how many bytes these are."""
        entries = []
        position, end = 0, len(data)
        while position + _FRAME_BYTES <= end:
            (length,) = _LENGTH.unpack_from(data, position)
            start = position + _LENGTH.size
            after = start + length + _LENGTH.size
            if after > end:
                break
            entry = _entry(data, start, start + length)
            if entry is not None:
                entries.append(entry)
            position = after
        return entries, position

    def first_record(self, data: bytes) -> int | None:
        """Where the first whole record begins: goes from the end from length to length."""
        position = len(data)
        while position >= _FRAME_BYTES:
            (length,) = _LENGTH.unpack_from(data, position - _LENGTH.size)
            start = position - _FRAME_BYTES - length
            if length > _MOST_BYTES or start < 0 or _LENGTH.unpack_from(data, start) != (length,):
                break
            position = start
        return position if position < len(data) else None


def _entry(data: bytes, position: int, end: int) -> LogEntry | None:
    """The entry of one message; None when it is damaged."""
    stream, time_ns, line, partial, last = STDOUT, 0, b"", False, False
    try:
        while position < end:
            key, position = _varint(data, position, end)
            field, kind = key >> 3, key & 7
            number, position = _varint(data, position, end)
            if kind == _BYTES:
                text, position = data[position : position + number], position + number
                if field == _SOURCE:
                    stream = STDERR if text == b"stderr" else STDOUT
                elif field == _LINE:
                    line = text
                elif field == _PIECE:
                    last = text[:2] == bytes((_PIECE_LAST << 3, 1))
            elif kind != _VARINT:
                return None
            elif field == _TIME:
                time_ns = number
            elif field == _PARTIAL:
                partial = bool(number)
    except IndexError:
        return None
    if position != end:
        return None
    return LogEntry(stream, time_ns, line if partial and not last else line + b"\n")


def _varint(data: bytes, position: int, end: int) -> tuple[int, int]:
    """A number of seven bits a byte, the low ones first, and where it ends. Raises: IndexError."""
    number = shift = 0
    while True:
        if position >= end or shift > 63:
            raise IndexError
        byte = data[position]
        position += 1
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            return number, position
        shift += 7
