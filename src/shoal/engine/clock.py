"""Time as the engine sees it: passed in, so that tests own it."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeAlias

Clock: TypeAlias = Callable[[], int]
"""Nanoseconds since the Unix epoch."""

system_clock: Clock = time.time_ns
