"""What all builds of a daemon share."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from shoal.build.cache import BuildCache
from shoal.build.cache_mounts import CacheMounts
from shoal.build.keyed_locks import KeyedLocks
from shoal.build.ports import Images, Layers, Runner
from shoal.build.steps.adding import Fetcher


@dataclass(frozen=True, slots=True)
class Tools:
    """The parts that a build works with."""

    layers: Layers
    images: Images
    runner: Runner
    cache: BuildCache
    caches: CacheMounts
    fetcher: Fetcher
    making: KeyedLocks
    clock_ns: Callable[[], int] = time.time_ns
