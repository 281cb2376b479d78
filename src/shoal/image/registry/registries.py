"""What the engine asks of registries: pull, push, login, and a look at what is there.

Runs in shoald; every method blocks and is meant for an executor. A `Work` is one of them in progress: `abandon`, from
any thread, ends it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeVar

from shoal.errors import InvalidArgument, NotFound, ShoalError, Unauthorized
from shoal.image.layer_archive import ArchiveFile
from shoal.image.layers import Layer
from shoal.image.registry.artifact_push import ArtifactPush
from shoal.image.registry.cache_push import CachePush
from shoal.image.registry.challenges import parse_challenges
from shoal.image.registry.credentials import Credentials
from shoal.image.registry.download import Download, read_blob
from shoal.image.registry.endpoints import Endpoint, RegistrySettings, domain_of_server, endpoints_for
from shoal.image.registry.failures import NOT_THERE, Refused, Unreachable, pull_failure, refusal_of, status_line
from shoal.image.registry.manifests import decode_artifact, decode_index
from shoal.image.registry.origins import Origins
from shoal.image.registry.progress import Teller, Told
from shoal.image.registry.pull import CONFIG_MAX, Pull, Pulled, Storage
from shoal.image.registry.push import Push
from shoal.image.registry.referrers import list_referrers
from shoal.image.registry.resolving import fetch_document, resolve_manifest
from shoal.image.registry.session import Session, at_first_answering
from shoal.image.registry.tags import all_tags
from shoal.image.registry.tokens import fetch_token
from shoal.image.registry.transport import RegistryTransport
from shoal.oci.descriptor import Descriptor, DescriptorPlatform, Manifest
from shoal.oci.digest import Digest
from shoal.oci.image_spec import decode_image
from shoal.oci.platform import Platform
from shoal.oci.reference import Reference

T = TypeVar("T")
_BODY_MAX = 64 << 10


class Described(NamedTuple):
    """What a registry has under a name: its descriptor, and the platforms it is for."""

    descriptor: Descriptor
    platforms: Sequence[DescriptorPlatform]


class Registries:
    """The registries that this daemon may speak to."""

    def __init__(self, storage: Storage, settings: RegistrySettings) -> None:
        self._storage = storage
        self.settings = settings

    def local_names(self, repository: Reference) -> Sequence[Reference]:
        """The tagged names in the repository here, of images and artifacts.

        Raises: NotFound in Docker's words if there are none.
        """
        images = self._storage.catalog.in_repository(repository.name)
        names = images or self._storage.artifacts.in_repository(repository.name)
        if not names:
            raise NotFound(f"An image does not exist locally with the tag: {repository.familiar_name}")
        return names

    def is_artifact(self, reference: Reference) -> bool:
        """Whether what has this name, or all that has a name in this repository, is no image."""
        return self._storage.is_artifact(reference)

    def begin(self, credentials: Credentials) -> Work:
        """A piece of work as this user."""
        return Work(self._storage, self.settings, credentials)

    def origins(self, credentials: Callable[[Reference], Credentials]) -> Origins:
        """The registries that what is here came from."""
        return Origins(self._storage, RegistryTransport(self.settings), credentials)


class Work:
    """One pull, push, login or look."""

    def __init__(self, storage: Storage, settings: RegistrySettings, credentials: Credentials) -> None:
        self._storage = storage
        self._settings = settings
        self._credentials = credentials
        self._transport = RegistryTransport(settings)

    def abandon(self) -> None:
        """End it: whoever carries it out hears Cancelled."""
        self._transport.abandon()

    def pull(
        self, reference: Reference, platform: Platform, hear: Callable[[Told], None], *, is_all_tags: bool = False
    ) -> Sequence[Pulled]:
        """The images that `reference` names, once they are here; with `is_all_tags` those of all its tags.

        Raises: NotFound, InvalidArgument, Unavailable, Internal in Docker's words.
        """
        teller = Teller(hear)

        def act(session: Session) -> list[Pulled]:
            names = [reference.with_tag(tag) for tag in all_tags(session)] if is_all_tags else [reference]
            pulled = [Pull(self._storage, self._transport, session, name, platform, teller).run() for name in names]
            kind = "image" if any(one.id for one in pulled) or not pulled else "artifact"
            is_new = any(one.is_new for one in pulled)
            what = f"Downloaded newer {kind}" if is_new else f"{kind.title()} is up to date"
            teller.whole(f"Status: {what} for {reference.familiar()}")
            return pulled

        with self._transport:
            try:
                return at_first_answering(
                    endpoints_for(reference.domain, self._settings),
                    lambda endpoint: self._session(endpoint, reference, "pull"),
                    act,
                )
            except ShoalError as error:
                raise pull_failure(error, reference) from error

    def push(self, references: Sequence[Reference], hear: Callable[[Told], None]) -> None:
        """Nothing, once the images of these names, all of one repository, are in the registry.

        Raises: NotFound, InvalidArgument, Unavailable, Internal.
        """
        first, teller = references[0], Teller(hear)
        origins = Origins(self._storage, self._transport, lambda reference: self._known_to(reference, first))

        def act(session: Session) -> None:
            for reference in references:
                if self._storage.is_artifact(reference):
                    ArtifactPush(self._storage.artifacts, self._transport, session, reference, teller).run()
                else:
                    Push(self._storage, self._transport, session, origins, reference, teller).run()

        with self._transport:
            at_first_answering(
                endpoints_for(first.domain, self._settings, with_mirrors=False),
                lambda endpoint: self._session(endpoint, first, "pull,push"),
                act,
            )

    def push_cache(
        self,
        reference: Reference,
        media_type: str,
        config: bytes,
        layers: Sequence[tuple[Digest, Digest]],
    ) -> Digest:
        """The digest of a build's cache, once the registry has it; the caller holds the layers. Raises: as `push`."""
        origins = Origins(self._storage, self._transport, lambda other: self._known_to(other, reference))

        def act(session: Session) -> Digest:
            pushed = CachePush(self._storage, self._transport, session, origins, reference, Teller(_unheard))
            return pushed.push_cache(media_type, config, layers)

        with self._transport:
            return at_first_answering(
                endpoints_for(reference.domain, self._settings, with_mirrors=False),
                lambda endpoint: self._session(endpoint, reference, "pull,push"),
                act,
            )

    def cache(self, reference: Reference, media_type: str, limit: int) -> tuple[bytes, Manifest] | None:
        """A build's cache: its configuration and its manifest; None for what is something else. Raises: as `pull`."""

        def act(session: Session) -> tuple[bytes, Manifest] | None:
            document = fetch_document(session, reference)
            if document.is_index:
                return None
            manifest = decode_artifact(document.raw)
            if manifest.config.media_type != media_type:
                return None
            return read_blob(session, manifest.config, limit), manifest

        return self._looked(reference, act)

    def cached_layer(self, reference: Reference, blob: Descriptor, diff_id: Digest, below: Sequence[Digest]) -> Layer:
        """A layer of a cache on top of `below`, which the caller holds. It comes held. Raises: as `pull`."""

        def act(session: Session) -> Layer:
            check = self._transport.check
            with self._storage.partials.shared(blob) as partial:
                Download(self._transport, session, blob, partial, check, _nothing, _nothing).fetch()
                return self._storage.layers.stacked(ArchiveFile(partial.path), below, diff_id)

        try:
            layer = self._looked(reference, act)
        except InvalidArgument:  # it is no better when it is fetched again
            self._storage.partials.discard([blob])
            raise
        self._storage.partials.discard([blob])
        return layer

    def describe(self, reference: Reference) -> Described:
        """What the registry has under this name. Raises: as `pull`."""

        def act(session: Session) -> Described:
            top = fetch_document(session, reference)
            descriptor = Descriptor(top.media_type, top.digest, len(top.raw))
            if top.is_index:
                listed = [each.platform for each in decode_index(top.raw).manifests if each.platform is not None]
                return Described(descriptor, listed)
            _, manifest = resolve_manifest(session, top, self._storage.platform)
            made_for = decode_image(read_blob(session, manifest.config, CONFIG_MAX))
            platform = DescriptorPlatform(made_for.architecture, made_for.os, made_for.os_version, made_for.variant)
            return Described(descriptor, [platform])

        return self._looked(reference, act)

    def referrers(self, reference: Reference) -> Sequence[Descriptor]:
        """What refers in the registry to what it has under this name. Raises: as `describe`."""

        def act(session: Session) -> Sequence[Descriptor]:
            return list_referrers(session, reference.digest or fetch_document(session, reference).digest)

        return self._looked(reference, act)

    def _looked(self, reference: Reference, act: Callable[[Session], T]) -> T:
        with self._transport:
            try:
                return at_first_answering(
                    endpoints_for(reference.domain, self._settings, with_mirrors=False),
                    lambda endpoint: self._session(endpoint, reference, "pull"),
                    act,
                )
            except Refused as error:
                if error.code in NOT_THERE:
                    raise NotFound(error.what) from error
                if error.http_status == 401:
                    raise Unauthorized(error.what, fix=f"docker login {reference.domain}") from error
                raise

    def login(self) -> str:
        """The identity token that the registry gave, or "" if the password is to be used on.

        Raises: Unauthorized for a wrong name or password; Unavailable; InvalidArgument.
        """
        domain = domain_of_server(self._credentials.server_address)
        with self._transport:
            endpoints = endpoints_for(domain, self._settings, with_mirrors=False)
            for endpoint in endpoints:
                try:
                    return self._login(endpoint)
                except Unreachable:
                    if endpoint is endpoints[-1]:
                        raise
                except Refused as error:
                    if error.http_status not in (401, 403):
                        raise
                    raise Unauthorized(f'Get "{endpoint.url}/v2/": {error.what}') from error
        raise InvalidArgument(f"no endpoint for {domain}")

    def _login(self, endpoint: Endpoint) -> str:
        url = f"{endpoint.url}/v2/"
        send = self._transport.request
        with send("GET", url, endpoint=endpoint) as response:
            response.head(_BODY_MAX)
        is_asking = response.status == 401 and response.url.startswith(f"{endpoint.url}/")
        challenges = parse_challenges(response.header("WWW-Authenticate")) if is_asking else []
        if response.status not in (200, 401):
            raise Refused(
                f'Get "{url}": unexpected status {status_line(response.status)}', code="", http_status=response.status
            )
        authorization, refresh = "", ""
        for challenge in challenges:
            if challenge.scheme == "bearer":
                parameters = challenge.parameters
                token = fetch_token(self._transport, endpoint, parameters, (), self._credentials, offline=True)
                authorization, refresh = f"Bearer {token.access}", token.refresh
                break
            if challenge.scheme == "basic":
                authorization = self._credentials.basic
                break
        if challenges:
            with send("GET", url, endpoint=endpoint, authorization=authorization) as response:
                body = self._credentials.hidden_in(response.head(_BODY_MAX))
            if response.status != 200:
                raise refusal_of("GET", url, response.status, body)
        return refresh

    def _known_to(self, reference: Reference, asked: Reference) -> Credentials:
        """Who the user is at the registry of `reference`: the credentials are for that of `asked`."""
        return self._credentials if reference.domain == asked.domain else Credentials()

    def _session(self, endpoint: Endpoint, reference: Reference, actions: str) -> Session:
        # A mirror is another registry: it never sees what was meant for the real one.
        credentials = Credentials() if endpoint.is_mirror else self._credentials
        path = endpoint.path_of(reference.path)
        return Session(self._transport, endpoint, path, credentials, [f"repository:{path}:{actions}"])


def _unheard(_told: Told) -> None:
    """Nobody hears of it."""


def _nothing(_count: int) -> None:
    """Nobody hears how far it is."""
