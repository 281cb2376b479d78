"""The store seen from inside, on the wire: additions of shoal's to Docker's API."""

from __future__ import annotations

from msgspec import field

from shoal.api.wire import Wire


class DiskUser(Wire, kw_only=True):
    """Something on disk and whose it is. `size` is in bytes of allocated blocks; `names` are what people call it by.

    `kind`: image, image-layer, layer-blob, artifact, container, volume, build-cache, partial-pull; engine, for what
    shoal needs.
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


class WastedFile(Wire, kw_only=True):
    """A file of a layer that a layer above has overwritten or deleted; `size` in bytes."""

    path: str
    size: int


class StackedLayer(Wire, kw_only=True):
    """A layer in its image. `created` is in seconds since 1970; `wasted` has the biggest of the wasted files."""

    chain_id: str = field(name="ChainID")
    diff_id: str = field(name="DiffID")
    created: int
    created_by: str
    size: int
    files: int
    wasted_size: int
    wasted: list[WastedFile]
    shared_with: list[str]


class ImageStack(Wire, kw_only=True):
    """GET /images/NAME/tree: the layers, the bottom one first. Sizes are the files' lengths, as in its history."""

    id: str
    size: int
    wasted_size: int
    layers: list[StackedLayer]


class ImageDifference(Wire, kw_only=True, omit_defaults=True):
    """One line of GET /images/NAME/diff?with=OTHER: a path of the two images, or a field of their configurations.

    `kind` is that of a container's changes; `size` is what the other image has more, in bytes; `what` says in which
    respects an entry that both have differs.
    """

    path: str = ""
    kind: int = 0
    size: int = 0
    what: list[str] = []
    field: str = ""
    before: object = None
    after: object = None


class ArtifactFile(Wire, kw_only=True):
    """A file of an artifact; `title` is what it is called, else its digest."""

    title: str
    media_type: str
    digest: str
    size: int


class ArtifactSummary(Wire, kw_only=True):
    """One item of GET /artifacts/json: what was pulled and is no image. `pulled` is in seconds since 1970."""

    name: str
    digest: str
    artifact_type: str
    size: int
    pulled: int
    files: list[ArtifactFile]
    annotations: dict[str, str]


class StoreFinding(Wire, kw_only=True):
    """One line of POST /system/fsck: something wrong in the store, mended or with the way to mend it in `hint`.

    `cause`: artifact-damaged, layer-altered, layer-lost, layer-unchecked, layer-missing, configuration-damaged,
    snapshot-damaged, blob-unneeded, directory-unneeded, database-damaged.
    """

    cause: str
    subject: str
    sentence: str
    hint: str
    mended: bool


class StoreChecked(Wire, kw_only=True):
    """How much has been looked at so far; the last line is the whole. `size`: bytes of layers' archives verified."""

    images: int
    layers: int
    snapshots: int
    size: int
