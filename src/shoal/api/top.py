"""A container's processes on the wire. Docker API v1.50 `ContainerTopResponse`."""

from __future__ import annotations

from shoal.api.wire import Wire


class ContainerTopResponse(Wire, kw_only=True):
    """The columns that were asked for, and one row for each process."""

    processes: list[list[str]]
    titles: list[str]
