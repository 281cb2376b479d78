"""Finds the detach keys in what a user types. Pure."""

from __future__ import annotations


class DetachKeys:
    """Passes typed bytes on until the whole sequence was typed in a row.

    What may be the beginning of the sequence is held back until the next key tells. `keys` empty: never detaches.
    """

    def __init__(self, keys: bytes) -> None:
        self._keys = keys
        self._held = b""
        self.detached = False

    def feed(self, typed: bytes) -> bytes:
        """The bytes to send on; sets `detached` at the end of the sequence and drops what was typed after it."""
        if not self._keys:
            return typed
        out = bytearray()
        for key in typed:
            if self.detached:
                break
            self._held += bytes((key,))
            # Let go of as little as is sure not to begin the sequence: the rest may still become it.
            while not self._keys.startswith(self._held):
                out += self._held[:1]
                self._held = self._held[1:]
            self.detached = self._held == self._keys
        return bytes(out)
