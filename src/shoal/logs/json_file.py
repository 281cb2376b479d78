"""Reads Docker's json-file format: a line is one JSON object, `{"log": text, "stream": name, "time": RFC 3339}`. Pure.

A line that a crash has cut short, or that is no such object, is passed over.
"""

from __future__ import annotations

import msgspec

from shoal.api.log import LogEntry
from shoal.api.stdcopy import STDERR, STDOUT
from shoal.api.timestamps import parse_rfc3339
from shoal.errors import InvalidArgument


class _Line(msgspec.Struct, gc=False):
    log: str
    time: str
    stream: str = "stdout"
    attrs: dict[str, str] = {}


_decoder = msgspec.json.Decoder(_Line)


class JsonFormat:
    """The format of json-file (logs.format.LogFormat)."""

    def parse(self, data: bytes) -> tuple[list[LogEntry], int]:
        """The entries of the whole lines that `data` begins with, and how many bytes these are."""
        end = data.rfind(b"\n") + 1
        if end == 0:
            return [], 0
        whole = data if end == len(data) else data[:end]
        try:
            lines = _decoder.decode_lines(whole)
        except msgspec.DecodeError:
            lines = [line for text in whole.split(b"\n") if (line := _decoded(text)) is not None]
        return _entries(lines), end

    def first_record(self, data: bytes) -> int | None:
        """Where the first whole line begins."""
        newline = data.find(b"\n")
        return newline + 1 if newline >= 0 and newline + 1 < len(data) else None


def _decoded(text: bytes) -> _Line | None:
    try:
        return _decoder.decode(text)
    except msgspec.DecodeError:
        return None


def _entries(lines: list[_Line]) -> list[LogEntry]:
    entries = []
    # What was printed at once has one time: most often it is the line's before.
    known_time, time_ns = "", 0
    for line in lines:
        if line.time != known_time:
            try:
                time_ns = parse_rfc3339(line.time)
            except InvalidArgument:
                continue
            known_time = line.time
        stream = STDERR if line.stream == "stderr" else STDOUT
        entries.append(LogEntry(stream, time_ns, line.log.encode("utf-8", "surrogatepass"), line.attrs))
    return entries
