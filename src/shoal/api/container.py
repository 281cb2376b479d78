"""Containers on the wire: what creates one, what lists and inspections show. Docker API `Container*`."""

from __future__ import annotations

from msgspec import UNSET, UnsetType, field

from shoal.api.exits import ContainerExit
from shoal.api.host_config import HostConfig
from shoal.api.image import DriverData, OCIDescriptor
from shoal.api.network import EndpointSettings, NetworkingConfig, NetworkSettings
from shoal.api.wire import Int64, StringOrList, UInt16, Wire


class HealthConfig(Wire, kw_only=True, omit_defaults=True):
    """A health check; durations in nanoseconds, 0 is "inherit"; an empty test inherits the image's."""

    test: list[str] = []
    interval: Int64 = 0
    timeout: Int64 = 0
    start_period: Int64 = 0
    start_interval: Int64 = 0
    retries: Int64 = 0


class ContainerConfig(Wire, kw_only=True):
    """What a container is, apart from its host. Docker API v1.50 `ContainerConfig`.

    `cmd` and `entrypoint`: `None` takes the image's, an empty list is an answer of its own (it resets).
    `stop_timeout` in seconds, `None` is the daemon's default. A `healthcheck` that nobody asked for is not shown.
    """

    hostname: str = ""
    domainname: str = ""
    user: str = ""
    attach_stdin: bool = False
    attach_stdout: bool = False
    attach_stderr: bool = False
    exposed_ports: dict[str, dict[str, object]] = {}
    tty: bool = False
    open_stdin: bool = False
    stdin_once: bool = False
    env: list[str] = []
    cmd: StringOrList | None = None
    healthcheck: HealthConfig | UnsetType | None = UNSET
    args_escaped: bool = False
    image: str = ""
    volumes: dict[str, dict[str, object]] = {}
    working_dir: str = ""
    entrypoint: StringOrList | None = None
    network_disabled: bool = False
    mac_address: str = ""
    on_build: list[str] = []
    labels: dict[str, str] = {}
    stop_signal: str = ""
    stop_timeout: Int64 | None = None
    shell: StringOrList = []


class ContainerCreateRequest(ContainerConfig, kw_only=True):
    """The body of POST /containers/create: the configuration with the host's and the networks' parts."""

    host_config: HostConfig = field(default_factory=HostConfig)
    networking_config: NetworkingConfig = field(default_factory=NetworkingConfig)


class ContainerCreateResponse(Wire, kw_only=True):
    """The new container's id, and what the engine could not do quite as asked."""

    id: str
    warnings: list[str] = []


class HealthcheckResult(Wire, kw_only=True):
    """One run of a health check; times are RFC 3339."""

    start: str
    end: str
    exit_code: int
    output: str


class Health(Wire, kw_only=True):
    """A container's health: status is none, starting, healthy or unhealthy."""

    status: str
    failing_streak: int
    log: list[HealthcheckResult] = []


class ContainerState(Wire, kw_only=True, omit_defaults=True):
    """A container's state. `started_at` and `finished_at` are RFC 3339; `0001-01-01T00:00:00Z` is never.

    `ended` is an addition of shoal's: what ended the last run of a container that does not run.
    """

    status: str
    running: bool
    paused: bool
    restarting: bool
    oom_killed: bool = field(name="OOMKilled")
    dead: bool
    pid: int
    exit_code: int
    error: str
    started_at: str
    finished_at: str
    health: Health | None = None
    ended: ContainerExit | None = None


class MountPoint(Wire, kw_only=True, omit_defaults=True):
    """A mount that a container has; `type` is bind, volume, tmpfs or image."""

    type: str
    name: str = ""
    source: str
    destination: str
    driver: str = ""
    mode: str
    rw: bool = field(name="RW")
    propagation: str


class ContainerInspect(Wire, kw_only=True, omit_defaults=True):
    """All about one container. Docker API v1.50 `ContainerInspectResponse`; `name` begins with a slash."""

    id: str
    created: str
    path: str
    args: list[str]
    state: ContainerState
    image: str
    resolv_conf_path: str
    hostname_path: str
    hosts_path: str
    log_path: str
    name: str
    restart_count: int
    driver: str
    platform: str
    image_manifest_descriptor: OCIDescriptor | None = None
    mount_label: str
    process_label: str
    app_armor_profile: str
    exec_ids: list[str] | None = field(name="ExecIDs")
    host_config: HostConfig
    graph_driver: DriverData
    size_rw: int | None = None
    size_root_fs: int | None = None
    mounts: list[MountPoint]
    config: ContainerConfig
    network_settings: NetworkSettings


class Port(Wire, kw_only=True, omit_defaults=True):
    """A port in the list of containers; `public_port` 0 means exposed only."""

    ip: str = field(default="", name="IP")
    private_port: UInt16
    public_port: UInt16 = 0
    type: str


class SummaryHostConfig(Wire, kw_only=True, omit_defaults=True):
    """The part of the host configuration that lists show."""

    network_mode: str
    annotations: dict[str, str] = {}


class SummaryNetworkSettings(Wire, kw_only=True):
    """The networks of a listed container."""

    networks: dict[str, EndpointSettings] = {}


class ContainerSummary(Wire, kw_only=True, omit_defaults=True):
    """One row of `docker ps`. `created` in Unix seconds; `names` begin with a slash; sizes when asked."""

    id: str
    names: list[str]
    image: str
    image_id: str = field(name="ImageID")
    image_manifest_descriptor: OCIDescriptor | None = None
    command: str
    created: int
    ports: list[Port]
    size_rw: int | None = None
    size_root_fs: int | None = None
    labels: dict[str, str]
    state: str
    status: str
    host_config: SummaryHostConfig
    network_settings: SummaryNetworkSettings
    mounts: list[MountPoint]


class WaitExitError(Wire, kw_only=True):
    """Why a container's end could not be waited for."""

    message: str


class WaitResponse(Wire, kw_only=True, omit_defaults=True):
    """How a container ended."""

    status_code: int
    error: WaitExitError | None = None


class ContainersPruneReport(Wire, kw_only=True):
    """What POST /containers/prune removed."""

    containers_deleted: list[str] | None
    space_reclaimed: int
