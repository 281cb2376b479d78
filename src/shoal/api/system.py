"""The daemon about itself: version, info, disk usage. Docker API v1.50 `SystemVersion`, `SystemInfo`, …"""

from __future__ import annotations

from msgspec import UNSET, UnsetType, field

from shoal.api.container import ContainerSummary
from shoal.api.image import ImageSummary
from shoal.api.volume import Volume
from shoal.api.wire import Wire


class PlatformName(Wire, kw_only=True):
    """The product's name."""

    name: str


class Component(Wire, kw_only=True):
    """A part of the engine and its version."""

    name: str
    version: str
    details: dict[str, str] = {}


class SystemVersion(Wire, kw_only=True, omit_defaults=True):
    """The answer of GET /version."""

    platform: PlatformName
    components: list[Component]
    version: str
    api_version: str
    min_api_version: str = field(name="MinAPIVersion")
    git_commit: str
    go_version: str = ""
    os: str
    arch: str
    kernel_version: str
    experimental: bool = False
    build_time: str = ""


class PluginsInfo(Wire, kw_only=True):
    """The kinds of driver that the engine has."""

    volume: list[str] = field(default_factory=lambda: ["local"])
    network: list[str] = field(default_factory=lambda: ["bridge", "host", "ipvlan", "macvlan", "null"])
    authorization: list[str] | None = None
    log: list[str] = field(default_factory=lambda: ["json-file"])


class IndexInfo(Wire, kw_only=True):
    """A registry."""

    name: str
    mirrors: list[str] = []
    secure: bool = True
    official: bool = False


class RegistryServiceConfig(Wire, kw_only=True):
    """The registries that the engine knows."""

    insecure_registry_cidrs: list[str] = field(default_factory=list, name="InsecureRegistryCIDRs")
    index_configs: dict[str, IndexInfo] = {}
    mirrors: list[str] = []


class Runtime(Wire, kw_only=True, omit_defaults=True, rename="camel"):
    """A runtime that containers may ask for."""

    path: str = ""
    runtime_args: list[str] = []
    status: dict[str, str] = {}


class Commit(Wire, kw_only=True):
    """The version of a program that the engine uses; `expected` is shown up to API 1.48."""

    id: str = field(default="", name="ID")
    expected: str | UnsetType = UNSET


class SwarmInfo(Wire, kw_only=True):
    """shoal is never part of a swarm."""

    node_id: str = field(default="", name="NodeID")
    node_addr: str = ""
    local_node_state: str = "inactive"
    control_available: bool = False
    error: str = ""
    remote_managers: list[str] | None = None


class FirewallInfo(Wire, kw_only=True, omit_defaults=True):
    """What the engine makes its firewall rules with."""

    driver: str
    info: list[tuple[str, str]] = []


class AddressPool(Wire, kw_only=True):
    """A pool that networks get their subnets from, and the prefix length of each subnet."""

    base: str
    size: int


class SystemInfo(Wire, kw_only=True, omit_defaults=False):
    """The answer of GET /info. `mem_total` in bytes; `driver_status` is a list of name and value."""

    id: str = field(name="ID")
    containers: int
    containers_running: int
    containers_paused: int
    containers_stopped: int
    images: int
    driver: str
    driver_status: list[tuple[str, str]]
    plugins: PluginsInfo = field(default_factory=PluginsInfo)
    memory_limit: bool
    swap_limit: bool
    kernel_memory: bool | UnsetType = UNSET
    kernel_memory_tcp: bool = field(default=False, name="KernelMemoryTCP")
    cpu_cfs_period: bool
    cpu_cfs_quota: bool
    cpu_shares: bool = field(name="CPUShares")
    cpu_set: bool = field(name="CPUSet")
    pids_limit: bool
    ipv4_forwarding: bool = field(name="IPv4Forwarding")
    bridge_nf_iptables: bool | UnsetType = field(default=UNSET, name="BridgeNfIptables")
    bridge_nf_ip6tables: bool | UnsetType = field(default=UNSET, name="BridgeNfIp6tables")
    debug: bool = False
    nfd: int = field(default=0, name="NFd")
    oom_kill_disable: bool
    n_goroutines: int = field(default=0, name="NGoroutines")
    system_time: str
    logging_driver: str = "json-file"
    cgroup_driver: str = "cgroupfs"
    cgroup_version: str
    n_events_listener: int = field(default=0, name="NEventsListener")
    kernel_version: str
    operating_system: str
    os_version: str = field(name="OSVersion")
    os_type: str = field(default="linux", name="OSType")
    architecture: str
    index_server_address: str = "https://index.docker.io/v1/"
    registry_config: RegistryServiceConfig = field(default_factory=RegistryServiceConfig)
    ncpu: int = field(name="NCPU")
    mem_total: int
    generic_resources: list[str] | None = None
    docker_root_dir: str
    http_proxy: str = ""
    https_proxy: str = ""
    no_proxy: str = ""
    name: str
    labels: list[str] = []
    experimental_build: bool = False
    server_version: str
    runtimes: dict[str, Runtime]
    default_runtime: str
    swarm: SwarmInfo = field(default_factory=SwarmInfo)
    live_restore_enabled: bool = True
    isolation: str = ""
    init_binary: str = ""
    containerd_commit: Commit = field(default_factory=Commit)
    runc_commit: Commit = field(default_factory=Commit)
    init_commit: Commit = field(default_factory=Commit)
    security_options: list[str]
    default_address_pools: list[AddressPool] = []
    firewall_backend: FirewallInfo | UnsetType = UNSET
    cdi_spec_dirs: list[str] = field(default_factory=list, name="CDISpecDirs")
    warnings: list[str] | None = None


class BuildCacheRecord(Wire, kw_only=True):
    """One record of the build cache; sizes in bytes, times RFC 3339."""

    id: str = field(name="ID")
    type: str
    description: str
    in_use: bool
    shared: bool
    size: int
    created_at: str
    last_used_at: str | None
    usage_count: int


class DiskUsage(Wire, kw_only=True):
    """GET /system/df: `layers_size` in bytes, shared layers counted once; `None` was not asked for.

    `builder_size` is shown up to API 1.41.
    """

    layers_size: int = 0
    images: list[ImageSummary] | None = None
    containers: list[ContainerSummary] | None = None
    volumes: list[Volume] | None = None
    build_cache: list[BuildCacheRecord] | None = None
    builder_size: int | UnsetType = UNSET


class BuildPruneReport(Wire, kw_only=True):
    """What POST /build/prune removed, in bytes and by id."""

    caches_deleted: list[str] | None = None
    space_reclaimed: int = 0
