"""Images on the wire. Docker API v1.50 `ImageSummary`, `ImageInspect`, `ImageHistoryResponseItem`, …"""

from __future__ import annotations

from msgspec import field

from shoal.api.wire import Int64, StringOrList, Wire


class OCIPlatform(Wire, kw_only=True, omit_defaults=True, rename=None):
    """A platform, as OCI descriptors carry it."""

    architecture: str = ""
    os: str = ""
    os_version: str = field(default="", name="os.version")
    os_features: list[str] = field(default_factory=list, name="os.features")
    variant: str = ""


class OCIDescriptor(Wire, kw_only=True, omit_defaults=True, rename="camel"):
    """A descriptor of content: media type, digest, size in bytes."""

    media_type: str = ""
    digest: str = ""
    size: int = -1
    urls: list[str] = []
    annotations: dict[str, str] = {}
    platform: OCIPlatform | None = None
    artifact_type: str = ""


class ImageHealthConfig(Wire, kw_only=True, omit_defaults=True):
    """The health check that an image brings; durations in nanoseconds."""

    test: list[str] = []
    interval: Int64 = 0
    timeout: Int64 = 0
    start_period: Int64 = 0
    start_interval: Int64 = 0
    retries: Int64 = 0


class ImageConfig(Wire, kw_only=True, omit_defaults=True):
    """What an image says about the containers made of it. `env`, `cmd` and so on are absent where unset."""

    user: str = ""
    exposed_ports: dict[str, dict[str, object]] = {}
    env: list[str] = []
    cmd: StringOrList | None = None
    healthcheck: ImageHealthConfig | None = None
    args_escaped: bool = False
    volumes: dict[str, dict[str, object]] = {}
    working_dir: str = ""
    entrypoint: StringOrList | None = None
    on_build: list[str] = []
    labels: dict[str, str] = {}
    stop_signal: str = ""
    shell: StringOrList = []


class DriverData(Wire, kw_only=True):
    """The storage driver's name and what it tells about an object."""

    name: str
    data: dict[str, str] | None = None


class RootFS(Wire, kw_only=True):
    """An image's layers, as diffIDs, the base first."""

    type: str = "layers"
    layers: list[str] = []


class ImageMetadata(Wire, kw_only=True):
    """Local facts about an image; times are RFC 3339, the year 1 is never."""

    last_tag_time: str = "0001-01-01T00:00:00Z"


class ManifestSize(Wire, kw_only=True):
    """Bytes of the content as registries have it, as far as that is here, and of it with the files."""

    content: int
    total: int


class UnpackedSize(Wire, kw_only=True):
    """Bytes of the files."""

    unpacked: int


class ManifestImage(Wire, kw_only=True):
    """What a manifest that is an image's says of it; `containers` are ids."""

    platform: OCIPlatform
    containers: list[str]
    size: UnpackedSize


class ManifestSummary(Wire, kw_only=True):
    """One manifest of an image. Docker API v1.50 `ImageManifestSummary`."""

    id: str = field(name="ID")
    descriptor: OCIDescriptor
    available: bool = True
    size: ManifestSize
    kind: str = "image"
    image_data: ManifestImage


class ImageInspect(Wire, kw_only=True, omit_defaults=True):
    """All about one image. Docker API v1.50 `ImageInspect`; `size` in bytes, all layers counted."""

    id: str
    descriptor: OCIDescriptor | None = None
    manifests: list[ManifestSummary] | None = None
    repo_tags: list[str]
    repo_digests: list[str]
    parent: str
    comment: str
    created: str
    docker_version: str
    author: str
    config: ImageConfig
    architecture: str
    variant: str = ""
    os: str
    os_version: str = ""
    size: int
    virtual_size: int | None = None  # up to API 1.43
    graph_driver: DriverData
    root_fs: RootFS = field(name="RootFS")
    metadata: ImageMetadata


class ImageSummary(Wire, kw_only=True, omit_defaults=True):
    """One row of `docker images`. `created` in Unix seconds; `shared_size`, `containers` -1: unknown."""

    id: str
    parent_id: str
    repo_tags: list[str]
    repo_digests: list[str]
    created: int
    size: int
    shared_size: int
    virtual_size: int | None = None  # up to API 1.43
    labels: dict[str, str] | None
    containers: int
    descriptor: OCIDescriptor | None = None
    manifests: list[ManifestSummary] | None = None


class HistoryItem(Wire, kw_only=True):
    """One line of an image's history, the newest first; `id` is `<missing>` but for the image itself."""

    id: str
    created: int
    created_by: str
    tags: list[str] | None
    size: int
    comment: str


class ImageDeleteItem(Wire, kw_only=True, omit_defaults=True):
    """One step of a removal: a name that was taken away, or an object that was deleted."""

    untagged: str = ""
    deleted: str = ""


class ImagesPruneReport(Wire, kw_only=True):
    """What POST /images/prune removed."""

    images_deleted: list[ImageDeleteItem] | None
    space_reclaimed: int
