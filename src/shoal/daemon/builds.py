"""Puts the builder together, out of the engine's parts. It is loaded by the first build: many daemons never build."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shoal.engine.building.step_containers import StepContainers
from shoal.engine.clock import system_clock
from shoal.engine.database import Database
from shoal.engine.events import EventLog
from shoal.engine.images import Images
from shoal.engine.images_registries import ImageTransfers
from shoal.image.store import ImageStore
from shoal.linux.procfs import boot_id
from shoal.oci.platform import Platform

if TYPE_CHECKING:
    from shoal.engine.building.service import BuildService


def load_builder(
    store: ImageStore,
    images: Images,
    containers: StepContainers,
    transfers: ImageTransfers,
    database: Database,
    events: EventLog,
    platform: Platform,
) -> BuildService:
    """The builder on the daemon's images and containers."""
    from shoal.build.cache import BuildCache
    from shoal.build.cache_mounts import CacheMounts
    from shoal.engine.building.kept_contexts import KeptContexts
    from shoal.engine.building.layers import BuildLayers
    from shoal.engine.building.service import BuildService

    layers = BuildLayers(store.layer_store, store.scratch)
    return BuildService(
        store=store,
        images=images,
        transfers=transfers,
        containers=containers,
        cache=BuildCache(database.connection, layers),
        caches=CacheMounts(str(containers.paths.build_caches), layers),
        layers=layers,
        contexts=KeptContexts(containers.paths.build_contexts, boot_id(), layers),
        platform=platform,
        events=events,
        background=containers.background,
        clock=system_clock,
    )
