"""Bearer tokens: what the token server of a registry gives for a user's name, password or identity token.

    registry ── 401, WWW-Authenticate: Bearer realm, service, scope ──▶ us
    us ── GET realm?service&scope (Basic), or POST with a refresh token ──▶ token server ── token ──▶ us

Distribution's token authentication specification, and its OAuth2 form.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple
from urllib.parse import urlencode, urlsplit

from shoal.errors import InvalidArgument
from shoal.image.registry.addresses import is_forbidden
from shoal.image.registry.credentials import Credentials
from shoal.image.registry.endpoints import Endpoint
from shoal.image.registry.failures import refusal_of
from shoal.image.registry.transport import RegistryTransport
from shoal.oci.distribution import TokenAnswer
from shoal.oci.documents import decode_document

_CLIENT_ID = "shoal"
_ANSWER_MAX = 1 << 20


class Token(NamedTuple):
    """A token for requests, and the one that gives further tokens, if the server gave one."""

    access: str
    refresh: str


def fetch_token(
    transport: RegistryTransport,
    endpoint: Endpoint,
    parameters: Mapping[str, str],
    scopes: Sequence[str],
    credentials: Credentials,
    *,
    offline: bool = False,
) -> Token:
    """A token for `scopes`; with `offline` an identity token as well, where the server has such.

    Raises: Refused; InvalidArgument for a realm that can't be used; Unreachable, Cancelled.
    """
    realm = _checked_realm(parameters.get("realm", ""), endpoint)
    service = parameters.get("service", "")
    if credentials.identity_token:
        form = {"grant_type": "refresh_token", "service": service, "client_id": _CLIENT_ID}
        form |= {"scope": " ".join(scopes), "refresh_token": credentials.identity_token}
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        body = urlencode(form).encode()
        response = transport.request("POST", realm, endpoint=endpoint, headers=headers, body=body)
    else:
        query = [("service", service)] if service else []
        query += [("scope", scope) for scope in scopes]
        if credentials.basic:
            query += [("account", credentials.username)]
            query += [("offline_token", "true"), ("client_id", _CLIENT_ID)] if offline else []
        url = f"{realm}{'&' if urlsplit(realm).query else '?'}{urlencode(query)}"
        response = transport.request("GET", url, endpoint=endpoint, authorization=credentials.basic)
    with response:
        if response.status != 200:
            said = credentials.hidden_in(response.head(_ANSWER_MAX))
            raise refusal_of(response.method, realm, response.status, said)
        answer = decode_document(response.read(_ANSWER_MAX), TokenAnswer, "answer of the token server")
    access = answer.token or answer.access_token
    if not access or not access.isascii() or not access.isprintable():
        raise InvalidArgument("authorization server did not include a token in the response")
    return Token(access, answer.refresh_token)


def _checked_realm(realm: str, endpoint: Endpoint) -> str:
    """The token server's address: no secret goes in the clear from a registry that was spoken to in private."""
    refused = InvalidArgument("invalid token auth challenge realm", why=f"`{realm[:200]}`")
    try:
        parts = urlsplit(realm)
    except ValueError:
        raise refused from None
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username is not None:
        raise refused
    if parts.hostname != urlsplit(endpoint.url).hostname and is_forbidden(parts.hostname):
        raise refused
    if parts.scheme == "http" and endpoint.url.startswith("https://") and endpoint.verifies:
        raise InvalidArgument("refusing the token auth challenge realm", why=f"`{realm[:200]}` is not encrypted")
    return realm
