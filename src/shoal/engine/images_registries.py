"""Images between here and registries, as the server asks for it: Docker's messages, the work in threads of its own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, TypeVar

from shoal.api.progress import JSONMessage, ProgressDetail
from shoal.api.registry import AuthConfig, AuthResponse, DistributionInspect, OCIDescriptor, OCIPlatform, Referrer
from shoal.engine.events import EventLog
from shoal.engine.image_expiry import ImageExpiry
from shoal.engine.threads import Outlet, produced_by
from shoal.errors import InvalidArgument, NotFound
from shoal.image.registry.credentials import Credentials, decode_credentials
from shoal.image.registry.endpoints import RegistrySettings
from shoal.image.registry.failures import Unreachable
from shoal.image.registry.progress import Pushed, Step, Told
from shoal.image.store import ImageStore
from shoal.oci.digest import parse_digest
from shoal.oci.platform import Platform, other_platform
from shoal.oci.reference import Reference

if TYPE_CHECKING:
    from shoal.image.registry.pull import Pulled
    from shoal.image.registry.registries import Registries, Work

T = TypeVar("T")
# Transfers wait for others' machines; the threads that the rest of the engine uses are not theirs to keep busy.
_TRANSFERS = 16
_BACKLOG = 64


class ImageTransfers:
    """What the server calls `RegistryBackend`."""

    def __init__(
        self,
        store: ImageStore,
        settings: RegistrySettings,
        platform: Platform,
        events: EventLog,
        expiry: ImageExpiry,
    ) -> None:
        """`platform` is the machine's own."""
        self._expiry = expiry
        self._store = store
        self._settings = settings
        self._platform = platform
        self._events = events
        self._threads = ThreadPoolExecutor(_TRANSFERS, thread_name_prefix="shoal-registry")

    @cached_property
    def _registries(self) -> Registries:
        """From the first transfer on: a daemon that never pulls does without the HTTP library."""
        return self._store.registries(self._settings)

    def begin(self) -> None:
        """Plans the end of what earlier pulls have left."""
        self._expiry.plan()

    def close(self) -> None:
        """Lets go of the threads."""
        self._expiry.close()
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def pull(
        self, image: str, *, tag: str, platform: str | None, registry_auth: str | None
    ) -> AsyncIterator[JSONMessage]:
        """Progress of `docker pull`; without a tag all tags are pulled.

        Raises: NotFound, InvalidArgument, Unavailable, Internal; before the first message where nothing is there.
        """
        reference = _asked_for(image, tag)
        wanted = Platform.parse(platform, host=self._platform) if platform else self._platform
        work = self._registries.begin(decode_credentials(registry_auth))
        is_all_tags = reference.tag is None and reference.digest is None

        def carry_out(outlet: Outlet[Told]) -> None:
            try:
                pulled.extend(work.pull(reference, wanted, _unhurried(outlet), is_all_tags=is_all_tags))
            except Unreachable:
                self._check_platform(reference, wanted if platform else None)
                raise

        pulled: list[Pulled] = []
        try:
            async with aclosing(self._messages(work, carry_out)) as messages:
                async for message in messages:
                    yield message
        finally:
            self._expiry.plan()
        images = [one for one in pulled if one.id is not None]
        if len(images) == len(pulled):  # an artifact is no image, and has no labels
            self._tell("pull", reference)
        for one in images if platform else ():
            known = self._store.find(one.id or "")
            made_for = known.platform if known else wanted
            if not wanted.runs(made_for):
                found = f"image with reference {one.reference.familiar()} was found but does not match"
                yield JSONMessage(
                    status=f"WARNING: {found} the specified platform: wanted {wanted}, actual: {made_for}"
                )

    def _check_platform(self, reference: Reference, wanted: Platform | None) -> None:
        """Raises: NotFound where the image is here, but for another platform (which `docker run` pulls then)."""
        try:
            image = self._store.get(reference.familiar())
        except NotFound:
            return
        if wanted is not None and not wanted.runs(image.platform):
            raise other_platform(reference.familiar(), image.platform, wanted)

    async def push(
        self, image: str, *, tag: str, platform: str | None, registry_auth: str | None
    ) -> AsyncIterator[JSONMessage]:
        """Progress of `docker push`; without a tag all tags of the repository are pushed.

        With a platform, only what is for it is: an image here is for one.

        Raises: InvalidArgument, before the first message; NotFound, Unavailable, Internal.
        """
        reference = Reference.parse(image)
        if reference.digest is not None:
            raise InvalidArgument("cannot push a digest reference")
        reference = reference.with_tag(tag) if tag else reference
        yield JSONMessage(status=f"The push refers to repository [{reference.name}]")
        local = self._registries.local_names(reference)
        names = [reference] if reference.tag else local
        if platform:
            for name in names:
                self._check_platform(name, Platform.parse(platform, host=self._platform))
        work = self._registries.begin(decode_credentials(registry_auth))

        def carry_out(outlet: Outlet[Told]) -> None:
            work.push(names, _unhurried(outlet))

        async with aclosing(self._messages(work, carry_out)) as messages:
            async for message in messages:
                yield message
        if not self._registries.is_artifact(reference):  # which is no image, and has no labels
            self._tell("push", reference)

    async def login(self, auth: AuthConfig) -> AuthResponse:
        """What a login answers. Raises: Unauthorized, Unavailable, InvalidArgument."""
        credentials = Credentials(
            auth.username, auth.password, auth.identitytoken, auth.registrytoken, auth.serveraddress
        )
        work = self._registries.begin(credentials)
        token = await self._waited(work, work.login)
        return AuthResponse(status="Login Succeeded", identity_token=token)

    def is_here(self, reference: Reference) -> bool:
        """Whether an image of this name is here."""
        try:
            self._store.get(reference.familiar())
        except NotFound:
            return False
        return True

    async def carried_out(self, registry_auth: str | None, act: Callable[[Work], T]) -> T:
        """What `act` gives, which does one piece of work in a thread. Raises: what it raises."""
        work = self._registries.begin(decode_credentials(registry_auth))
        return await self._waited(work, lambda: act(work))

    async def describe(self, image: str, *, registry_auth: str | None) -> DistributionInspect:
        """What the registry has under this name. Raises: NotFound, InvalidArgument, Unavailable, Internal."""
        reference = Reference.parse(image).with_default_tag()
        work = self._registries.begin(decode_credentials(registry_auth))
        described = await self._waited(work, lambda: work.describe(reference))
        descriptor = described.descriptor
        return DistributionInspect(
            descriptor=OCIDescriptor(media_type=descriptor.media_type, digest=descriptor.digest, size=descriptor.size),
            platforms=[
                OCIPlatform(
                    architecture=each.architecture, os=each.os, os_version=each.os_version, variant=each.variant
                )
                for each in described.platforms
            ],
        )

    async def referrers(self, image: str, *, registry_auth: str | None) -> list[Referrer]:
        """What the registry has about an image of it. Raises: NotFound, InvalidArgument, Unavailable, Internal."""
        reference = Reference.parse(image).with_default_tag()
        work = self._registries.begin(decode_credentials(registry_auth))
        return [
            Referrer(
                digest=found.digest,
                media_type=found.media_type,
                artifact_type=found.artifact_type,
                size=found.size,
                annotations=found.annotations or {},
            )
            for found in await self._waited(work, lambda: work.referrers(reference))
        ]

    async def _messages(
        self, work: Work, carry_out: Callable[[Outlet[Told]], None]
    ) -> AsyncGenerator[JSONMessage, None]:
        async with aclosing(produced_by(carry_out, work, self._threads, is_unbounded=True)) as told:
            async for step in told:
                yield _message(step)

    async def _waited(self, work: Work, call: Callable[[], T]) -> T:
        """The result of a call that a thread makes; if nobody waits any more, it is ended."""
        running = asyncio.get_running_loop().run_in_executor(self._threads, call)
        try:
            return await asyncio.shield(running)
        except asyncio.CancelledError:
            work.abandon()
            await asyncio.wait((running,))
            if not running.cancelled():
                running.exception()  # seen here: nobody else will
            raise

    def _tell(self, action: str, reference: Reference) -> None:
        """An event, as Docker tells it: the object is the name."""
        labels = {}
        if reference.tag or reference.digest:
            labels = self._store.get(reference.familiar()).config.labels or {}
        name = reference.familiar()
        self._events.publish("image", action, name, {**labels, "name": reference.familiar_name})


def _asked_for(image: str, tag: str) -> Reference:
    """What ImageCreate's `fromImage` and `tag` mean together: the tag may be a digest, and wins.

    Raises: InvalidArgument. Docker API v1.50 ImageCreate.
    """
    reference = Reference.parse(image.removesuffix(":"))
    if tag:
        plain = replace(reference, tag=None, digest=None)
        return replace(plain, digest=parse_digest(tag)) if ":" in tag else plain.with_tag(tag)
    return replace(reference, tag=None) if reference.digest else reference


def _unhurried(outlet: Outlet[Told]) -> Callable[[Told], None]:
    """A listener that holds up no transfer, on which others may wait: a client that is slow misses how far it is."""

    def hear(step: Told) -> None:
        if not (isinstance(step, Step) and step.current_bytes and outlet.backlog > _BACKLOG):
            outlet.tell(step)

    return hear


def _message(step: Told) -> JSONMessage:
    if isinstance(step, Pushed):
        aux: dict[str, str | int] = {"Tag": step.tag, "Digest": step.digest, "Size": step.size_bytes}
        return JSONMessage(progress_detail=ProgressDetail(), aux=aux)
    detail = ProgressDetail(current=step.current_bytes, total=step.total_bytes) if step.is_layer else None
    return JSONMessage(status=step.status, id=step.id, progress_detail=detail)
