"""An image out of a container's changes (Docker API v1.50 ImageCommit)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec

from shoal.api.archive import CommitRequest
from shoal.api.container import ContainerConfig
from shoal.engine.background import Background
from shoal.engine.container.freezing import Freezer
from shoal.engine.container.locks import ContainerLocks
from shoal.engine.container.record import ContainerRecord
from shoal.engine.container.registry import ContainerRegistry
from shoal.engine.events import EventLog
from shoal.errors import Conflict, NotFound
from shoal.image.image import ImageId
from shoal.image.store import ImageStore
from shoal.oci.digest import Digest
from shoal.oci.image_spec import History, ImageConfig
from shoal.oci.reference import Reference

_NOTHING: tuple[object, ...] = (None, "", [], {}, False)


class Committer:
    """Makes images of containers."""

    def __init__(
        self,
        registry: ContainerRegistry,
        store: ImageStore,
        freezer: Freezer,
        locks: ContainerLocks,
        events: EventLog,
        background: Background,
    ) -> None:
        self._registry = registry
        self._store = store
        self._freezer = freezer
        self._locks = locks
        self._events = events
        self._background = background

    async def commit(self, request: CommitRequest) -> str:
        """The id of the new image. Raises: NotFound, InvalidArgument, Internal for a full disk."""
        record = self._registry.find(request.container)
        name = Reference.of_repository(request.repository, request.tag) if request.repository else None
        # To its end, whether the client waits or not: a paused container must go on.
        return await self._background.complete(self._commit(record, request, name))

    async def _commit(self, record: ContainerRecord, request: CommitRequest, name: Reference | None) -> str:
        step = History(created_by=" ".join(record.config.cmd or ()), author=request.author, comment=request.comment)
        async with self._at_rest(record, pause=request.pause), self._locks.hold(record.id):
            if self._registry.get(record.id) is not record:
                raise NotFound(f"No such container: {request.container}")
            id = await asyncio.to_thread(
                self._store.commit,
                record.id,
                ImageId(Digest(record.image_id)),
                config=image_config(record.config, request.config),
                changes=request.changes,
                reference=name,
                step=step,
            )
            if name is not None:
                image = self._store.find(id)
                labels = (image.config.labels or {}) if image else {}
                self._events.publish("image", "tag", id, {**labels, "name": name.familiar()})
            told = {"comment": request.comment, "imageID": id, "imageRef": name.familiar() if name else ""}
            self._events.publish("container", "commit", record.id, {**record.attributes(), **told})
        return id

    @asynccontextmanager
    async def _at_rest(self, record: ContainerRecord, *, pause: bool) -> AsyncIterator[None]:
        """The container does not run on meanwhile, if `pause`."""
        paused = False
        if pause and record.is_running and record.state.status != "paused":
            try:
                await self._freezer.pause(record, for_now=True)
                paused = True
            except Conflict:
                pass  # it ended, or was paused, just now
        try:
            yield
        finally:
            if paused:
                try:
                    await self._freezer.unpause(record)
                except Conflict:
                    pass  # someone else let it go on, or ended it


def image_config(container: ContainerConfig, asked: ContainerConfig | None) -> ImageConfig:
    """What containers of the new image start with: what this one was started with, under what was asked for. Pure."""
    merged = container if asked is None else _merge(asked, container)
    document = {name: value for name, value in msgspec.to_builtins(merged).items() if value not in _NOTHING}
    return msgspec.convert(document, ImageConfig)


def _merge(asked: ContainerConfig, container: ContainerConfig) -> ContainerConfig:
    """`asked`, and the container's configuration where it says nothing."""
    entrypoint, command = asked.entrypoint, asked.cmd
    if not entrypoint:
        command = command or container.cmd
        entrypoint = container.entrypoint if entrypoint is None else entrypoint
    named = {item.partition("=")[0] for item in asked.env}
    return msgspec.structs.replace(
        asked,
        entrypoint=entrypoint,
        cmd=command,
        env=[*asked.env, *(item for item in container.env if item.partition("=")[0] not in named)],
        user=asked.user or container.user,
        working_dir=asked.working_dir or container.working_dir,
        labels={**container.labels, **asked.labels},
        exposed_ports={**container.exposed_ports, **asked.exposed_ports},
        volumes={**container.volumes, **asked.volumes},
        healthcheck=asked.healthcheck or container.healthcheck,
        stop_signal=asked.stop_signal or container.stop_signal,
        shell=asked.shell or container.shell,
    )
