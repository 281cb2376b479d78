"""An error that came over a channel, as the exception that it was at the other end (`describe_error` in `child`)."""

from __future__ import annotations

from shoal import errors
from shoal.errors import Internal, ShoalError, SyscallError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from shoal.supervisor.protocol import Body


def error_from_wire(body: Body) -> ShoalError:
    """The error that a child or a supervisor describes."""
    if body["syscall"]:
        error: ShoalError = SyscallError(body["syscall"], body["object"], body["errno"], fix=body["fix"])
        error.what, error.why = body["what"], body["why"]
        return error
    kind = getattr(errors, body["kind"], Internal)
    if not (isinstance(kind, type) and issubclass(kind, ShoalError)) or kind is SyscallError:
        kind = Internal
    return kind(body["what"], why=body["why"], fix=body["fix"])
