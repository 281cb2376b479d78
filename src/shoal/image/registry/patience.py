"""How long a registry may take: an answer that trickles in ends, whichever part of it trickles.

Under each read lies the socket, whose own time limit begins anew with every byte. So the time spent waiting is added up
here: the head of an answer has to be there within it, and of the rest something worth the name.
"""

from __future__ import annotations

import http.client
import io
import socket
import time
from typing import Any

# Fewer bytes in the time that one read may take are no transfer, but a way to keep us busy.
_DRIP_BYTES = 1024


class TooSlow(Exception):
    """So few bytes in so much time that it is no transfer."""


class PatientResponse(http.client.HTTPResponse):
    """An answer on its way. Raises, wherever it is read: TooSlow."""

    def __init__(self, sock: socket.socket, *args: Any, **options: Any) -> None:
        super().__init__(sock, *args, **options)
        self.fp.close()
        self._bytes = _Bytes(sock)
        self.fp = io.BufferedReader(self._bytes)

    def begin(self) -> None:
        """As the library's: reads the head."""
        super().begin()
        self._bytes.has_begun()


class _Bytes(io.RawIOBase):
    """What comes over the socket `sock`, whose time limit is the patience; the socket stays the caller's."""

    def __init__(self, sock: socket.socket) -> None:
        self._patience_s = sock.gettimeout() or float("inf")
        self._raw = sock.makefile("rb", buffering=0)
        self._is_head = True
        self._waited_s = 0.0
        self._came = 0

    def has_begun(self) -> None:
        """From here on it is the body."""
        self._is_head, self._waited_s, self._came = False, 0.0, 0

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: Any, /) -> int | None:
        """As the socket's. Raises: TooSlow."""
        began = time.monotonic()
        count = self._raw.readinto(buffer)
        self._waited_s += time.monotonic() - began
        self._came += count or 0
        if self._waited_s > self._patience_s:
            if self._is_head or self._came < _DRIP_BYTES:
                raise TooSlow(f"{self._came} bytes in {self._waited_s:.0f} seconds")
            self._waited_s, self._came = 0.0, 0
        return count

    def close(self) -> None:
        """Let go of the socket."""
        self._raw.close()
        super().close()
