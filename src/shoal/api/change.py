"""What differs between a container and its image, on the wire. Docker API v1.50 `FilesystemChange`."""

from __future__ import annotations

from shoal.api.wire import Wire


class FilesystemChange(Wire, kw_only=True):
    """One path; `kind` is 0 modified, 1 added, 2 deleted."""

    path: str
    kind: int
