"""One message of a stream of progress: load, import, pull, build. Docker API v1.50 `CreateImageInfo`."""

from __future__ import annotations

import msgspec


class ProgressDetail(msgspec.Struct, kw_only=True, omit_defaults=True):
    """How far something is, in bytes."""

    current: int = 0
    total: int = 0


class ErrorDetail(msgspec.Struct, kw_only=True, omit_defaults=True):
    """An error that ended a stream whose status line had gone out already; `image` is a failed build's state."""

    code: int = 0
    message: str = ""
    image: str = ""


class BuildStep(msgspec.Struct, kw_only=True, omit_defaults=True):
    """What happens to a step of a build, for clients that ask for `events`: an addition of shoal's.

    `event` is began, cached, missed, running, wrote, ran or finished; steps tell in any order.
    """

    step: int
    event: str
    total: int = 0
    text: str = ""
    reasons: list[str] = []


class JSONMessage(msgspec.Struct, kw_only=True, omit_defaults=True):
    """One line: text to print (`stream`), a status of an object (`id`), or an error that ends it all."""

    stream: str = ""
    status: str = ""
    progress_detail: ProgressDetail | None = msgspec.field(default=None, name="progressDetail")
    progress: str = ""
    id: str = ""
    error_detail: ErrorDetail | None = msgspec.field(default=None, name="errorDetail")
    error: str = ""
    aux: dict[str, str | int] | None = None
    build_step: BuildStep | None = msgspec.field(default=None, name="buildStep")
    why: str = ""
    fix: str = ""

    @classmethod
    def failure(cls, message: str) -> JSONMessage:
        """The message that tells a client that the stream failed."""
        return cls(error=message, error_detail=ErrorDetail(message=message))
