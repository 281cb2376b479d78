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


class VolumeCreateRequest(Wire, kw_only=True):
    """The body of POST /volumes/create; an empty name asks for an anonymous volume."""

    name: str = ""
    driver: str = ""
    driver_opts: dict[str, str] | None = None
    labels: dict[str, str] | None = None


class VolumesPruneReport(Wire, kw_only=True):
    """What POST /volumes/prune removed, in bytes and by name."""

    volumes_deleted: list[str] | None = None
    space_reclaimed: Int64 = 0


class VolumeListResponse(Wire, kw_only=True):
    """The answer of GET /volumes."""

    volumes: list[Volume] = []
    warnings: list[str] | None = None
