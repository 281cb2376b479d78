"""The steps of one build: taken out of the cache, or made and noted in it.

step ─ key ─▶ a row of the cache ─▶ an image of `--cache-from` ─▶ found: its layers, held by the build
                                                                └▶ not: made by one of those that want it, noted
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Protocol

from shoal.build import inline_cache
from shoal.build.cache import Before, Inputs, differences
from shoal.build.ports import BaseImage, CacheSource
from shoal.build.state import State
from shoal.build.steps.run import CommandFailed
from shoal.build.steps.work import Work
from shoal.build.tools import Tools
from shoal.errors import ShoalError
from shoal.oci.digest import Digest


class Told(Protocol):
    """Who hears of one step."""

    async def cached(self) -> None:
        """It was made before."""

    async def wrote(self, text: str) -> None:
        """It says this."""

    async def missed(self, reasons: list[str]) -> None:
        """It was not in the cache, for these reasons."""


class CachedSteps:
    """What steps came to, as far as one build asks. What it finds or makes is held until `release`.

    `explains`: what misses is told why.
    """

    def __init__(self, tools: Tools, sources: Sequence[CacheSource], *, no_cache: bool, explains: bool = False) -> None:
        self._tools = tools
        self._sources = sources
        self._no_cache = no_cache
        self._explains = explains
        self._held: list[Sequence[Digest]] = []
        self._imported: dict[str, Sequence[Digest]] = {}

    def release(self) -> None:
        """Let everything go."""
        for chain_ids in self._held:
            self._tools.layers.release(chain_ids)
        self._held.clear()

    def keep(self, chain_ids: Sequence[Digest]) -> None:
        """Take over layers that are held once."""
        self._held.append(chain_ids)

    def read_image(self, image: BaseImage) -> None:
        """Know what the cache in an image says, for this build alone."""
        self._imported.update(inline_cache.chains_of(image))

    async def setting(self, told: Told, before: State, after: State, text: str) -> State:
        """The state after a step that makes no layer. It is noted too, so that it can be told whether it is new."""
        arguments = repr(sorted(after.arguments.items()))
        inputs = Inputs({"image": before.image_id, "setting": text, "arguments": arguments}, {})
        if not self._no_cache and await self._found(inputs.key, before, told) is not None:
            await told.cached()
        else:
            self._note(inputs, slot=f"setting {text}", description=text, chain=after.chain_ids, size=0)
        return after.after(text).noted(inputs.key)

    async def perform(self, told: Told, work: Work, state: State) -> State:
        """The state after `work`, which is made only if nobody has made it yet; builds that want the same wait."""
        if self._no_cache:
            return await self._make(work, state)
        key = work.inputs.key
        found = await self._found(key, state, told, is_independent=work.is_independent)
        if found is None:
            before = self._tools.cache.before(work.slot)
            await self._explain(told, work, before)
            async with self._tools.making.held(key):
                found = await self._found(key, state, told, is_independent=work.is_independent)
                if found is None:
                    return await self._make_after(before, work, state)
        await told.cached()
        if work.is_independent and found[:-1] != state.chain_ids:
            found = await self._moved(work, found[-1], state)
        layer = (found[-1], self._tools.layers.diff_id(found[-1])) if len(found) > len(state.chain_ids) else None
        return state.after(work.created_by, layer).noted(key)

    async def _found(
        self, key: str, state: State, told: Told, *, is_independent: bool = False
    ) -> tuple[Digest, ...] | None:
        """The layers that the step came to, held by this build; None where nobody has made it."""
        here = self._here(key)
        if here is not None:
            return here
        return await self._elsewhere(key, state, told, is_independent=is_independent)

    async def _elsewhere(
        self, key: str, state: State, told: Told, *, is_independent: bool
    ) -> tuple[Digest, ...] | None:
        """The same out of the caches that the request names; one that does not keep its word is passed over."""
        for source in self._sources:
            if key not in source.steps:
                continue
            number = source.steps[key]
            if number is None:
                if is_independent:  # the last of its layers would be taken for the base's: it is made, as in `_make`
                    continue
                return state.chain_ids
            try:
                made = await source.bring(number, state.chain_ids)
            except ShoalError as problem:
                await told.wrote(f"[Warning] not taken from the cache: {problem}\n")
                continue
            self._held.append([made.chain_id])
            return (*state.chain_ids, made.chain_id)
        return None

    def _here(self, key: str) -> tuple[Digest, ...] | None:
        row = self._tools.cache.find(key, self._tools.clock_ns())
        chain = row.chain if row is not None else self._imported.get(key)
        if chain is None or not self._tools.layers.hold(chain):
            return None
        self._held.append(chain)
        return tuple(chain)

    async def _moved(self, work: Work, layer: Digest, state: State) -> tuple[Digest, ...]:
        """The layers of a step that was made on top of others."""
        moved = await asyncio.to_thread(self._tools.layers.moved, layer, state.chain_ids)
        self._held.append([moved.chain_id])
        chain = (*state.chain_ids, moved.chain_id)
        self._note(work.inputs, slot=work.slot, description=work.description, chain=chain, size=moved.size_bytes)
        return chain

    async def _make_after(self, before: Before | None, work: Work, state: State) -> State:
        """As `_make`, with what the step was the last time, if its layers are still there."""
        if before is None or not before.chain or not self._tools.layers.hold(before.chain):
            return await self._make(work, state)
        try:
            return await self._make(work, state, before)
        finally:
            self._tools.layers.release(before.chain)

    async def _make(self, work: Work, state: State, before: Before | None = None) -> State:
        try:
            made = await work.make(before)
        except CommandFailed as failure:
            if failure.state is not None:
                self._held.append(failure.state.chain_ids[len(state.chain_ids) :])
            raise
        if made is None:
            after = state.after(work.created_by)
        else:
            self._held.append([made.chain_id])
            after = state.after(work.created_by, (made.chain_id, made.diff_id))
        if made is not None or not work.is_independent:  # a row of such a step is found on top of other layers
            size = made.size_bytes if made else 0
            self._note(work.inputs, slot=work.slot, description=work.description, chain=after.chain_ids, size=size)
        return after.noted(work.inputs.key)

    def _note(self, inputs: Inputs, *, slot: str, description: str, chain: Sequence[Digest], size: int) -> None:
        self._tools.cache.add(
            inputs,
            slot=slot,
            kind="regular",
            description=description,
            chain=chain,
            size=size,
            now_ns=self._tools.clock_ns(),
        )

    async def _explain(self, told: Told, work: Work, before: Before | None) -> None:
        if before is not None and self._explains:
            await told.missed(differences(before.inputs, work.inputs))
