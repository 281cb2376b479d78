"""Who the user is to a registry: what clients send in `X-Registry-Auth` and in the body of a login. Pure."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass, field

from shoal.errors import InvalidArgument
from shoal.oci.distribution import AuthDocument
from shoal.oci.documents import decode_document

_HEADER_MAX = 64 << 10


@dataclass(frozen=True, slots=True)
class Credentials:
    """A user's name and secrets; none of the secrets ever shows in a log or an error."""

    username: str = ""
    password: str = field(default="", repr=False)
    identity_token: str = field(default="", repr=False)
    registry_token: str = field(default="", repr=False)
    server_address: str = ""

    @property
    def basic(self) -> str:
        """The `Authorization` header of the Basic scheme, "" without a name or a password. RFC 7617."""
        if not self.username or not self.password:
            return ""
        return "Basic " + base64.b64encode(f"{self.username}:{self.password}".encode()).decode()

    def hidden_in(self, text: bytes) -> bytes:
        """What a registry says, without the secrets that it may give back."""
        for secret in (self.basic.removeprefix("Basic "), self.password, self.identity_token, self.registry_token):
            text = text.replace(secret.encode(), b"***") if len(secret) > 3 else text
        return text


def decode_credentials(header: str | None) -> Credentials:
    """The credentials in an `X-Registry-Auth` header: base64url of JSON, with or without padding.

    What can't be read is nobody's, as with Docker. Docker API v1.50 §Authentication.
    """
    if not header or len(header) > _HEADER_MAX:
        return Credentials()
    text = header.strip().replace("+", "-").replace("/", "_").rstrip("=")
    try:
        raw = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
        sent = decode_document(raw, AuthDocument, "credentials")
    except (binascii.Error, ValueError, InvalidArgument):
        return Credentials()
    username, password = sent.username, sent.password
    if sent.auth and not username:
        username, password = _pair(sent.auth)
    return Credentials(username, password, sent.identitytoken, sent.registrytoken, sent.serveraddress)


def _pair(auth: str) -> tuple[str, str]:
    """The name and the password in the `auth` field of a configuration file."""
    try:
        name, _, password = base64.b64decode(auth).decode().partition(":")
    except (binascii.Error, ValueError):
        return "", ""
    return name, password.rstrip("\0")
