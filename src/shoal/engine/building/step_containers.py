"""The containers in which builds run their commands: which there are at the moment, and what starting one needs."""

from __future__ import annotations

import asyncio

from shoal.engine.background import Background
from shoal.engine.clock import Clock
from shoal.engine.container.launches import LaunchBuilder
from shoal.engine.networking import ContainerNetworks
from shoal.engine.paths import Paths
from shoal.engine.specgen import SpecGenerator
from shoal.image.snapshot.protocol import Snapshotter
from shoal.runtime.driver import Exit, OnExit, RuntimeDriver


class StepContainers:
    """The containers of builds that run at the moment, and what starting one needs."""

    def __init__(
        self,
        paths: Paths,
        snapshotter: Snapshotter,
        networks: ContainerNetworks,
        launches: LaunchBuilder,
        driver: RuntimeDriver,
        generator: SpecGenerator,
        background: Background,
        clock: Clock,
    ) -> None:
        self.paths = paths
        self.snapshotter = snapshotter
        self.networks = networks
        self.launches = launches
        self.driver = driver
        self.generator = generator
        self.background = background
        self.clock = clock
        self.running: dict[str, asyncio.Future[Exit]] = {}

    def listening(self, others: OnExit) -> OnExit:
        """Who the driver tells of ends: builds of theirs, `others` of the rest."""

        def exited(id: str, exit: Exit) -> None:
            waiting = self.running.get(id)
            if waiting is None:
                others(id, exit)
            elif not waiting.done():
                waiting.set_result(exit)

        return exited
