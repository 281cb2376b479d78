"""What host and guest say to each other over one virtio-serial port.

    guest                                                host
      │ ── {"kind": "ready", "kernel", "cgroups"} ────────▶ │
      │ ◀── {"kind": "job", "arguments", "environment"} ─── │
      │ ── {"kind": "file", "name", "text"} ──────────────▶ │
      │ ── {"kind": "exit", "code"} ──────────────────────▶ │  and the machine powers itself off

A message is four bytes of length, the most significant first, and that many bytes of JSON. Output goes through a port
of its own, as it comes. Both sides run this file; the guest's with the standard library alone.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator

_LENGTH = struct.Struct(">I")
LARGEST_BYTES = 64 << 20
REPORT_PORT = "shoal.report"
OUTPUT_PORT = "shoal.output"

Message = dict[str, object]


def encode(message: Message) -> bytes:
    """The message as it travels."""
    body = json.dumps(message).encode()
    return _LENGTH.pack(len(body)) + body


class Decoder:
    """Messages out of pieces of a stream, whatever its pieces are."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[Message]:
        """The messages that are whole with `data`.

        Raises: ValueError when this is no such stream.
        """
        self._buffer += data
        while len(self._buffer) >= _LENGTH.size:
            (size,) = _LENGTH.unpack_from(self._buffer)
            if size > LARGEST_BYTES:
                raise ValueError(f"a message of {size} bytes")
            if len(self._buffer) < _LENGTH.size + size:
                return
            body = bytes(self._buffer[_LENGTH.size : _LENGTH.size + size])
            del self._buffer[: _LENGTH.size + size]
            message = json.loads(body)
            if not isinstance(message, dict):
                raise ValueError("a message that is no object")
            yield message
