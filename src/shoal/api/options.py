"""The parameters of requests, parsed: what the server makes of a query and the engine acts on. Pure."""

from __future__ import annotations

import msgspec

from shoal.api.detach_keys import DEFAULT
from shoal.api.filters import Filters
from shoal.api.version import MAXIMUM, ApiVersion


class ListOptions(msgspec.Struct, frozen=True, kw_only=True):
    """GET /containers/json. `limit` is how many of the newest, `None` all; with a limit all states count."""

    all: bool = False
    limit: int | None = None
    size: bool = False
    filters: Filters = msgspec.field(default_factory=Filters)


class LogOptions(msgspec.Struct, frozen=True, kw_only=True):
    """GET /containers/ID/logs. Times in nanoseconds since 1970; `tail` is how many of the last lines, `None` all.

    `timestamps` and `details` are the server's to print; the engine may ignore them.
    """

    follow: bool = False
    stdout: bool = False
    stderr: bool = False
    since_ns: int | None = None
    until_ns: int | None = None
    timestamps: bool = False
    details: bool = False
    tail: int | None = None


class AttachOptions(msgspec.Struct, frozen=True, kw_only=True):
    """POST /containers/ID/attach. `logs` replays what was written before; `stream` goes on with what comes.

    `framed`: output and errors are told apart, where there is no terminal (over a WebSocket they are not).
    """

    stream: bool = False
    stdin: bool = False
    stdout: bool = False
    stderr: bool = False
    logs: bool = False
    detach_keys: bytes = DEFAULT
    framed: bool = True


class ImageListOptions(msgspec.Struct, frozen=True, kw_only=True):
    """GET /images/json. `version` is the client's, for fields that are gone since."""

    all: bool = False
    shared_size: bool = False
    manifests: bool = False
    filters: Filters = msgspec.field(default_factory=Filters)
    version: ApiVersion = MAXIMUM


class EventOptions(msgspec.Struct, frozen=True, kw_only=True):
    """GET /events. Times in nanoseconds since 1970; without `until_ns` the stream goes on for ever."""

    since_ns: int | None = None
    until_ns: int | None = None
    filters: Filters = msgspec.field(default_factory=Filters)
