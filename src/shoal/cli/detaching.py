"""Finds the detach keys in what a user types. Pure."""

from __future__ import annotations


class DetachKeys:
    """Passes typed bytes on until the whole sequence was typed in a row.

    What may be the beginning of the sequence is held back until the next key tells. `keys` empty: never detaches.
    """

    def __init__(self, keys: bytes) -> None:
        self._keys = keys
        self._matched = 0
        self.detached = False

    def feed(self, typed: bytes) -> bytes:
        """The bytes to send on; sets `detached` at the end of the sequence and drops what was typed after it."""
        out = bytearray()
        for key in typed:
            if not self._keys:
                out.append(key)
                continue
            if key == self._keys[self._matched]:
                self._matched += 1
                if self._matched == len(self._keys):
                    self.detached = True
                    return bytes(out)
                continue
            out += self._keys[: self._matched]
            # The key that broke the sequence may begin it anew.
            self._matched = int(key == self._keys[0])
            if not self._matched:
                out.append(key)
        return bytes(out)
