"""The answers of foreign name servers that one container got lately.

One for each container, because its network, out of which the servers were asked, is its own to manipulate: what it
puts there reaches nobody else.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from shoal.network.dns.wire import KeptAnswer

_MOST_ENTRIES = 256
_MOST_BYTES = 4096
# So soon nobody asks servers again that all failed (RFC 9520).
_FAILURE_S = 1.0


class AnswerCache:
    """Answers by query, without its id. `clock_s` never goes back."""

    def __init__(self, clock_s: Callable[[], float]) -> None:
        self._clock_s = clock_s
        self._kept: dict[bytes, tuple[float, KeptAnswer]] = {}
        self._failed: dict[bytes, tuple[float, bytes]] = {}

    def get(self, query: bytes, id: int) -> bytes | None:
        """An answer to the same query that may still be given."""
        key = query[2:]
        now_s = self._clock_s()
        if found := self._kept.get(key):
            came_s, answer = found
            age_s = int(now_s - came_s)
            if age_s < answer.lifetime_s:
                return answer.render(id, age_s)
            del self._kept[key]
        if failure := self._failed.get(key):
            if now_s - failure[0] < _FAILURE_S:
                return query[:2] + failure[1][2:]
            del self._failed[key]
        return None

    def put(self, query: bytes, answer: bytes) -> None:
        """Keeps an answer, if it may be kept."""
        if len(answer) > _MOST_BYTES:
            return
        # Only here, because dnspython takes 50 ms to load, and most shoalds never need it.
        from shoal.network.dns.wire import keepable

        kept = keepable(answer)
        if kept is not None:
            _make_room(self._kept)
            self._kept[query[2:]] = self._clock_s(), kept

    def put_failure(self, query: bytes, answer: bytes) -> None:
        """Keeps, for a moment, that no server gave an answer."""
        _make_room(self._failed)
        self._failed[query[2:]] = self._clock_s(), answer


def _make_room(entries: dict[bytes, tuple[float, KeptAnswer]] | dict[bytes, tuple[float, bytes]]) -> None:
    """Lets the oldest go where there are too many."""
    while len(entries) >= _MOST_ENTRIES:
        entries.pop(next(iter(entries)))
