"""Volumes on the wire. Docker API v1.50 `Volume`."""

from __future__ import annotations

from shoal.api.wire import Int64, Wire


class VolumeUsage(Wire, kw_only=True):
    """Disk use of a volume in bytes, and how many containers refer to it; -1 is unknown."""

    size: Int64 = -1
    ref_count: Int64 = -1


class Volume(Wire, kw_only=True, omit_defaults=True):
    """A named volume; `mountpoint` is its directory on the host, `created_at` is RFC 3339."""

    created_at: str = ""
    driver: str
    labels: dict[str, str] | None
    mountpoint: str
    name: str
    options: dict[str, str] | None
    scope: str
    usage_data: VolumeUsage | None = None


class VolumeListResponse(Wire, kw_only=True):
    """The answer of GET /volumes."""

    volumes: list[Volume] = []
    warnings: list[str] | None = None
