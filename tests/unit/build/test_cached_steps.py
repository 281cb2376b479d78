"""Steps out of caches from elsewhere."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Mapping, Sequence
from typing import Any, cast

import pytest

from shoal.build.cache import BuildCache, Inputs
from shoal.build.cached_steps import CachedSteps
from shoal.build.keyed_locks import KeyedLocks
from shoal.build.ports import MadeLayer
from shoal.build.state import State
from shoal.build.steps.work import Work
from shoal.build.tools import Tools
from shoal.oci.digest import Digest
from shoal.oci.platform import Platform

BASE = Digest("sha256:" + "1" * 64)


class _Layers:
    def hold(self, _chain_ids: Sequence[Digest]) -> bool:
        """All are there."""
        return True

    def release(self, _chain_ids: Sequence[Digest]) -> None:
        """Nothing goes."""

    def moved(self, _chain_id: Digest, _below: Sequence[Digest]) -> MadeLayer:
        """No step of these tests has a layer."""
        raise AssertionError


class _Source:
    def __init__(self, steps: Mapping[str, int | None]) -> None:
        self.steps = steps

    async def bring(self, _layer: int, _below: Sequence[Digest]) -> MadeLayer:
        """No step of these tests has a layer."""
        raise AssertionError


class _Told:
    async def cached(self) -> None:
        """Nobody listens."""

    async def wrote(self, text: str) -> None:
        """Nobody listens."""

    async def missed(self, reasons: list[str]) -> None:
        """Nobody listens."""


@pytest.mark.parametrize("is_independent", [True, False])
def test_perform_step_without_layer_from_elsewhere(*, is_independent: bool) -> None:
    """A step that made nothing adds nothing; one that is independent does not take the base's layer for its own."""
    made = []

    async def make(_before: object) -> None:
        made.append(True)

    inputs = Inputs({"copy": "x"}, {})
    layers: Any = _Layers()
    tools = Tools(
        layers=layers,
        images=cast(Any, None),
        runner=cast(Any, None),
        cache=BuildCache(sqlite3.connect(":memory:", isolation_level=None), layers),
        caches=cast(Any, None),
        fetcher=cast(Any, None),
        making=KeyedLocks(),
    )
    steps = CachedSteps(tools, [_Source({inputs.key: None})], no_cache=False)
    work = Work(inputs, "slot", "COPY", "COPY", make, is_independent)
    state = State(Platform("linux", "amd64"), 0, chain_ids=(BASE,), diff_ids=(BASE,))
    after = asyncio.run(steps.perform(_Told(), work, state))
    assert after.chain_ids == (BASE,)
    assert bool(made) == is_independent
