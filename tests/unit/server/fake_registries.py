"""Registries, as the server asks for them, in a test's hands."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from shoal.api.progress import JSONMessage
from shoal.api.registry import AuthConfig, AuthResponse, DistributionInspect, OCIDescriptor, Referrer
from shoal.errors import Unsupported


@dataclass
class FakeRegistries:
    """Notes what was asked of registries; a pull is refused."""

    notes: list[tuple[object, ...]] = field(default_factory=list)

    async def pull(
        self, image: str, *, tag: str, platform: str | None, registry_auth: str | None
    ) -> AsyncIterator[JSONMessage]:
        self.notes.append(("pull", image, tag, platform, registry_auth))
        if image:
            raise Unsupported("pulls come later")
        yield JSONMessage()  # makes this a generator, as real pulls are

    async def push(
        self, image: str, *, tag: str, platform: str | None, registry_auth: str | None
    ) -> AsyncIterator[JSONMessage]:
        self.notes.append(("push", image, tag, platform, registry_auth))
        yield JSONMessage(status="pushed")

    async def login(self, auth: AuthConfig) -> AuthResponse:
        self.notes.append(("login", auth.username, auth.password, auth.serveraddress))
        return AuthResponse(status="Login Succeeded")

    async def referrers(self, image: str, *, registry_auth: str | None) -> list[Referrer]:
        self.notes.append(("referrers", image, registry_auth))
        return []

    async def describe(self, image: str, *, registry_auth: str | None) -> DistributionInspect:
        self.notes.append(("describe", image, registry_auth))
        descriptor = OCIDescriptor(media_type="application/x", digest="sha256:" + "2" * 64, size=7)
        return DistributionInspect(descriptor=descriptor, platforms=[])
