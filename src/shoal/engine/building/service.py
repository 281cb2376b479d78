"""Builds as the server asks for them: a request and a context in, messages out (Docker API v1.50 ImageBuild)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping, Sequence
from contextlib import aclosing, contextmanager

import msgspec

from shoal.api.build import BuildOptions
from shoal.api.build_caches import CachePlace
from shoal.api.host_config import HostConfig
from shoal.api.progress import ErrorDetail, JSONMessage
from shoal.build import inline_cache
from shoal.build.building import Build
from shoal.build.cache import BuildCache
from shoal.build.cache_document import CachedLayer, describe, encode_cache
from shoal.build.cache_mounts import CacheDirectory, CacheMounts
from shoal.build.dockerfile.problems import DockerfileError
from shoal.build.keyed_locks import KeyedLocks
from shoal.build.ports import CacheSource
from shoal.build.reporting import ClassicReporter, Emit, Reporter
from shoal.build.request import BuildRequest, Built
from shoal.build.steps.run import CommandFailed
from shoal.build.tools import Tools
from shoal.engine.background import Background
from shoal.engine.building.attesting import attest
from shoal.engine.building.cache_layout import SentCaches, write_layout
from shoal.engine.building.caches import Caches
from shoal.engine.building.contexts import Context, Contexts
from shoal.engine.building.ending import ended
from shoal.engine.building.events import EventReporter
from shoal.engine.building.fetching import Fetching
from shoal.engine.building.git import without_userinfo
from shoal.engine.building.images import BuildImages
from shoal.engine.building.kept_contexts import KeptContexts
from shoal.engine.building.layers import BuildLayers
from shoal.engine.building.left_images import LeftImages
from shoal.engine.building.records import Record, Records
from shoal.engine.building.registry_config import decode_registry_config
from shoal.engine.building.runner import StepRunner
from shoal.engine.building.step_containers import StepContainers
from shoal.engine.clock import Clock
from shoal.engine.container.isolation import check_isolation
from shoal.engine.events import EventLog
from shoal.engine.images import Images
from shoal.engine.images_registries import ImageTransfers
from shoal.engine.threads import Outlet, PieceWriter, produced_by
from shoal.errors import InvalidArgument, NotFound, ShoalError, Unsupported
from shoal.image.snapshot.records import tree_usage
from shoal.image.store import ImageStore
from shoal.image.tar.writer import TarWriter
from shoal.oci.digest import short_id
from shoal.oci.platform import Platform
from shoal.oci.reference import Reference

_WAITING_MESSAGES = 64
_NS = 10**9


class BuildService:
    """The builder of a daemon. See `engine.builds.Building`."""

    def __init__(
        self,
        *,
        store: ImageStore,
        images: Images,
        transfers: ImageTransfers,
        containers: StepContainers,
        cache: BuildCache,
        caches: CacheMounts,
        layers: BuildLayers,
        contexts: KeptContexts,
        platform: Platform,
        events: EventLog,
        background: Background,
        clock: Clock,
    ) -> None:
        self._store = store
        self._transfers = transfers
        self._containers = containers
        self.cache = cache
        self.caches = caches
        self.contexts = contexts
        self._layers = layers
        self._platform = platform
        self._events = events
        self._background = background
        self._clock = clock
        self._fetching = Fetching(layers)
        self._contexts = Contexts(layers, self._fetching, contexts)
        self._making = KeyedLocks()
        self._left = LeftImages(images)
        self._records = Records()
        self._sent_caches = SentCaches()
        self._running: dict[str, asyncio.Task[None]] = {}

    async def build(self, options: BuildOptions, body: AsyncIterator[bytes]) -> AsyncGenerator[JSONMessage, None]:
        """The messages of a build; when nobody listens any more, it is cancelled.

        Raises: InvalidArgument, Unsupported, before the first message where the request itself is wrong.
        """
        _check(options)
        async with self._contexts.opened(body, options.remote, options.dockerfile, kept=options.context) as context:
            if context.token:
                yield JSONMessage(aux={"Context": context.token})
            messages: asyncio.Queue[JSONMessage | None] = asyncio.Queue(_WAITING_MESSAGES)
            task = asyncio.create_task(self._run(options, context, messages))
            if options.build_id:
                self._running[options.build_id] = task
            try:
                while (message := await messages.get()) is not None:
                    yield message
                await asyncio.wait((task,))
                if task.cancelled():  # by its id: its client is still there
                    yield JSONMessage(error="context canceled", error_detail=ErrorDetail(message="context canceled"))
                else:
                    task.result()
            finally:
                self._running.pop(options.build_id, None)
                task.cancel()
                await ended(task, messages)
                self._background.spawn(asyncio.to_thread(self.free), "freeing the space of a build")

    async def cancel(self, build_id: str) -> None:
        """Ends the build that its client gave this id. Raises: InvalidArgument without one."""
        if not build_id:
            raise InvalidArgument("build ID not provided")
        task = self._running.get(build_id)
        if task is not None:
            task.cancel()

    async def send_cache(self, body: AsyncIterator[bytes]) -> str:
        """See BuildBackend."""
        return self._sent_caches.add(await self._contexts.received(body))

    async def cache_archive(self, build: str, *, is_whole: bool) -> AsyncGenerator[bytes, None]:
        """See BuildBackend."""
        document, layers = describe(self._records.find(build).cached_states(is_whole=is_whole))

        def work(outlet: Outlet[bytes]) -> None:
            writer = PieceWriter(outlet)
            write_layout(self._store.layer_store, encode_cache(document), layers, TarWriter(writer.write))
            writer.flush()

        with self._held(layers):
            async with aclosing(produced_by(work)) as pieces:
                async for piece in pieces:
                    yield piece

    @contextmanager
    def _held(self, layers: Sequence[CachedLayer]) -> Iterator[None]:
        """Keeps the layers within the block. Raises: NotFound."""
        chain_ids = [layer.chain_id for layer in layers]
        if not self._layers.hold(chain_ids):
            raise NotFound("layers of the build are gone", fix="build it again")
        try:
            yield
        finally:
            self._layers.release(chain_ids)

    async def state(self, build: str, step: int) -> str:
        """See BuildBackend."""
        state = self._records.find(build).state(step)
        if not self._layers.hold(state.chain_ids):
            raise NotFound(f"the layers of step {step} are gone", fix="build it again")
        try:
            image = await asyncio.to_thread(self._store.register, state.opened().document(), ())
        finally:
            self._layers.release(state.chain_ids)
        await self._left.add(image.id)
        return image.id

    def free(self) -> None:
        """Give the space of what was thrown away back. May take long."""
        self._containers.snapshotter.purge_trash()
        self._layers.purge()

    def image_layers(self) -> frozenset[str]:
        """The layers that images have."""
        return frozenset(chain_id for image in self._store.images() for chain_id in image.chain_ids)

    def size_bytes(self, directory: CacheDirectory) -> int:
        """What is in a directory. May take long."""
        return tree_usage(directory.path).size_bytes

    async def _run(self, options: BuildOptions, context: Context, messages: asyncio.Queue[JSONMessage | None]) -> None:
        """One build, told in `messages`; what ends it is the last of them."""

        async def emit(text: str) -> None:
            if not options.quiet:
                await messages.put(JSONMessage(stream=_readable(text)))

        try:
            reporter = EventReporter(messages.put) if options.events else ClassicReporter(emit)
            caches = Caches(self._layers, self._transfers, self._sent_caches, _auths(options))
            problems: list[str] = []
            places = () if options.no_cache else options.cache_from
            async with caches.opened(places, problems) as (sources, images):
                for problem in problems:
                    await emit(f"[Warning] {problem}\n")
                build = self._prepared(options, context, reporter, sources, images)
                began_ns = self._clock()
                built = await self._built(options, build)
                times_ns = (began_ns, self._clock())
                await attest(options, build, built, times_ns, self._layers, self._store.attestations)
            for place in options.cache_to:
                await self._export_cache(place, build, caches, emit)
            await self._tell_result(options, built, messages)
        except CommandFailed as failure:
            await self._tell_failure(failure, emit, messages)
        except ShoalError as problem:
            if isinstance(problem, DockerfileError):
                await emit(f"{problem.excerpt}\n")
            text = _readable(str(problem))
            await messages.put(JSONMessage(error=text, error_detail=ErrorDetail(message=text), fix=problem.fix))
        finally:
            await asyncio.shield(messages.put(None))

    async def _built(self, options: BuildOptions, build: Build) -> Built:
        """What a build came to, which is kept in mind with its steps."""
        record = Record(frozenset(_normalised(options.tags)), build.states)
        self._records.add(record)
        try:
            built = await build.run()
        except CommandFailed as failure:
            record.ids.add(failure.image)
            raise
        record.ids.add(built.image_id)
        record.result = build.result
        return built

    async def _tell_failure(
        self, failure: CommandFailed, emit: Emit, messages: asyncio.Queue[JSONMessage | None]
    ) -> None:
        """What failed, why, and how to look around in what it left."""
        image = short_id(failure.image)
        fix = ""
        if image:
            fix = f"docker run -it --rm {image}"
            await emit(f"A shell in what the command left: {fix}\n")
            await self._left.add(failure.image)
        what = f"{failure.what}: {failure.why}" if failure.why else failure.what
        detail = ErrorDetail(code=failure.code, message=what, image=failure.image)
        await messages.put(JSONMessage(error=what, error_detail=detail, why=failure.last, fix=fix))

    async def _export_cache(self, place: CachePlace, build: Build, caches: Caches, emit: Emit) -> None:
        if place.type != "registry" or build.result is None:
            return
        states = [*(build.states.values() if place.is_whole else ()), build.result]
        document, layers = describe(states)
        with self._held(layers):
            digest = await caches.push(place, encode_cache(document), layers)
        await emit(f"Cache exported to {place.reference}: {len(layers)} layers, {digest}\n")

    def _prepared(
        self,
        options: BuildOptions,
        context: Context,
        reporter: Reporter,
        sources: Sequence[CacheSource],
        images: Sequence[str],
    ) -> Build:
        arguments = {name: value for name, value in options.arguments.items() if value is not None}
        if any(place.type == "inline" for place in options.cache_to):
            arguments[inline_cache.ARGUMENT] = "1"
        target = Platform.parse(options.platform, host=self._platform) if options.platform else self._platform
        request = BuildRequest(
            # Without the tag, which is often another one each time: a build is compared with the one before.
            name=Reference.parse(options.tags[0]).name if options.tags else without_userinfo(options.remote),
            platforms=(self._platform, target),
            time_ns=_time_s(arguments, context) * _NS,
            target=options.target,
            arguments=arguments,
            labels=options.labels,
            tags=tuple(_normalised(options.tags)),
            no_cache=options.no_cache,
            explains=options.why,
            cache_from=tuple(images),
            caches=tuple(sources),
            network=_network(options.network_mode),
            secrets=options.secrets,
            ssh=options.ssh,
        )
        auths = _auths(options)
        tools = Tools(
            layers=self._layers,
            images=BuildImages(self._store, self._transfers, self._events, auths, pull=options.pull),
            runner=StepRunner(self._containers, _host(options)),
            cache=self.cache,
            caches=self.caches,
            fetcher=self._fetching,
            making=self._making,
            clock_ns=self._clock,
        )
        return Build(tools, request, context.dockerfile, context.files, reporter, context.ignored)

    async def _tell_result(
        self, options: BuildOptions, built: Built, messages: asyncio.Queue[JSONMessage | None]
    ) -> None:
        if options.quiet:
            await messages.put(JSONMessage(stream=f"{built.image_id}\n"))
            return
        if built.unused_arguments:
            names = " ".join(built.unused_arguments)
            text = f"[Warning] One or more build-args [{names}] were not consumed\n"
            await messages.put(JSONMessage(stream=text))
        for finding in built.findings:
            text = f"[Warning] {finding.rule}: {finding.text} (line {finding.span.first})\n"
            await messages.put(JSONMessage(stream=text))
        await messages.put(JSONMessage(aux={"ID": built.image_id}))
        await messages.put(JSONMessage(stream=f"Successfully built {short_id(built.image_id)}\n"))
        for name in _normalised(options.tags):
            familiar = Reference.parse(name).familiar()
            await messages.put(JSONMessage(stream=f"Successfully tagged {familiar}\n"))


def _readable(text: str) -> str:
    """The text with a question mark for each byte that is no UTF-8, as names of files may have them."""
    return text if text.isascii() else text.encode(errors="replace").decode()


def _check(options: BuildOptions) -> None:
    """Raises: InvalidArgument, Unsupported, for what no build can do."""
    if options.squash:
        raise Unsupported(
            "squash is not supported", why="layers are kept as they are made", fix="use a stage and COPY --from"
        )
    if options.outputs:
        raise Unsupported("outputs other than an image are not sent by the engine", fix="shoal build -o DIRECTORY")
    if "," in options.platform:
        raise Unsupported(
            f"a build makes an image for one platform, not for {options.platform}",
            why="an image here is for one",
            fix="build once for each platform, under a name for each",
        )
    check_isolation(_host(options))
    if options.version != "1":
        raise Unsupported(f"builder version {options.version} is not supported", fix="DOCKER_BUILDKIT=0 docker build")
    _normalised(options.tags)


def _normalised(tags: Sequence[str]) -> list[str]:
    """The names as they are kept, each once. Raises: InvalidArgument."""
    names: list[str] = []
    for tag in tags:
        reference = Reference.parse(tag)
        if reference.digest is not None:
            raise InvalidArgument("build tag cannot contain a digest")
        name = str(reference.with_default_tag())
        if name not in names:
            names.append(name)
    return names


def _auths(options: BuildOptions) -> Mapping[str, msgspec.Raw]:
    return decode_registry_config(options.registry_config)


def _network(mode: str) -> str:
    return mode if mode in ("none", "host") else "default"


def _host(options: BuildOptions) -> HostConfig:
    """The limits and the surroundings of every command of the build."""
    return HostConfig(
        memory=options.memory,
        memory_swap=options.memory_swap,
        cpu_shares=options.cpu_shares,
        cpu_period=options.cpu_period,
        cpu_quota=options.cpu_quota,
        cpuset_cpus=options.cpuset_cpus,
        cpuset_mems=options.cpuset_mems,
        cgroup_parent=options.cgroup_parent,
        shm_size=options.shm_size,
        ulimits=list(options.ulimits),
        extra_hosts=list(options.extra_hosts),
        network_mode=options.network_mode or "default",
        isolation=options.isolation,
    )


def _time_s(arguments: dict[str, str], context: Context) -> int:
    """When everything in the image is said to be made: SOURCE_DATE_EPOCH, or the newest commit's time, or 0."""
    given = arguments.get("SOURCE_DATE_EPOCH", "")
    if given:
        if not (given.isascii() and given.isdigit() and len(given) < 12):
            raise InvalidArgument(f"invalid SOURCE_DATE_EPOCH: {given}", why="it is a number of seconds since 1970")
        return int(given)
    return context.commit_s or 0
