"""The store seen from inside, on the wire: additions of shoal's to Docker's API."""

from __future__ import annotations

from shoal.api.wire import Wire


class DiskUser(Wire, kw_only=True):
    """Something on disk and whose it is. `size` is in bytes of allocated blocks; `names` are what people call it by.

    `kind`: image, image-layer, container, volume, build-cache, partial-pull; engine, for what shoal needs itself.
    """

    kind: str
    id: str
    names: list[str]
    size: int
    inodes: int
    in_use: bool


class DiskLedger(Wire, kw_only=True):
    """GET /system/df/users: whose every byte of the data root is. `size` is the sum, and what `du` counts."""

    size: int
    inodes: int
    users: list[DiskUser]
