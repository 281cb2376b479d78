"""Containers as the server asks for them: each call a use case, made of the parts in this package."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass

from shoal.api.container import (
    ContainerCreateRequest,
    ContainerCreateResponse,
    ContainerInspect,
    ContainerSummary,
    WaitExitError,
    WaitResponse,
)
from shoal.api.detach_keys import parse_detach_keys
from shoal.api.exec import console_size
from shoal.api.log import LogStream
from shoal.api.options import AttachOptions, ListOptions, LogOptions
from shoal.engine.background import Background
from shoal.engine.clock import Clock
from shoal.engine.container.attaching import ContainerAttachment
from shoal.engine.container.clients import WaitingClients
from shoal.engine.container.container_logs import ContainerLogs
from shoal.engine.container.creation import Creator
from shoal.engine.container.freezing import Freezer
from shoal.engine.container.lifecycle import Lifecycle
from shoal.engine.container.links import Links
from shoal.engine.container.listing import select
from shoal.engine.container.locks import ContainerLocks
from shoal.engine.container.moving import Mover
from shoal.engine.container.names import normalise_name
from shoal.engine.container.record import ContainerRecord
from shoal.engine.container.registry import ContainerRegistry
from shoal.engine.container.removal import Remover
from shoal.engine.container.sharing import Sharing
from shoal.engine.container.stopping import Stopper
from shoal.engine.container.view import Sizes, inspect_view, summary_view
from shoal.engine.container.waiters import Ending, Waiters
from shoal.engine.events import EventLog
from shoal.engine.execs import Execs
from shoal.engine.health.monitor import HealthMonitor
from shoal.engine.image_names import ImageNames
from shoal.engine.networking import ContainerNetworks
from shoal.engine.paths import Paths
from shoal.errors import Conflict, InvalidArgument, NotFound, NotModified, ShoalError
from shoal.image.snapshot.protocol import Snapshotter
from shoal.runtime.driver import RuntimeDriver


@dataclass(frozen=True, slots=True)
class Containers:
    """All containers of the daemon; what the server calls `ContainerBackend`."""

    paths: Paths
    registry: ContainerRegistry
    creator: Creator
    lifecycle: Lifecycle
    stopper: Stopper
    freezer: Freezer
    remover: Remover
    waiters: Waiters
    clients: WaitingClients
    locks: ContainerLocks
    execs: Execs
    networks: ContainerNetworks
    links: Links
    image_names: ImageNames
    snapshotter: Snapshotter
    driver: RuntimeDriver
    container_logs: ContainerLogs
    events: EventLog
    clock: Clock
    background: Background
    health: HealthMonitor

    async def create(
        self, name: str | None, request: ContainerCreateRequest, platform: str | None
    ) -> ContainerCreateResponse:
        """The id of a new container. Raises: NotFound, Conflict, InvalidArgument, Unsupported."""
        return await self.background.complete(self.creator.create(name, request, platform))

    async def list(self, options: ListOptions) -> Sequence[ContainerSummary]:
        """The containers that the options let through, the newest first. Raises: InvalidArgument, NotFound."""
        chosen = select(
            self.registry,
            options,
            find=self.registry.find,
            ancestors=self.image_names.descendants,
            health=self.health.health,
            network=self.networks.view,
        )
        now_ns = self.clock()
        rows = []
        for record in chosen:
            try:
                sizes = await self._sizes(record) if options.size else None
            except NotFound:
                continue  # it was removed meanwhile
            image = self.image_names.show(record.config.image, record.image_id)
            network, names = self.networks.view(record), self.links.names_of(record)
            view = summary_view(
                record,
                now_ns=now_ns,
                names=names,
                image=image,
                network=network,
                sizes=sizes,
                health=self.health.health(record.id),
            )
            rows.append(view)
        return rows

    async def inspect(self, ref: str, *, size: bool) -> ContainerInspect:
        """All about one container. Raises: NotFound."""
        record = self.registry.find(ref)
        return inspect_view(
            record,
            paths=self.paths,
            driver=self.snapshotter.name,
            network=self.networks.view(record),
            exec_ids=self.execs.ids_of(record.id),
            sizes=await self._sizes(record) if size else None,
            health=self.health.health(record.id),
            links=self.links.shown(record),
            files_owner=Sharing(self.registry).files_owner(record),
        )

    async def _sizes(self, record: ContainerRecord) -> Sizes:
        try:
            usage = await asyncio.to_thread(self.snapshotter.usage, record.id)
        except FileNotFoundError as cause:
            raise NotFound(f"No such container: {record.id}") from cause  # removed while its files were counted
        return Sizes(usage.size_bytes, usage.size_bytes + self.image_names.size_bytes(record.image_id))

    async def start(self, ref: str, *, detach_keys: str) -> None:
        """Returns when the container's program runs. Raises: NotFound, NotModified, Conflict, InvalidArgument."""
        parse_detach_keys(detach_keys)
        await self.background.complete(self.lifecycle.start(self.registry.find(ref)))

    async def stop(self, ref: str, *, signal: str | None, timeout_s: int | None) -> None:
        """Returns when the container has ended. Raises: NotFound, NotModified, InvalidArgument."""
        await self.background.complete(self.stopper.stop(self.registry.find(ref), signal, timeout_s))

    async def restart(self, ref: str, *, signal: str | None, timeout_s: int | None) -> None:
        """Returns when the container runs again. Raises: NotFound, InvalidArgument, what a start raises."""
        await self.background.complete(self._restart(self.registry.find(ref), signal, timeout_s))

    async def _restart(self, record: ContainerRecord, signal: str | None, timeout_s: int | None) -> None:
        with self.lifecycle.kept(record):
            try:
                await self.stopper.stop(record, signal, timeout_s, by="restart")
            except NotModified:
                pass  # a stopped container is just started
            try:
                await self.lifecycle.start(record)
            except NotModified:
                pass  # somebody else was quicker
        self.events.publish("container", "restart", record.id, record.attributes())

    async def move(self, ref: str, *, isolation: str) -> None:
        """Returns when the container runs under that isolation, if it ran. Raises: NotFound, and as Mover.move."""
        mover = Mover(
            self.registry, self.lifecycle, self.stopper, self.networks, self.image_names, self.locks, self.events
        )
        await self.background.complete(mover.move(self.registry.find(ref), isolation))

    async def kill(self, ref: str, *, signal: str | None) -> None:
        """Sends a signal; SIGKILL returns when the container has ended. Raises: NotFound, Conflict, InvalidArgument."""
        await self.stopper.kill(self.registry.find(ref), signal)

    async def remove(self, ref: str, *, force: bool, volumes: bool, link: bool) -> None:
        """Returns when the container is gone. Raises: NotFound, Conflict."""
        if link:
            self.links.remove(ref)
            return
        record = self.registry.find(ref)
        await self.background.complete(self._claim_and_remove(record, ref, force=force, volumes=volumes))

    async def _claim_and_remove(self, record: ContainerRecord, ref: str, *, force: bool, volumes: bool) -> None:
        with self.remover.claims.claim(record, ref):
            await self._remove(record, force=force, volumes=volumes)

    async def _remove(self, record: ContainerRecord, *, force: bool, volumes: bool) -> None:
        while True:
            if record.is_active and not force:
                raise _still_active(record)
            if record.is_active:
                try:
                    await self.stopper.kill(record, None, by="remove")
                except Conflict:
                    pass  # it ended by itself just now
            async with self.locks.hold(record.id):
                if self.registry.get(record.id) is not record:
                    return
                if not record.is_active:
                    await self.remover.remove(record, volumes=volumes)
                    return
            # Somebody, or its restart policy, has started it in between.

    async def rename(self, ref: str, name: str) -> None:
        """Gives the container another name. Raises: NotFound, Conflict, InvalidArgument."""
        record = self.registry.find(ref)
        old = record.name
        if not name.removeprefix("/"):
            raise InvalidArgument("Neither old nor new names may be empty")
        try:
            new = normalise_name(f"/{name.removeprefix('/')}")
            if new != old:
                self.registry.rename(record, new)
                self.networks.resolving.changed()
        except ShoalError as problem:
            problem.what = f"Error when allocating new name: {problem.what}"
            raise
        if new == old:
            raise InvalidArgument("Renaming a container with the same name as its current name")
        self.events.publish("container", "rename", record.id, {**record.attributes(), "oldName": f"/{old}"})

    async def pause(self, ref: str) -> None:
        """Returns when every process of the container is frozen. Raises: NotFound, Conflict."""
        await self.freezer.pause(self.registry.find(ref))

    async def unpause(self, ref: str) -> None:
        """Returns when the container's processes go on. Raises: NotFound, Conflict."""
        await self.freezer.unpause(self.registry.find(ref))

    async def wait(self, ref: str, condition: str) -> Awaitable[WaitResponse]:
        """A ticket that is registered already. Raises: NotFound, InvalidArgument."""
        record = self.registry.find(ref)
        if condition not in ("", "not-running", "next-exit", "removed"):
            raise InvalidArgument(f'invalid condition: "{condition}"')
        if condition in ("", "not-running") and not record.is_active:
            done: asyncio.Future[Ending] = asyncio.get_running_loop().create_future()
            done.set_result(Ending(record.state.exit_code))
            return _wait_response(done)
        if condition == "removed":
            return _wait_response(self.waiters.wait(record.id, "removed"))
        return _wait_response(self.waiters.wait(record.id, "next-exit" if condition == "next-exit" else "not-running"))

    async def prepare_attach(self, ref: str, options: AttachOptions) -> ContainerAttachment:
        """Leave to attach, whether the container runs yet or not. Raises: NotFound, Conflict."""
        record = self.registry.find(ref)
        if record.state.status == "paused":
            raise Conflict(f"container {ref} is paused, unpause the container before attach")
        if record.is_restarting:
            raise Conflict(f"container {ref} is restarting, wait until the container is running")
        return ContainerAttachment(
            record, options, self.registry, self.driver, self.clients, self.locks, self.container_logs, self.events
        )

    async def logs(self, ref: str, options: LogOptions) -> LogStream:
        """The entries that the options ask for. Raises: NotFound, InvalidArgument."""
        record = self.registry.find(ref)
        if not options.stdout and not options.stderr:
            raise InvalidArgument("Bad parameters: you must choose at least one stream")
        return LogStream(record.config.tty, self.container_logs.read(record, options))

    async def resize(self, ref: str, rows: int, columns: int) -> None:
        """Gives the container's terminal a size; without a terminal nothing changes. Raises: NotFound, Conflict."""
        record = self.registry.find(ref)
        if not record.is_running:
            raise Conflict(f"container {record.id} is not running")
        if record.config.tty:
            await self.driver.resize(record.id, None, *console_size((rows, columns)))
        told = {**record.attributes(), "height": str(rows), "width": str(columns)}
        self.events.publish("container", "resize", record.id, told)


def _still_active(record: ContainerRecord) -> Conflict:
    """Docker's sentence for a container that is not removed because it runs."""
    status = record.state.status
    way = (
        " and must be unpaused first" if status == "paused" else ": stop the container before removing or force remove"
    )
    return Conflict(
        f'cannot remove container "/{record.name}": container is {status}{way}', fix=f"docker rm -f {record.name}"
    )


async def _wait_response(ending: asyncio.Future[Ending]) -> WaitResponse:
    try:
        told = await ending
    finally:
        ending.cancel()
    return WaitResponse(status_code=told.exit_code, error=WaitExitError(message=told.error) if told.error else None)
