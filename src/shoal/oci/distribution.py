"""The small documents of registries and of Docker's around them: errors, tags, tokens, credentials.

Pure wire types. OCI distribution-spec; distribution's token authentication; Docker API v1.50 §Authentication.
"""

from __future__ import annotations

import msgspec


class Problem(msgspec.Struct, frozen=True):
    """One error of a registry: its word for it, and a sentence."""

    code: str = ""
    message: str = ""


class Problems(msgspec.Struct, frozen=True):
    """The body of an answer that is an error; some token servers give `details` alone."""

    errors: list[Problem] = []
    details: str = ""


class TagList(msgspec.Struct, frozen=True):
    """One page of a repository's tags."""

    tags: list[str] | None = None


class TokenAnswer(msgspec.Struct, frozen=True):
    """What a token server gives."""

    token: str = ""
    access_token: str = ""
    refresh_token: str = ""


class ManifestKind(msgspec.Struct, frozen=True, rename="camel"):
    """What a manifest of any kind says of itself."""

    media_type: str = ""
    schema_version: int = 0
    manifests: list[msgspec.Raw] | None = None


class AuthDocument(msgspec.Struct, frozen=True, rename="lower"):
    """The JSON inside `X-Registry-Auth`."""

    username: str = ""
    password: str = ""
    auth: str = ""
    serveraddress: str = ""
    identitytoken: str = ""
    registrytoken: str = ""
