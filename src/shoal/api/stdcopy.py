"""Docker's framing of stdout and stderr in one stream. Sans-I/O: bytes in, bytes out. Pure.

    byte 0        which stream: 0 stdin, 1 stdout, 2 stderr, 3 an error of the engine
    bytes 1–3     zero
    bytes 4–7     length of the payload, big-endian
    …             the payload

Source: Docker API v1.50 ContainerAttach, "Stream format".
"""

from __future__ import annotations

import struct

from shoal.errors import InvalidArgument

STDIN, STDOUT, STDERR, SYSTEM_ERROR = 0, 1, 2, 3
HEADER_BYTES = 8
MAX_PAYLOAD_BYTES = 2**32 - 1

_HEADER = struct.Struct(">BxxxI")


def frame_header(stream: int, length: int) -> bytes:
    """The eight bytes that go before a payload of `length` bytes."""
    return _HEADER.pack(stream, length)


def encode_frame(stream: int, payload: bytes) -> bytes:
    """One frame, header and payload."""
    return _HEADER.pack(stream, len(payload)) + payload


class StdcopyDecoder:
    """Turns pieces of a framed stream, cut anywhere, into (stream, bytes) as soon as the bytes are there.

    A payload that arrives in pieces is passed on in pieces; it is never held back or copied together.
    """

    __slots__ = ("_header", "_remaining", "_stream")

    def __init__(self) -> None:
        self._header = b""
        self._stream = STDOUT
        self._remaining = 0

    def feed(self, data: bytes) -> list[tuple[int, bytes]]:
        """The payload bytes that `data` completes, in order; empty payloads are left out.

        Raises: InvalidArgument where a header names a stream that there is not.
        """
        pieces: list[tuple[int, bytes]] = []
        position = 0
        while position < len(data):
            if self._remaining:
                piece = data[position : position + self._remaining]
                pieces.append((self._stream, piece))
                self._remaining -= len(piece)
                position += len(piece)
            else:
                position += self._take_header(data, position)
        return pieces

    def _take_header(self, data: bytes, position: int) -> int:
        """How many bytes of `data` went into the header."""
        missing = data[position : position + HEADER_BYTES - len(self._header)]
        self._header += missing
        if len(self._header) == HEADER_BYTES:
            stream, self._remaining = _HEADER.unpack(self._header)
            self._header = b""
            if stream > SYSTEM_ERROR:
                raise InvalidArgument(f"Unrecognized input header: {stream}")
            self._stream = stream
        return len(missing)

    def is_between_frames(self) -> bool:
        """Whether the stream may end here; if not, it was cut off."""
        return not self._header and not self._remaining
