"""Making a container out of a request and an image (Docker API v1.50 ContainerCreate)."""

from __future__ import annotations

import asyncio
import random
import secrets
import shutil
from collections.abc import Awaitable, Callable, Sequence

import msgspec

from shoal.api.container import ContainerConfig, ContainerCreateRequest, ContainerCreateResponse
from shoal.api.host_config import HostConfig
from shoal.api.network import NetworkingConfig
from shoal.api.signals import parse_signal
from shoal.engine.clock import Clock
from shoal.engine.container.bind_sources import check_bind_sources
from shoal.engine.container.container_logs import ContainerLogs
from shoal.engine.container.container_volumes import ContainerVolumes
from shoal.engine.container.image_mounts import ImageMounts, remove_image_mounts
from shoal.engine.container.isolation import VM, decided
from shoal.engine.container.links import Links
from shoal.engine.container.names import invent_name, normalise_name
from shoal.engine.container.record import SHORT_ID, ContainerRecord
from shoal.engine.container.registry import ContainerRegistry
from shoal.engine.container.restart import check_policy
from shoal.engine.container.unserved import check_served
from shoal.engine.events import EventLog
from shoal.engine.health.action import action_warnings
from shoal.engine.health.check import check_health_config, health_check, health_warnings
from shoal.engine.image_names import ImageNames
from shoal.engine.paths import Paths
from shoal.engine.specgen import SpecGenerator, command_line, merge_process
from shoal.engine.specgen.namespaces import referenced_container
from shoal.errors import ShoalError
from shoal.image.snapshot.protocol import Snapshotter
from shoal.oci.digest import Digest
from shoal.oci.rootfs import Rootfs


class Creator:
    """Creates containers."""

    def __init__(
        self,
        *,
        paths: Paths,
        registry: ContainerRegistry,
        images: ImageNames,
        snapshotter: Snapshotter,
        generator: SpecGenerator,
        volumes: ContainerVolumes,
        links: Links,
        image_mounts: ImageMounts,
        logs: ContainerLogs,
        events: EventLog,
        clock: Clock,
        default_isolation: str = "",
        machine_warnings: Callable[[], Awaitable[Sequence[str]]] | None = None,
    ) -> None:
        self._machine_warnings = machine_warnings
        self._default_isolation = default_isolation
        self._paths = paths
        self._registry = registry
        self._images = images
        self._snapshotter = snapshotter
        self._generator = generator
        self._volumes = volumes
        self._links = links
        self._image_mounts = image_mounts
        self._logs = logs
        self._events = events
        self._clock = clock

    async def create(
        self, name: str | None, request: ContainerCreateRequest, platform: str | None
    ) -> ContainerCreateResponse:
        """The new container. Nothing is kept of one that fails.

        Raises: NotFound (image, or a container that a mode names), Conflict (name), InvalidArgument, Unsupported.
        """
        request.host_config = decided(request.host_config, self._default_isolation)
        if name:
            name = normalise_name(name)
            self._registry.check_name_free(name)
        image = self._images.find(request.image, platform)
        if request.host_config.isolation == VM:
            self._images.check_native(image)
        config = merge_process(_own_config(request), self._images.config(image))
        warnings = [*self._generator.validate(request), *action_warnings(config.labels, health_check(config))]
        check_policy(request.host_config.restart_policy, auto_remove=request.host_config.auto_remove)
        log_config = self._logs.chosen(request.host_config.log_config)
        check_served(request)
        check_health_config(request.healthcheck)
        check_bind_sources(request.host_config)
        if config.stop_signal:
            parse_signal(config.stop_signal)
        host = self._normalise(msgspec.structs.replace(request.host_config, log_config=log_config))
        id = secrets.token_hex(32)
        try:
            rootfs = self._prepare(id, image.chain_ids)
            record = self._record(id, name, config, host, request, image.id, rootfs)
            record.links = self._links.resolve(host.links)
            await self._image_mounts.made_for(record)
            async with self._volumes.made_for(record):
                self._registry.add(record)
            self._links.added(record)
        except BaseException:
            await asyncio.to_thread(self._discard, id, host)
            raise
        self._events.publish("container", "create", record.id, record.attributes())
        if host.isolation == VM and self._machine_warnings is not None:
            warnings += await self._machine_warnings()
        return ContainerCreateResponse(id=id, warnings=[*warnings, *health_warnings(config)])

    def _prepare(self, id: str, chain_ids: Sequence[Digest]) -> Rootfs:
        self._paths.container_dir(id).mkdir(mode=0o710)
        return self._snapshotter.prepare(id, chain_ids)

    def _discard(self, id: str, host: HostConfig) -> None:
        try:
            remove_image_mounts(id, host, self._snapshotter)
            self._snapshotter.remove(id)
        except ShoalError:
            pass  # there is none yet; what cannot be removed now is swept at the next start
        shutil.rmtree(self._paths.container_dir(id), ignore_errors=True)

    def _record(
        self,
        id: str,
        name: str | None,
        config: ContainerConfig,
        host: HostConfig,
        request: ContainerCreateRequest,
        image_id: str,
        rootfs: Rootfs,
    ) -> ContainerRecord:
        command = command_line(config)
        if not config.hostname and host.uts_mode != "host" and host.network_mode != "host":
            config.hostname = id[:SHORT_ID]
        return ContainerRecord(
            id=id,
            name=name or invent_name(self._registry.has_name, random.SystemRandom().choice),
            created_ns=self._clock(),
            image_id=image_id,
            config=config,
            host_config=host,
            networking=_on_real_names(request.networking_config),
            path=command[0],
            args=list(command[1:]),
            rootfs=rootfs,
        )

    def _normalise(self, host: HostConfig) -> HostConfig:
        """Docker's defaults written out, and names of containers in modes replaced by their ids.

        A container that is not there is missed at the start only: a 404 of create means a missing image to clients.
        """
        complete = self._generator.complete(host)
        changes: dict[str, object] = {}
        for field in ("network_mode", "ipc_mode", "pid_mode"):
            ref = referenced_container(getattr(complete, field))
            if ref is not None and (other := self._registry.find_or_none(ref)) is not None:
                changes[field] = f"container:{other.id}"
        return msgspec.structs.replace(complete, **changes)


def _on_real_names(networking: NetworkingConfig) -> NetworkingConfig:
    """The request's networks, the default one by its name."""
    wanted = networking.endpoints_config
    if "default" in wanted:
        wanted = {("bridge" if name == "default" else name): endpoint for name, endpoint in wanted.items()}
    return NetworkingConfig(endpoints_config=wanted)


def _own_config(request: ContainerCreateRequest) -> ContainerConfig:
    """The request without its host's and networks' parts."""
    fields = ContainerConfig.__struct_fields__
    return ContainerConfig(**{field: getattr(request, field) for field in fields})
