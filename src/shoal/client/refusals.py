"""An engine's error answers as shoal's kinds of problem. The inverse of the server's table of statuses."""

from __future__ import annotations

import json

from shoal import errors

_KINDS: dict[int, type[errors.ShoalError]] = {
    304: errors.NotModified,
    400: errors.InvalidArgument,
    401: errors.Unauthorized,
    403: errors.Forbidden,
    404: errors.NotFound,
    409: errors.Conflict,
    501: errors.Unsupported,
    503: errors.Unavailable,
}


def error_from_answer(status: int, body: bytes) -> errors.ShoalError:
    """The error that an answer with `status` tells: its kind, Docker's sentence, and shoal's why and fix.

    A body that is no JSON (a proxy's page) becomes the sentence itself. Docker API v1.50 ErrorResponse.
    """
    kind = _KINDS.get(status, errors.Internal)
    message, why, fix = _parts(body)
    # The server joins what and why into the message, for clients that know only the message: take it apart again.
    if why and message.endswith(f": {why}"):
        message = message[: -len(why) - 2]
    return kind(message or f"the engine answered with status {status}", why=why, fix=fix, status=status)


def _parts(body: bytes) -> tuple[str, str, str]:
    try:
        parsed = json.loads(body)
    except ValueError:
        parsed = None
    if not isinstance(parsed, dict):
        return body.decode("utf-8", "replace").strip(), "", ""
    message, why, fix = (parsed.get(key) for key in ("message", "why", "fix"))
    return (
        message if isinstance(message, str) else "",
        why if isinstance(why, str) else "",
        fix if isinstance(fix, str) else "",
    )
