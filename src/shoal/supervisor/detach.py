"""Finds the keys that detach a client in what it types; runs in a supervisor.

The keys are withheld while they may become the sequence, and passed on when they do not, as `docker attach` does.
"""

from __future__ import annotations


class DetachScanner:
    """Looks for one sequence in a stream that arrives in pieces."""

    __slots__ = ("_keys", "_matched")

    def __init__(self, keys: bytes) -> None:
        self._keys = keys
        self._matched = 0

    def feed(self, data: bytes) -> tuple[bytes, bool]:
        """What to pass on of `data` (and of what was withheld), and whether the sequence is complete.

        What follows a complete sequence is dropped.
        """
        keys = self._keys
        if not keys:
            return data, False
        held = keys[: self._matched]
        text = held + data
        at = text.find(keys)
        if at >= 0:
            self._matched = 0
            return text[:at], True
        self._matched = _overlap(text, keys)
        return text[: len(text) - self._matched], False

    def end(self) -> bytes:
        """What is still withheld, when the stream ends."""
        held = self._keys[: self._matched]
        self._matched = 0
        return held


def _overlap(text: bytes, keys: bytes) -> int:
    """The length of the longest proper prefix of `keys` that ends `text`."""
    for length in range(min(len(keys) - 1, len(text)), 0, -1):
        if text.endswith(keys[:length]):
            return length
    return 0
