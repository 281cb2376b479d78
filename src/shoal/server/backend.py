"""What the server asks of the engine: small Protocols, one for each noun of the Docker API.

The engine implements them; tests bring fakes. They hold for every implementation:

- Requests and answers are the wire types of `shoal.api`. References (`ref`) are what the client wrote: a name,
  an id or the beginning of one, for images anything that a reference may be.
- A refusal is a `ShoalError`; its kind decides the status, its `what` is Docker's sentence. Everything that can be
  refused is refused before the first item of a stream, since the status line goes out with it.
- A method runs to its end though the client may have left; it is cancelled only when the server stops and the
  time that it gives to running requests is over.
- Tickets are cancelled and iterators closed (`aclose`, where they have it) when the client leaves: what was begun
  for this client alone must end then.
- A body is an iterator of pieces as they arrive, with back-pressure: not reading on holds the client back. It
  need not be read to its end. It raises ConnectionError where the client leaves in the middle.
- Descriptors that are handed over are owned by the callee from the call on, whether it succeeds or raises.

Runs in shoald.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Collection, Sequence
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from shoal.api.archive import CommitRequest, ExtractOptions, PathStat
    from shoal.api.change import FilesystemChange
    from shoal.api.container import (
        ContainerCreateRequest,
        ContainerCreateResponse,
        ContainerInspect,
        ContainersPruneReport,
        ContainerSummary,
        WaitResponse,
    )
    from shoal.api.event import EventMessage
    from shoal.api.exec import ExecConfig, ExecInspect, ExecStartConfig
    from shoal.api.exits import ContainerExits
    from shoal.api.filters import Filters
    from shoal.api.image import HistoryItem, ImageDeleteItem, ImageInspect, ImagesPruneReport, ImageSummary
    from shoal.api.log import LogStream
    from shoal.api.network import (
        EndpointSettings,
        NetworkCreateRequest,
        NetworkCreateResponse,
        NetworkResource,
        NetworksPruneReport,
    )
    from shoal.api.options import AttachOptions, EventOptions, ImageListOptions, ListOptions, LogOptions
    from shoal.api.ports import PortsChange, PortsChanged
    from shoal.api.progress import JSONMessage
    from shoal.api.registry import AuthConfig, AuthResponse, DistributionInspect, Referrer
    from shoal.api.stats import ContainerStats
    from shoal.api.system import DiskUsage, SystemInfo, SystemVersion
    from shoal.api.top import ContainerTopResponse
    from shoal.api.update import ContainerUpdateRequest, ContainerUpdateResponse
    from shoal.api.volume import Volume, VolumeCreateRequest, VolumeListResponse, VolumesPruneReport
    from shoal.api.why import NameVerdict, PortVerdict
    from shoal.linux.fd import Fd
    from shoal.server.backend_machines import MachineBackend
    from shoal.server.backend_storage import StorageBackend
    from shoal.server.build_backend import BuildBackend


class Attachment(Protocol):
    """Leave to attach: everything has been checked, only the client's socket is missing."""

    @property
    def mux(self) -> bool:
        """Whether the bytes are framed as stdcopy does; if not they are raw (a terminal)."""
        ...

    async def connect(self, client: Fd, early: bytes) -> None:
        """Nothing, once the streams run between the container and `client`.

        `client` is a duplicate of the connected socket (non-blocking), the callee's from the call on; `early` is
        what the client sent right behind its request: it comes first. The answer's head has gone out before.
        For an exec this starts the process. Raises: ShoalError; the server then writes the sentence into the stream
        as Docker does, so the callee must not have shut the connection down.
        """
        ...


class ContainerBackend(Protocol):
    """Containers."""

    async def create(
        self, name: str | None, request: ContainerCreateRequest, platform: str | None
    ) -> ContainerCreateResponse:
        """The id of a new container. `platform` is "os/arch[/variant]". Raises: NotFound, Conflict."""
        ...

    async def list(self, options: ListOptions) -> Sequence[ContainerSummary]:
        """The containers that the filters let through, the newest first. Raises: InvalidArgument for a filter."""
        ...

    async def inspect(self, ref: str, *, size: bool) -> ContainerInspect:
        """All about one container. Raises: NotFound `No such container: …`."""
        ...

    async def start(self, ref: str, *, detach_keys: str) -> None:
        """Nothing, once the container's program runs. Raises: NotFound, NotModified, Conflict, InvalidArgument."""
        ...

    async def stop(self, ref: str, *, signal: str | None, timeout_s: int | None) -> None:
        """Nothing, once it has ended; a negative timeout waits for ever. Raises: NotFound, NotModified."""
        ...

    async def restart(self, ref: str, *, signal: str | None, timeout_s: int | None) -> None:
        """Nothing, once it runs again. Raises: NotFound."""
        ...

    async def move(self, ref: str, *, isolation: str) -> None:
        """Nothing, once it runs under that isolation, if it ran. Raises: NotFound, NotModified, InvalidArgument."""

    async def kill(self, ref: str, *, signal: str | None) -> None:
        """Nothing, once the signal is sent (and, for SIGKILL, the container has ended). Raises: NotFound, Conflict."""
        ...

    async def remove(self, ref: str, *, force: bool, volumes: bool, link: bool) -> None:
        """Nothing, once it is gone. Raises: NotFound, Conflict."""
        ...

    async def rename(self, ref: str, name: str) -> None:
        """Nothing. Raises: NotFound, Conflict, InvalidArgument."""
        ...

    async def pause(self, ref: str) -> None:
        """Nothing, once every process is frozen. Raises: NotFound, Conflict."""
        ...

    async def unpause(self, ref: str) -> None:
        """Nothing, once the processes go on. Raises: NotFound, Conflict."""
        ...

    async def wait(self, ref: str, condition: str) -> Awaitable[WaitResponse]:
        """A ticket to await, registered already: what happens from now on counts.

        `condition` is "not-running" (also when the client gave none), "next-exit" or "removed". The server sends the
        answer's head between the two awaits. It cancels the ticket when the client goes: it must be this caller's
        alone. What goes wrong while waiting is the response's `error`, or raised by the ticket.
        Raises: NotFound, InvalidArgument `invalid condition: "…"`.
        """
        ...

    async def prepare_attach(self, ref: str, options: AttachOptions) -> Attachment:
        """Leave to attach to a container, running or not yet. Raises: NotFound, Conflict."""
        ...

    async def logs(self, ref: str, options: LogOptions) -> LogStream:
        """The entries that the options ask for. Raises: NotFound, InvalidArgument (a driver that can't be read)."""
        ...

    async def resize(self, ref: str, rows: int, columns: int) -> None:
        """Nothing. Raises: NotFound, Conflict where it does not run."""
        ...


class UpkeepBackend(Protocol):
    """Containers looked at, limited anew and cleared away."""

    async def why_dns(self, ref: str, name: str) -> NameVerdict:
        """What keeps the container from the addresses of a name. Raises: NotFound, InvalidArgument, Conflict."""

    async def exits(self, ref: str) -> ContainerExits:
        """What ended its last runs, the latest first. Raises: NotFound."""
        ...

    async def top(self, ref: str, arguments: str) -> ContainerTopResponse:
        """Its processes, in the columns of ps `arguments`. Raises: NotFound, Conflict where it does not run."""
        ...

    async def stats(self, ref: str, *, stream: bool, one_shot: bool) -> AsyncIterator[ContainerStats]:
        """Samples of its use of resources: one a second until it is removed, or a single one.

        The single one is taken at once if `one_shot`, else it has the sample of a second before as its `precpu_stats`.
        Raises: NotFound.
        """
        ...

    async def changes(self, ref: str) -> Sequence[FilesystemChange]:
        """What differs from its image, sorted by path. Raises: NotFound."""
        ...

    async def update(self, ref: str, request: ContainerUpdateRequest) -> ContainerUpdateResponse:
        """Warnings, once the limits hold. Raises: NotFound, Conflict, InvalidArgument."""
        ...

    async def why_port(self, ref: str, port: str) -> PortVerdict:
        """The first thing that keeps clients from its port, such as 80/tcp. Raises: NotFound, InvalidArgument."""
        ...

    async def ports(self, ref: str, change: PortsChange) -> PortsChanged:
        """Its ports after the change, or no change at all.

        Raises: NotFound (container, port), Conflict, InvalidArgument, Internal (host port taken).
        """
        ...

    async def prune(self, filters: Filters) -> ContainersPruneReport:
        """What was removed: containers that do not run. Raises: InvalidArgument for a filter, Conflict."""
        ...


class ArchiveBackend(Protocol):
    """The files of containers, as tar archives and as images."""

    async def stat(self, ref: str, path: str) -> PathStat:
        """What is at a path in a container, a symbolic link as such. Raises: NotFound (container, path)."""
        ...

    async def read(self, ref: str, path: str) -> tuple[PathStat, AsyncIterator[bytes]]:
        """What is there, and a tar archive of it. Raises: as `stat`."""
        ...

    async def write(self, ref: str, path: str, body: AsyncIterator[bytes], options: ExtractOptions) -> None:
        """Nothing, once the tar archive `body` (compressed or not) is extracted into the directory at `path`.

        Raises: NotFound; InvalidArgument for a malformed archive or no directory; Forbidden where it is read-only.
        """
        ...

    def export(self, ref: str) -> AsyncIterator[bytes]:
        """A tar archive of a container's root file system. Raises (before the first piece): NotFound."""
        ...

    async def commit(self, request: CommitRequest) -> str:
        """The id of a new image, made of a container's changes. Raises: NotFound, InvalidArgument."""
        ...


class ExecBackend(Protocol):
    """Further processes in running containers."""

    async def create(self, ref: str, config: ExecConfig) -> str:
        """The id of a new exec in a container. Raises: NotFound, Conflict `container … is not running`."""
        ...

    async def prepare_start(self, exec_id: str, config: ExecStartConfig) -> Attachment | None:
        """Leave to attach to the exec, which `connect` then starts; `None` for a detached one, started already.

        Raises: NotFound `No such exec instance: …`, Conflict where it ran already.
        """
        ...

    async def inspect(self, exec_id: str) -> ExecInspect:
        """The exec's state and exit code. Raises: NotFound."""
        ...

    async def resize(self, exec_id: str, rows: int, columns: int) -> None:
        """Nothing. Raises: NotFound, Conflict where it does not run."""
        ...


class ImageBackend(Protocol):
    """Images."""

    async def list(self, options: ImageListOptions) -> Sequence[ImageSummary]:
        """The images that the filters let through, the newest first. Raises: InvalidArgument for a filter."""
        ...

    async def inspect(self, ref: str, *, platform: str | None, manifests: bool) -> ImageInspect:
        """All about one image. Raises: NotFound `No such image: …`, or where it is for another platform."""
        ...

    async def history(self, ref: str, *, platform: str | None) -> Sequence[HistoryItem]:
        """The image's history, the newest line first. Raises: NotFound."""
        ...

    async def tag(self, ref: str, repository: str, tag: str) -> None:
        """Nothing; `tag` may be empty. Raises: NotFound, InvalidArgument."""
        ...

    async def remove(
        self, ref: str, *, force: bool, prune: bool, platforms: Sequence[str] = ()
    ) -> Sequence[ImageDeleteItem]:
        """What was untagged and deleted, in order. Raises: NotFound, Conflict."""
        ...

    def load(
        self, body: AsyncIterator[bytes], *, quiet: bool, platform: str | None = None
    ) -> AsyncIterator[JSONMessage]:
        """Progress of `docker load`; ends with `Loaded image: …` lines. Raises (while iterated): InvalidArgument."""
        ...

    def save(self, refs: Sequence[str], *, platform: str | None = None) -> AsyncIterator[bytes]:
        """A tar archive of images. Raises (before the first piece): NotFound."""
        ...

    def files(self, ref: str) -> AsyncIterator[bytes]:
        """All files of an image as one tar. Raises (before the first piece): NotFound."""
        ...

    def import_(
        self,
        body: AsyncIterator[bytes],
        *,
        repository: str,
        tag: str,
        changes: Sequence[str],
        message: str,
        platform: str | None,
    ) -> AsyncIterator[JSONMessage]:
        """Progress of `docker import`; the last message's `status` is the image's id. `repository` may hold a tag."""
        ...

    async def prune(self, filters: Filters) -> ImagesPruneReport:
        """What was removed. Raises: InvalidArgument for a filter."""
        ...


class RegistryBackend(Protocol):
    """Images between here and registries; `registry_auth` is the header X-Registry-Auth."""

    def pull(
        self, image: str, *, tag: str, platform: str | None, registry_auth: str | None
    ) -> AsyncIterator[JSONMessage]:
        """Progress of `docker pull`; `tag` may be a digest, or empty for all tags.

        Raises (before the first message, where the registry has no such image): NotFound, InvalidArgument.
        """
        ...

    def push(
        self, image: str, *, tag: str, platform: str | None, registry_auth: str | None
    ) -> AsyncIterator[JSONMessage]:
        """Progress of `docker push`; `tag` may be empty for all tags, `platform` is the one that they must be for."""
        ...

    async def login(self, auth: AuthConfig) -> AuthResponse:
        """What a login answers. Raises: Unauthorized, Unavailable, InvalidArgument."""
        ...

    async def describe(self, image: str, *, registry_auth: str | None) -> DistributionInspect:
        """What the registry has under this name. Raises: NotFound, InvalidArgument, Unavailable."""
        ...

    async def referrers(self, image: str, *, registry_auth: str | None) -> list[Referrer]:
        """What the registry has about an image of it. Raises: NotFound, InvalidArgument, Unavailable."""
        ...


class SystemBackend(Protocol):
    """The engine as a whole."""

    async def version(self) -> SystemVersion:
        """The engine's version and its parts'."""
        ...

    async def info(self) -> SystemInfo:
        """The engine's state and the machine's abilities."""
        ...

    async def events(self, options: EventOptions) -> AsyncIterator[EventMessage]:
        """Events from now on (or from `since_ns`); subscribed to when the call returns, so that none is missed.

        Raises: InvalidArgument for a filter.
        """
        ...

    async def disk_usage(self, kinds: Collection[str]) -> DiskUsage:
        """What is on disk; `kinds` out of container, image, volume, build-cache: what was asked for."""
        ...


class NetworkBackend(Protocol):
    """Networks."""

    async def list(self, filters: Filters) -> Sequence[NetworkResource]:
        """The networks that the filters let through. Raises: InvalidArgument for a filter."""
        ...

    async def inspect(self, ref: str) -> NetworkResource:
        """One network with its containers. Raises: NotFound `network … not found`."""
        ...

    async def create(self, request: NetworkCreateRequest) -> NetworkCreateResponse:
        """The new network's id. Raises: Conflict, Forbidden, InvalidArgument, NotFound (driver), Unsupported."""
        ...

    async def remove(self, ref: str) -> None:
        """Raises: NotFound; Forbidden for the daemon's own, and while containers are in it."""
        ...

    async def connect(self, ref: str, container: str, settings: EndpointSettings) -> None:
        """Puts a container into a network. Raises: NotFound, Forbidden, InvalidArgument, Conflict."""
        ...

    async def disconnect(self, ref: str, container: str, *, force: bool) -> None:
        """Takes a container out of a network. Raises: NotFound, Forbidden, InvalidArgument."""
        ...

    async def prune(self, filters: Filters) -> NetworksPruneReport:
        """What was removed: networks that no container is in. Raises: InvalidArgument for a filter."""
        ...


class VolumeBackend(Protocol):
    """Volumes."""

    async def list(self, filters: Filters) -> VolumeListResponse:
        """The volumes that the filters let through. Raises: InvalidArgument for a filter."""
        ...

    async def create(self, request: VolumeCreateRequest) -> Volume:
        """The new volume, or the one that has the name. Raises: InvalidArgument, NotFound (driver), Unsupported."""
        ...

    async def inspect(self, name: str) -> Volume:
        """One volume. Raises: NotFound `get …: no such volume`."""
        ...

    async def remove(self, name: str, *, force: bool) -> None:
        """Nothing; `force` lets one that is not there be. Raises: NotFound, Conflict while a container has it."""
        ...

    async def prune(self, filters: Filters) -> VolumesPruneReport:
        """What was removed: volumes that no container has, anonymous ones unless `all`. Raises: InvalidArgument."""
        ...


class Backend(Protocol):
    """The whole engine, as the server sees it."""

    @property
    def containers(self) -> ContainerBackend:
        """Containers."""
        ...

    @property
    def machines(self) -> MachineBackend:
        """Virtual machines."""
        ...

    @property
    def upkeep(self) -> UpkeepBackend:
        """Containers looked at, limited anew and cleared away."""
        ...

    @property
    def archives(self) -> ArchiveBackend:
        """The files of containers."""
        ...

    @property
    def execs(self) -> ExecBackend:
        """Execs."""
        ...

    @property
    def images(self) -> ImageBackend:
        """Images."""
        ...

    @property
    def registries(self) -> RegistryBackend:
        """Images between here and registries."""
        ...

    @property
    def builds(self) -> BuildBackend:
        """Builds."""
        ...

    @property
    def networks(self) -> NetworkBackend:
        """Networks."""
        ...

    @property
    def volumes(self) -> VolumeBackend:
        """Volumes."""
        ...

    @property
    def storage(self) -> StorageBackend:
        """The store seen from inside."""
        ...

    @property
    def system(self) -> SystemBackend:
        """The engine as a whole."""
        ...
