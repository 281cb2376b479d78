"""What a pull or a push tells on its way, and how often."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import NamedTuple

from shoal.oci.digest import Digest

_PAUSE_S = 0.1  # each step costs a way through the event loop to the client


class Step(NamedTuple):
    """One line of progress: of a layer or a tag `id`, or of the whole ("")."""

    status: str
    id: str = ""
    current_bytes: int = 0
    total_bytes: int = 0
    is_layer: bool = False


class Pushed(NamedTuple):
    """A manifest is in the registry under this tag."""

    tag: str
    digest: Digest
    size_bytes: int


Told = Step | Pushed


class Teller:
    """Passes on what several threads tell, one at a time."""

    def __init__(self, hear: Callable[[Told], None]) -> None:
        self._hear = hear
        self._lock = threading.Lock()

    def whole(self, status: str, id: str = "") -> None:
        """Tell something of the image as a whole."""
        self.tell(Step(status, id))

    def layer(self, id: str, status: str) -> None:
        """Tell of one layer."""
        self.tell(Step(status, id, is_layer=True))

    def tell(self, step: Told) -> None:
        """Tell it. Raises: what the listener raises, when it wants no more."""
        with self._lock:
            self._hear(step)

    def bytes_of(self, id: str, status: str, total_bytes: int) -> Callable[[int], None]:
        """A listener for how many bytes of a layer are done: it tells the first, the last, and ten a second between."""
        told, told_s = 0, 0.0

        def hear(current_bytes: int) -> None:
            nonlocal told, told_s
            now_s = time.monotonic()
            if current_bytes > told and (now_s - told_s >= _PAUSE_S or current_bytes >= total_bytes):
                told, told_s = current_bytes, now_s
                self.tell(Step(status, id, current_bytes, total_bytes, is_layer=True))

        return hear
