"""The cache of steps: what names a row, what holds layers, and why a step is made anew."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Sequence

import pytest

from shoal.build.cache import BuildCache, Inputs, differences
from shoal.build.cached_chains import cached_chains
from shoal.oci.digest import Digest

ONE, TWO = Digest("sha256:" + "1" * 64), Digest("sha256:" + "2" * 64)


class Holding:
    """Layers that count who holds them."""

    def __init__(self) -> None:
        self.holds: Counter[Digest] = Counter()

    def hold(self, chain_ids: Sequence[Digest]) -> bool:
        self.holds.update(chain_ids)
        return True

    def release(self, chain_ids: Sequence[Digest]) -> None:
        self.holds.subtract(chain_ids)


@pytest.fixture
def layers() -> Holding:
    """Layers that nobody holds."""
    return Holding()


@pytest.fixture
def connection() -> sqlite3.Connection:
    """A database in memory, in autocommit mode."""
    return sqlite3.connect(":memory:", isolation_level=None)


def add(cache: BuildCache, inputs: Inputs, chain: Sequence[Digest], now_ns: int = 1, slot: str = "s") -> None:
    """Notes a step."""
    cache.add(inputs, slot=slot, kind="regular", description="RUN x", chain=chain, size=5, now_ns=now_ns)


def test_key_is_made_of_all_parts_in_any_order() -> None:
    """The same parts have the same key, whatever their order; any other part gives another."""
    key = Inputs({"a": "1", "b": "2"}, {}).key
    assert Inputs({"b": "2", "a": "1"}, {b"x": "y"}).key == key
    assert len({key, Inputs({"a": "1", "b": "3"}, {}).key, Inputs({"a": "1"}, {}).key}) == 3


def test_row_holds_its_layers_once(connection: sqlite3.Connection, layers: Holding) -> None:
    """A row holds each of its layers until it is removed; noting the same step again changes nothing of that."""
    cache = BuildCache(connection, layers)  # type: ignore[arg-type]  # it needs no more of layers
    inputs = Inputs({"a": "1"}, {})
    add(cache, inputs, [ONE, TWO])
    add(cache, inputs, [ONE])
    assert layers.holds == {ONE: 1, TWO: 0}
    cache.remove(cache.rows())
    assert layers.holds == {ONE: 0, TWO: 0}
    assert cache.rows() == []


def test_row_is_found_and_counts_its_uses(connection: sqlite3.Connection, layers: Holding) -> None:
    """A row found is used at that moment, and the one that was not used for longest comes first."""
    cache = BuildCache(connection, layers)  # type: ignore[arg-type]  # it needs no more of layers
    first, second = Inputs({"a": "1"}, {}), Inputs({"a": "2"}, {})
    add(cache, first, [ONE], now_ns=1)
    add(cache, second, [TWO], now_ns=2)
    assert cache.find("unknown", 3) is None
    assert cache.find(first.key, 3) is not None
    assert [(row.key, row.used_ns, row.uses) for row in cache.rows()] == [(second.key, 2, 0), (first.key, 3, 1)]


def test_rows_outlive_the_daemon(connection: sqlite3.Connection, layers: Holding) -> None:
    """What was noted is there for the next daemon, whose image store is told which layers to keep."""
    assert cached_chains(connection) == []
    inputs = Inputs({"a": "1"}, {})
    add(BuildCache(connection, layers), inputs, [ONE, TWO])  # type: ignore[arg-type]  # it needs no more of layers
    assert cached_chains(connection) == [(ONE, TWO)]
    row = BuildCache(connection, layers).find(inputs.key, 9)  # type: ignore[arg-type]  # as above
    assert row is not None
    assert row.chain == (ONE, TWO)


def test_differences_name_parts_and_files(connection: sqlite3.Connection, layers: Holding) -> None:
    """Why a step was made anew: the last inputs of its slot against these, the files one by one."""
    cache = BuildCache(connection, layers)  # type: ignore[arg-type]  # it needs no more of layers
    line = "100644 0:0 abc "
    add(cache, Inputs({"user": "a", "files": "1"}, {b"x": line, b"gone": line, b"same": line}), [ONE])
    before = cache.before("s")
    assert before is not None
    now = Inputs({"user": "b", "files": "2"}, {b"x": "100755 0:0 abd ", b"new": line, b"same": line})
    assert differences(before.inputs, now) == [
        "user was 'a' and is 'b'",
        "/gone is gone",
        "/new is new",
        "/x has another mode and content",
    ]
    assert cache.before("other") is None
