"""From an error's kind to the answer of the API: the one table, and the body that goes with it."""

from __future__ import annotations

from shoal import errors
from shoal.api.error import ErrorBody
from shoal.api.wire import encode

# Looked up along the error's base classes, so a refinement of a kind needs no row of its own.
_STATUS: dict[type, int] = {
    errors.InvalidArgument: 400,
    errors.Unauthorized: 401,
    errors.Forbidden: 403,
    errors.NotFound: 404,
    errors.Conflict: 409,
    errors.NotModified: 304,
    errors.Unavailable: 503,
    errors.Unsupported: 501,
    errors.Internal: 500,
    errors.ShoalError: 500,
}


def status_of(error: errors.ShoalError) -> int:
    """The HTTP status for an error."""
    return next(_STATUS[kind] for kind in type(error).__mro__ if kind in _STATUS)


def error_body(error: errors.ShoalError) -> bytes:
    """The JSON text `{"message": …}` of an error, with shoal's `why` and `fix` where there are any."""
    return encode(ErrorBody(message=str(error), why=error.why, fix=error.fix)) + b"\n"
