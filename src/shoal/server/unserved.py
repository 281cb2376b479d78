"""The answers to what shoal does not serve: a sentence that says so, never a wrong success."""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

from shoal import __version__
from shoal.errors import NotFound, ShoalError, Unavailable, Unsupported
from shoal.server.operations import NO_MANAGER, Answer, Operation

if TYPE_CHECKING:
    from shoal.server.backend import Backend
    from shoal.server.messages import Handler, Request


def unserved(operation: Operation) -> Handler:
    """A handler that refuses an operation: 501, for swarm objects 503, for plugins 404."""

    async def refuse(_backend: Backend, request: Request) -> NoReturn:
        raise _refusal(operation, request.name)

    return refuse


def _refusal(operation: Operation, name: str) -> ShoalError:
    if operation.answer is Answer.SWARM:
        return Unavailable(operation.words or NO_MANAGER)
    if operation.answer is Answer.PLUGIN:
        return NotFound(f'plugin "{name}" not found')
    return Unsupported(f"shoal {__version__} does not serve {operation.words} yet")
