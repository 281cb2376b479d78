"""Cuts output into lines, and lines of 16 KiB and more into pieces, as Docker's log copier does. Pure."""

from __future__ import annotations

import os

PARTIAL_BYTES = 16 * 1024


class Piece:
    """A part of a line that is too long, or that the end of the output left unfinished.

    All pieces of a line have its `id` and the time of the first; `ordinal` counts from 1; the `last` one ended with
    a newline.
    """

    __slots__ = ("id", "last", "ordinal", "since_ns")

    def __init__(self, id: str, ordinal: int, since_ns: int, *, last: bool) -> None:
        self.id = id
        self.ordinal = ordinal
        self.since_ns = since_ns
        self.last = last


TYPE_CHECKING = False
if TYPE_CHECKING:
    # Whole lines without the last one's newline and None; or one piece's text without its newline.
    Part = tuple[bytes, Piece | None]


class Cutter:
    """The lines of both streams of a container."""

    __slots__ = ("_begun",)

    def __init__(self) -> None:
        # The last piece of the line that each stream is in.
        self._begun: dict[str, Piece] = {}

    def cut(self, stream: str, data: bytes, time_ns: int) -> tuple[list[Part], bytes]:
        """The complete lines of `data`, cut, and the rest: less than 16 KiB without a newline."""
        head, newline, tail = data.rpartition(b"\n")
        parts: list[Part] = []
        if newline:
            if stream not in self._begun and not _has_long_line(head):
                parts.append((head, None))
            else:
                self._cut_lines(stream, head, time_ns, parts)
        if len(tail) >= PARTIAL_BYTES:
            tail = self._cut_long(stream, tail, time_ns, parts)
        return parts, tail

    def end(self, stream: str, tail: bytes, time_ns: int) -> list[Part]:
        """What `cut` left, now that nothing follows it."""
        parts: list[Part] = [(tail, self._piece(stream, time_ns, last=False))] if tail else []
        self._begun.pop(stream, None)
        return parts

    def _cut_lines(self, stream: str, head: bytes, time_ns: int, parts: list[Part]) -> None:
        whole: list[bytes] = []
        for line in head.split(b"\n"):
            if len(line) < PARTIAL_BYTES and stream not in self._begun:
                whole.append(line)
                continue
            if whole:
                parts.append((b"\n".join(whole), None))
                whole = []
            rest = self._cut_long(stream, line, time_ns, parts)
            parts.append((rest, self._piece(stream, time_ns, last=True)))
            del self._begun[stream]
        if whole:
            parts.append((b"\n".join(whole), None))

    def _cut_long(self, stream: str, line: bytes, time_ns: int, parts: list[Part]) -> bytes:
        """Cuts the full pieces off; returns the rest."""
        start = 0
        while len(line) - start >= PARTIAL_BYTES:
            parts.append((line[start : start + PARTIAL_BYTES], self._piece(stream, time_ns, last=False)))
            start += PARTIAL_BYTES
        return line[start:]

    def _piece(self, stream: str, time_ns: int, *, last: bool) -> Piece:
        before = self._begun.get(stream)
        if before is None:
            piece = Piece(os.urandom(32).hex(), 1, time_ns, last=last)
        else:
            piece = Piece(before.id, before.ordinal + 1, before.since_ns, last=last)
        self._begun[stream] = piece
        return piece


def _has_long_line(data: bytes) -> bool:
    """Whether a line of `data` has PARTIAL_BYTES or more: looks at a few newlines, not at each."""
    start = 0
    while len(data) - start >= PARTIAL_BYTES:
        newline = data.rfind(b"\n", start, start + PARTIAL_BYTES)
        if newline < 0:
            return True
        start = newline + 1
    return False
