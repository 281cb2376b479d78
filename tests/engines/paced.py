"""Blobs that a registry sends no faster than they get to the disk, counted: what is sent twice was asked for twice."""

from __future__ import annotations

import os
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from tests.engines.bad_registry import BadRegistry, Exchange

PIECE_BYTES = 64 << 10
WINDOW_BYTES = 192 << 10
CHUNK_BYTES = WINDOW_BYTES + PIECE_BYTES  # what can be on its way between the registry and the disk


class Paced:
    """The blobs of at least a piece's length in `registry`, for a store whose partial blobs lie in `partial`.

    Without the pace the kernel would buffer megabytes, which nobody has asked for twice when they are lost. `before` is
    asked with the digest and the position before each piece; if it says False, the connection is cut there.
    """

    def __init__(self, registry: BadRegistry, partial: Path) -> None:
        self.sent: Counter[str] = Counter()
        self.before: Callable[[str, int], bool] = lambda _digest, _position: True
        self._registry = registry
        self._partial = partial
        self._lock = threading.Lock()
        registry.tricks.append(self._serve)

    def _serve(self, exchange: Exchange) -> bool:
        digest = exchange.path.rpartition("/")[2]
        blob = self._registry.blobs.get(digest, b"")
        if "/blobs/" not in exchange.path or len(blob) < PIECE_BYTES:
            return False
        begin = int(exchange.headers.get("Range", "bytes=0-")[6:].rstrip("-"))
        span = f"bytes {begin}-{len(blob) - 1}/{len(blob)}"
        send = exchange.begin(206 if begin else 200, len(blob) - begin, Content_Range=span)
        for position in range(begin, len(blob), PIECE_BYTES):
            if not self._is_wanted(exchange, digest, position) or not self.before(digest, position):
                exchange.cut()
                break
            piece = blob[position : position + PIECE_BYTES]
            with self._lock:
                self.sent[digest] += len(piece)
            send(piece)
        return True

    def _is_wanted(self, exchange: Exchange, digest: str, position: int) -> bool:
        """Whether the client is still there when all but a window of the bytes before `position` are on the disk."""
        while self.kept(digest) < position - WINDOW_BYTES:
            if exchange.is_left(0.003):
                return False
        return True

    def kept(self, digest: str) -> int:
        """How many bytes of the blob are on the disk."""
        size = len(self._registry.blobs[digest])
        try:
            return os.stat(self._partial / f"{digest.replace(':', '-')}.{size}").st_size
        except FileNotFoundError:
            return 0
