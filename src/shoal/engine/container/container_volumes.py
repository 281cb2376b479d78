"""The volumes of containers: which ones a container has, made and filled when it is, given up when it goes.

create ─▶ what other containers have (--volumes-from) ─▶ volumes of the request ─▶ those that the image asks for
          a volume that is missing is made; an empty one gets what the image has at its place
start  ─▶ mounts; their end is the kernel's work
remove -v ─▶ anonymous ones go, if nobody else has them
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections import Counter
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from pathlib import Path

from msgspec.structs import replace

from shoal.engine.clock import Clock
from shoal.engine.container.locks import ContainerLocks
from shoal.engine.container.record import ContainerRecord
from shoal.engine.container.registry import ContainerRegistry
from shoal.engine.events import EventLog
from shoal.engine.specgen.binds import requested_mounts
from shoal.engine.specgen.requested import TARGET_IS_ROOT, RequestedMount, clean_target, tmpfs_options
from shoal.errors import Conflict, Internal, InvalidArgument, NotFound, ShoalError
from shoal.image.content import ImageDirectory
from shoal.volume.content import fill
from shoal.volume.store import VolumeStore

_log = logging.getLogger(__name__)
DRIVER = "local"
_MODES = ("", "ro", "rw", "z", "Z", "ro,z", "ro,Z", "rw,z", "rw,Z", "z,ro", "Z,ro", "z,rw", "Z,rw")


class ContainerVolumes:
    """Knows which container has which volume. Used on the event loop."""

    def __init__(self, store: VolumeStore, registry: ContainerRegistry, events: EventLog, clock: Clock) -> None:
        self._store = store
        self._registry = registry
        self._events = events
        self._clock = clock
        self._filling = ContainerLocks()
        self._held: Counter[str] = Counter()

    def users(self, name: str) -> list[str]:
        """The ids of the containers that have the volume, running or not."""
        return [record.id for record in self._registry if name in _names(record)]

    def is_free(self, name: str) -> bool:
        """Whether no container has the volume, and none that is being made is about to."""
        return not self._held[name] and not self.users(name)

    @asynccontextmanager
    async def made_for(self, record: ContainerRecord) -> AsyncIterator[None]:
        """Gives a new container its volumes, in `record.mounts`; in the block it is registered.

        When that fails the anonymous ones are gone again; named ones stay, as with Docker.

        Raises: NotFound, InvalidArgument, Conflict, Unsupported, Internal.
        """
        wanted = self._wanted(record)
        if not wanted:
            yield
            return
        held: list[str] = []
        made: list[str] = []
        try:
            for mount in wanted:
                record.mounts.append(self._resolved(mount, record.id, made) if mount.kind == "volume" else mount)
                held.append(record.mounts[-1].volume)
                self._held[held[-1]] += 1
            for mount in record.mounts:
                if mount.kind == "volume" and not mount.no_copy and not mount.subpath:
                    await self._fill(mount, record)
            yield
        except BaseException:
            self.drop([name for name in made if self._store.get(name).is_anonymous])
            self._store.disown(record.id)
            raise
        finally:
            self._held -= Counter(held)
        self._store.disown(record.id)

    def _wanted(self, record: ContainerRecord) -> list[RequestedMount]:
        """The volumes that the container is to have and what it gets of others; nothing twice at one place."""
        host = record.host_config
        if not (host.volumes_from or record.config.volumes or host.binds or host.mounts):
            return []
        asked = requested_mounts(host)
        # "z" is what Docker shows where nothing was said.
        own = [replace(mount, mode=mount.mode or "z") for mount in asked if mount.kind == "volume"]
        taken = {mount.target for mount in asked}
        found = {mount.target: mount for ref in host.volumes_from for mount in self._of_other(ref)}
        others = [mount for target, mount in found.items() if target not in taken]
        taken |= found.keys()
        places = [path for path in dict.fromkeys(map(clean_target, record.config.volumes)) if path not in taken]
        if "/" in places:
            raise InvalidArgument(f'invalid mount config for type "volume": {TARGET_IS_ROOT}')
        anonymous = [RequestedMount(kind="volume", source="", target=path, propagation="") for path in places]
        for mount in (*own, *anonymous):
            try:
                check_driver(mount.source, mount.driver or host.volume_driver)
            except NotFound as problem:
                # Not a 404: clients take that as a missing image, and pull it.
                raise InvalidArgument(problem.what, fix=problem.fix) from None
        return [*others, *own, *anonymous]

    def _of_other(self, reference: str) -> list[RequestedMount]:
        """What `--volumes-from REFERENCE` gives: the other container's volumes and binds."""
        ref, _, mode = reference.partition(":")
        if not ref:
            raise InvalidArgument("malformed volumes-from specification: " + reference)
        if mode not in _MODES:
            raise InvalidArgument(f"invalid mode: {mode}")
        other = self._registry.find_or_none(ref)
        if other is None:
            # Not a 404: clients take that as a missing image, and pull it.
            raise InvalidArgument(f"No such container: {ref}", fix="docker ps -a")
        binds = [mount for mount in requested_mounts(other.host_config) if mount.kind == "bind"]
        given = (*binds, *(mount for mount in other.mounts if mount.kind != "image"))
        mounts = [replace(mount, create_source=False, no_copy=True, mode="") for mount in given]
        if "ro" in mode.split(","):
            return [replace(mount, read_only="recursive") for mount in mounts]
        return mounts

    def _resolved(self, mount: RequestedMount, owner: str, made: list[str]) -> RequestedMount:
        """The mount with its volume, which is made if it is missing."""
        if mount.volume:
            return mount  # another container's
        volume = self._store.find(mount.source) if mount.source else None
        if volume is None:
            volume = self._store.create(
                mount.source,
                now_ns=self._clock(),
                labels=mount.labels or None,
                options=mount.driver_options or None,
                owner=owner,
            )
            made.append(volume.name)
            self.publish("create", volume.name)
        return replace(
            mount,
            volume=volume.name,
            source=self._store.mountpoint(volume.name),
            anonymous=not mount.source,
            labels={},
            driver_options={},
        )

    async def _fill(self, mount: RequestedMount, record: ContainerRecord) -> None:
        """Gives an empty volume what the image has at its place."""
        volume = self._store.get(mount.volume)
        directory = ImageDirectory(record.rootfs, mount.target)
        backing = volume.backing
        if not directory.exists or backing.kind == "tmpfs":
            return
        async with self._filling.hold(volume.name):
            path = backing.path or mount.source
            shared = backing.kind == "bind" or self._is_mounted(volume.name, record)
            try:
                if os.path.isdir(path) and not os.listdir(path):
                    await asyncio.to_thread(fill, Path(path), directory.copy_to, in_place=shared)
            except OSError as cause:
                raise Internal(
                    f"failed to copy the image's content of {mount.target} into volume {volume.name}", why=str(cause)
                ) from cause

    def _is_mounted(self, name: str, record: ContainerRecord) -> bool:
        return any(other.is_running and other is not record and name in _names(other) for other in self._registry)

    def mounts(self, record: ContainerRecord) -> tuple[RequestedMount, ...]:
        """The mounts of a container that starts: each volume as what it is made of.

        Raises: Internal when a volume is gone; Conflict when its memory is another container's.
        """
        return tuple(self._mount(mount, record) if mount.kind == "volume" else mount for mount in record.mounts)

    def _mount(self, mount: RequestedMount, record: ContainerRecord) -> RequestedMount:
        volume = self._store.find(mount.volume)
        if volume is None:
            raise Internal(f"get {mount.volume}: no such volume", fix=f"docker volume create {mount.volume}")
        backing = volume.backing
        if backing.kind == "bind":
            access = "recursive" if backing.read_only else mount.read_only
            return replace(mount, source=backing.path, read_only=access)
        if backing.kind == "tmpfs":
            if self._is_mounted(volume.name, record):
                raise Conflict(f"volume {volume.name} is in use", why="a tmpfs volume is for one container at a time")
            # The user's own mount options, without what `--tmpfs` would add.
            words = f"exec,suid,dev,{backing.options}" + (",ro" if mount.read_only != "no" else "")
            return RequestedMount(kind="tmpfs", source="tmpfs", target=mount.target, options=tmpfs_options(words))
        return mount

    def announce(self, record: ContainerRecord, action: str) -> None:
        """Tells of each volume that it is mounted ("mount"), or is no more ("unmount")."""
        for mount in record.mounts:
            if mount.kind == "volume":
                attributes = {"container": record.id}
                if action == "mount":
                    writable = "true" if mount.read_only == "no" else "false"
                    attributes |= {"destination": mount.target, "read/write": writable, "propagation": ""}
                self.publish(action, mount.volume, **attributes)

    def publish(self, action: str, name: str, **attributes: str) -> None:
        """Tells what happened to a volume."""
        self._events.publish("volume", action, name, {"driver": DRIVER, **attributes})

    def give_up(self, record: ContainerRecord) -> list[str]:
        """The anonymous volumes that go with the container; a kill from here on is repaired by removing them."""
        anonymous = {mount.volume for mount in record.mounts if mount.anonymous}
        names = [name for name in sorted(anonymous) if not self._held[name] and self.users(name) == [record.id]]
        self._store.own(names, record.id)
        return names

    def drop(self, names: Collection[str]) -> None:
        """Removes volumes of a container that is gone; what cannot be removed now is when shoald starts."""
        for name in names:
            try:
                self.remove(name)
            except ShoalError as problem:
                _log.error("volume %s: %s", name, problem)

    def remove(self, name: str) -> None:
        """Removes a volume that nobody has. Raises: Internal."""
        if self._store.find(name) is not None:
            self._store.remove(name)
            self.publish("destroy", name)

    def purge(self) -> None:
        """Deletes what was removed; for a thread."""
        self._store.purge()


def _names(record: ContainerRecord) -> set[str]:
    return {mount.volume for mount in record.mounts if mount.kind == "volume"}


def check_driver(name: str, driver: str) -> None:
    """Nothing, for the one driver that there is. Raises: NotFound in Docker's words."""
    if driver not in ("", DRIVER):
        raise NotFound(
            f'create {name}: error looking up volume plugin {driver}: plugin "{driver}" not found',
            fix="leave the driver out: shoal has no volume plugins",
        )
