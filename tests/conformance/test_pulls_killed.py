"""Pulls through connections that break anywhere, into a shoald that is killed at any moment: all come to their end.

Against shoald alone: no other engine goes on where it stopped. `--killed-pulls N` does so many of them.
"""

from __future__ import annotations

import contextlib
import http.client
import os
import random
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.engines.bad_registry import BadRegistry, digest_of, layer_tar
from tests.engines.paced import CHUNK_BYTES, Paced
from tests.engines.shoald import Shoald

_SIZES = (200_000, 900_000, 400_000)


class Misfortune:
    """Cuts connections, and kills shoald, at random positions of blobs; each one costs a chunk at the most."""

    def __init__(self, engine: Shoald, chance: random.Random) -> None:
        self._engine = engine
        self._chance = chance
        self._lock = threading.Lock()
        self.may_kill = False
        self.interruptions = 0
        self.kills = 0

    def strike(self, _digest: str, _position: int) -> bool:
        """False to cut the connection here; the engine may be dead before it is asked."""
        with self._lock:
            if self.may_kill and self._chance.random() < 0.05:
                self.may_kill = False
                self.kills += 1
                self.interruptions += len(_SIZES)  # all that was under way
                self._engine.kill9()
                return False
            if self._chance.random() < 0.04:
                self.interruptions += 1
                return False
        return True


@pytest.fixture(scope="module")
def victim() -> Iterator[Shoald]:
    """A shoald of this file's own."""
    engine = Shoald()
    with contextlib.closing(engine):
        engine.start()
        yield engine


def test_pulls_cut_and_killed_all_complete(victim: Shoald, pytestconfig: pytest.Config) -> None:
    """Every image is there in the end, no partial one ever, and no chunk has come twice but those that were lost."""
    count = int(pytestconfig.getoption("--killed-pulls", 20))
    misfortune = Misfortune(victim, random.Random(count))
    with BadRegistry() as registry:
        paced = Paced(registry, Path(victim.data_root) / "partial")
        paced.before = misfortune.strike
        for number in range(count):
            tars = [layer_tar(f"file-{number}-{index}", os.urandom(size)) for index, size in enumerate(_SIZES)]
            registry.image(*tars, tag=str(number))
            misfortune.may_kill = number % 2 == 0
            pull_until_there(victim, f"{registry.host}/x/y:{number}")
        layers = [blob for blob in registry.blobs.values() if len(blob) > min(_SIZES) // 2]
        fetched = sum(paced.sent[digest_of(blob)] for blob in layers)
        assert fetched <= sum(map(len, layers)) + misfortune.interruptions * CHUNK_BYTES
        assert misfortune.kills
        assert len(victim.request("GET", "/images/json").json) == count
        assert not list((Path(victim.data_root) / "partial").iterdir())


def pull_until_there(engine: Shoald, name: str) -> None:
    """Pull, and start shoald again where it was killed, until the image is there; it is there as a whole."""
    repository, _, tag = name.rpartition(":")
    for _ in range(20):
        told = b""
        with contextlib.suppress(OSError, http.client.HTTPException):
            told = engine.request("POST", f"/images/create?fromImage={repository}&tag={tag}").body
        if engine.process is None or engine.process.poll() is not None:
            engine.start()
        found = engine.request("GET", f"/images/{name}/json").status
        if b"Status: Downloaded newer image" in told:
            assert found == 200
            return
    raise AssertionError(f"{name} did not come: {told!r}")
