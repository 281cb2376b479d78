"""Who is removing which container: a second removal is refused while the first one goes on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from shoal.engine.container.record import ContainerRecord
from shoal.errors import Conflict


class RemovalClaims:
    """The containers that are being removed now, by a client, by themselves at their end, or by a prune."""

    def __init__(self) -> None:
        self._claimed: Counter[str] = Counter()

    @contextmanager
    def claim(self, record: ContainerRecord, ref: str) -> Iterator[None]:
        """Within it the container is removed for the client who calls it `ref`.

        Raises: Conflict, in Docker's words, while somebody else removes it.
        """
        if record.id in self._claimed:
            raise Conflict(f"removal of container {ref} is already in progress")
        with self.join(record):
            yield

    @contextmanager
    def join(self, record: ContainerRecord) -> Iterator[None]:
        """Within it the container is removed, whoever asked for it first."""
        self._claimed[record.id] += 1
        try:
            yield
        finally:
            self._claimed -= Counter([record.id])
