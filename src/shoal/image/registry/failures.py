"""What a registry's refusals mean to a user, in Docker's sentences. Pure."""

from __future__ import annotations

import http
import math

from shoal.errors import Internal, InvalidArgument, NotFound, ShoalError, Unavailable
from shoal.image.registry.addresses import without_query
from shoal.oci.distribution import Problems
from shoal.oci.documents import decode_document
from shoal.oci.reference import Reference

NOT_THERE = frozenset({"DENIED", "MANIFEST_UNKNOWN", "NAME_UNKNOWN"})
BUSY = frozenset((429, 502, 503, 504))
NO_CREDENTIALS = "no basic auth credentials"
_TEXT_MAX = 1000


class Unreachable(Unavailable):
    """A registry did not answer: no address, no connection, no TLS, or no HTTP."""


class Cancelled(ShoalError):
    """Whoever the work was for has left."""


class Refused(Internal):
    """A registry's answer that is an error; `code` is its word for it, `http_status` its status."""

    __slots__ = ("code", "http_status")

    def __init__(self, what: str, *, code: str, http_status: int, fix: str = "") -> None:
        super().__init__(what, fix=fix)
        self.code = code
        self.http_status = http_status


def refusal_of(method: str, url: str, status: int, body: bytes, *, busy_for_s: float = 0.0) -> Refused:
    """The error that an answer of a registry is; `busy_for_s` is when it may be asked again.

    OCI distribution-spec §Error Codes.
    """
    fix = f"try again in {math.ceil(busy_for_s)} s" if status in BUSY and busy_for_s > 0 else ""
    try:
        problems = decode_document(body, Problems, "error")
    except InvalidArgument:
        problems = Problems()
    if problems.errors and problems.errors[0].code:
        first = problems.errors[0]
        code = first.code.upper()
        sentence = f"{code.lower().replace('_', ' ')}: {_printable(first.message) or 'unknown error'}"
        return Refused(sentence, code=code, http_status=status, fix=fix)
    code = {401: "UNAUTHORIZED", 403: "DENIED", 429: "TOOMANYREQUESTS"}.get(status, "")
    if problems.details and code:
        return Refused(f"{code.lower()}: {_printable(problems.details)}", code=code, http_status=status, fix=fix)
    if code == "UNAUTHORIZED":
        return Refused("unauthorized: authentication required", code=code, http_status=status)
    sentence = f"received unexpected HTTP status from {method} {without_query(url)}: {status_line(status)}"
    return Refused(sentence, code=code, http_status=status, fix=fix)


def status_line(status: int) -> str:
    """`404 Not Found`."""
    try:
        return f"{status} {http.HTTPStatus(status).phrase}"
    except ValueError:
        return str(status)


def pull_failure(error: ShoalError, reference: Reference) -> ShoalError:
    """What a failed pull of `reference` says: Docker's sentences for what is not there."""
    if not isinstance(error, Refused):
        return error
    if error.code == "DENIED":
        sentence = "repository does not exist or may require 'docker login'"
        return NotFound(f"pull access denied for {reference.familiar_name}, {sentence}", why=error.what)
    if error.code == "MANIFEST_UNKNOWN":
        return NotFound(f"manifest for {reference.familiar()} not found", why=error.what)
    if error.code == "NAME_UNKNOWN":
        return NotFound(f"repository {reference.familiar_name} not found", why=error.what)
    return error


def _printable(text: str) -> str:
    """A registry's words without what could play tricks on a terminal."""
    return "".join(letter if letter.isprintable() else " " for letter in text[:_TEXT_MAX]).strip()
