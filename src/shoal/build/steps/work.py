"""A step that makes a layer, prepared: what it depends on is known, and it can be made, or taken from the cache."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from shoal.build.cache import Before, Inputs
from shoal.build.ports import MadeLayer


@dataclass(frozen=True, slots=True)
class Work:
    """`slot` is the same for the same step with other inputs; `created_by` is what the history says of it.

    `make` is told of the step as it was made the last time, whose layers are held meanwhile. The layer of a step that
    is independent is the same on top of any others, which are not among its inputs.
    """

    inputs: Inputs
    slot: str
    description: str
    created_by: str
    make: Callable[[Before | None], Awaitable[MadeLayer | None]]
    is_independent: bool = False
