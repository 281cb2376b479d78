"""Registries on the wire: who a user is to them, and what they have. Docker API v1.50 `SystemAuth`, `Distribution*`."""

from __future__ import annotations

from shoal.api.wire import Int64, Wire


class AuthConfig(Wire, kw_only=True, rename="lower"):
    """The body of POST /auth."""

    username: str = ""
    password: str = ""
    email: str = ""
    serveraddress: str = ""
    identitytoken: str = ""
    registrytoken: str = ""


class AuthResponse(Wire, kw_only=True):
    """A login that succeeded; the token, if there is one, takes the password's place."""

    status: str
    identity_token: str = ""


class OCIDescriptor(Wire, kw_only=True, rename="camel"):
    """What a registry has under a name: its media type, digest and size in bytes."""

    media_type: str
    digest: str
    size: Int64


class OCIPlatform(Wire, kw_only=True, omit_defaults=True, rename={"os_version": "os.version"}):
    """A platform that an image is for."""

    architecture: str = ""
    os: str = ""
    os_version: str = ""
    variant: str = ""


class Referrer(Wire, kw_only=True):
    """One item of GET /distribution/NAME/referrers: a manifest in the registry that is about another one."""

    digest: str
    media_type: str
    artifact_type: str
    size: Int64
    annotations: dict[str, str]


class DistributionInspect(Wire, kw_only=True):
    """A registry's description of an image."""

    descriptor: OCIDescriptor
    platforms: list[OCIPlatform]
