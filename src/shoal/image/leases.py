"""Layers that no image has yet: who has them, and for how long, whatever becomes of the work that makes them.

    running       held; on disk `until_ns` is NULL
    done          an image has the layers now: the lease goes, and with it what earlier tries had left
    broken off    held for an hour more, so that the next try finds what this one made
    killed        found running at the start of shoald: it counts as broken off at that moment

Only work that can be taken up again takes a lease; the rest holds its layers in memory alone (`LayerStore.held`), and
what it has made when it is killed is garbage at the next start. Table image_leases. Thread-safe.
"""

from __future__ import annotations

import itertools
import sqlite3
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from shoal.image.layers import LayerStore
from shoal.oci.digest import Digest

GRACE_NS = 3600 * 10**9
_SCHEMA = """
CREATE TABLE IF NOT EXISTS image_leases (
    id INTEGER PRIMARY KEY,
    subject TEXT NOT NULL,              -- what the layers are for: a reference
    layers TEXT NOT NULL,               -- chainIDs, the bottom one first, with spaces between
    until_ns INTEGER
);
"""


@dataclass(frozen=True, slots=True)
class Lease:
    """Layers held for `subject`; `until_ns` is None while the work is under way."""

    subject: str
    chain_ids: tuple[Digest, ...]
    until_ns: int | None


class Leases:
    """The leases on `layers`. What was running when an earlier process ended counts as broken off now."""

    def __init__(
        self, connect: Callable[[], sqlite3.Connection], layers: LayerStore, clock_ns: Callable[[], int]
    ) -> None:
        self._layers = layers
        self._clock_ns = clock_ns
        self._lock = threading.Lock()
        self._leases: dict[int, Lease] = {}
        self._db = connect()
        self._db.executescript(_SCHEMA)
        self._db.execute("UPDATE image_leases SET until_ns = ? WHERE until_ns IS NULL", (clock_ns() + GRACE_NS,))
        for number, subject, names, until_ns in self._db.execute("SELECT * FROM image_leases").fetchall():
            lease = Lease(subject, tuple(Digest(name) for name in names.split()), until_ns)
            self._leases[number] = lease
            layers.hold(lease.chain_ids)
        self._numbers = itertools.count(max(self._leases, default=0) + 1)
        self.expire()

    def close(self) -> None:
        """Close the connection."""
        self._db.close()

    @contextmanager
    def held(self, subject: str, chain_ids: Sequence[Digest]) -> Iterator[None]:
        """Hold the layers, which need not exist yet, within the block; if it fails, for an hour more."""
        lease = Lease(subject, tuple(chain_ids), None)
        number = next(self._numbers)
        before = self._existing(chain_ids)
        with self._lock:
            self._db.execute(
                "INSERT INTO image_leases VALUES (?, ?, ?, NULL)", (number, subject, " ".join(lease.chain_ids))
            )
            self._layers.hold(lease.chain_ids)
            self._leases[number] = lease
        try:
            yield
        except BaseException:
            if self._existing(chain_ids) > before:
                self._break_off(number, lease)
            else:
                self._end([number])  # it made nothing that would be worth keeping
            raise
        with self._lock:
            old = [known for known, one in self._leases.items() if one.subject == subject and one.until_ns is not None]
        self._end([number, *old])

    def expire(self) -> list[Digest]:
        """Let go what was broken off more than an hour ago; returns the layers that went with it."""
        now_ns = self._clock_ns()
        return self._end([number for number, until_ns in self._broken_off() if until_ns <= now_ns])

    def next_expiry_ns(self) -> int | None:
        """When `expire` has something to do; None if never."""
        return min((until_ns for _, until_ns in self._broken_off()), default=None)

    def subjects(self) -> Mapping[Digest, str]:
        """For each layer under a lease, what it is held for."""
        with self._lock:
            return {chain_id: lease.subject for lease in self._leases.values() for chain_id in lease.chain_ids}

    def give_up(self) -> list[Digest]:
        """Let go at once all that is broken off; returns the layers that went with it."""
        return self._end([number for number, _ in self._broken_off()])

    def _broken_off(self) -> list[tuple[int, int]]:
        with self._lock:
            return [(number, one.until_ns) for number, one in self._leases.items() if one.until_ns is not None]

    def _existing(self, chain_ids: Sequence[Digest]) -> set[Digest]:
        return {Digest(layer.chain_id) for layer in self._layers.all()}.intersection(chain_ids)

    def _break_off(self, number: int, lease: Lease) -> None:
        until_ns = self._clock_ns() + GRACE_NS
        with self._lock:
            self._db.execute("UPDATE image_leases SET until_ns = ? WHERE id = ?", (until_ns, number))
            self._leases[number] = Lease(lease.subject, lease.chain_ids, until_ns)

    def _end(self, numbers: Sequence[int]) -> list[Digest]:
        """End those of these leases that are there; returns the layers that went with them."""
        with self._lock:
            ended = [lease for number in numbers if (lease := self._leases.pop(number, None)) is not None]
            self._db.executemany("DELETE FROM image_leases WHERE id = ?", [(number,) for number in numbers])
            return [chain_id for lease in ended for chain_id in self._layers.release(lease.chain_ids)]
