"""Puts the builder together, out of the engine's parts."""

from __future__ import annotations

import os

from shoal.build.cache import BuildCache
from shoal.build.cache_mounts import CacheMounts
from shoal.engine.background import Background
from shoal.engine.building.layers import BuildLayers
from shoal.engine.building.runner import StepContainers
from shoal.engine.building.service import Builds
from shoal.engine.clock import system_clock
from shoal.engine.database import Database
from shoal.engine.events import EventLog
from shoal.engine.images_registries import ImageTransfers
from shoal.engine.paths import Paths
from shoal.image.store import ImageStore
from shoal.oci.platform import Platform


def open_builds(
    paths: Paths,
    store: ImageStore,
    containers: StepContainers,
    transfers: ImageTransfers,
    database: Database,
    events: EventLog,
    background: Background,
) -> Builds:
    """The builder on the daemon's images and containers."""
    layers = BuildLayers(store.layer_store, store.scratch)
    return Builds(
        store=store,
        transfers=transfers,
        containers=containers,
        cache=BuildCache(database.connection, layers),
        caches=CacheMounts(str(paths.build_caches), layers),
        layers=layers,
        platform=Platform.of_machine(os.uname().machine),
        events=events,
        background=background,
        clock=system_clock,
    )
