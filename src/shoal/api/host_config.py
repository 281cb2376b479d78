"""HostConfig: how a container sits on its host. Docker API v1.50 `HostConfig` and `Resources`, complete.

`None` means something here: for `init`, `oom_kill_disable`, `pids_limit` and `memory_swappiness` "as the
daemon decides"; for `masked_paths` and `readonly_paths` "the default list" (an empty list: nothing masked).
"""

from __future__ import annotations

from msgspec import UNSET, UnsetType, field

from shoal.api.wire import Int64, StringOrList, UInt16, UInt32, Wire


class PortBinding(Wire, kw_only=True):
    """One published port on the host's side; an empty `host_port` asks for any free one."""

    host_ip: str = ""
    host_port: str = ""


class LogConfig(Wire, kw_only=True):
    """The log driver (empty: the daemon's default) and its options."""

    type: str = ""
    config: dict[str, str] = {}


class RestartPolicy(Wire, kw_only=True):
    """When the engine starts the container again by itself; an empty name is `no`."""

    name: str = ""
    maximum_retry_count: Int64 = 0


class DeviceMapping(Wire, kw_only=True):
    """A device of the host made visible in the container; permissions are letters of `rwm`."""

    path_on_host: str = ""
    path_in_container: str = ""
    cgroup_permissions: str = ""


class DeviceRequest(Wire, kw_only=True):
    """A request for devices by capability, as `--gpus` makes it."""

    driver: str = ""
    count: Int64 = 0
    device_ids: list[str] = field(default_factory=list, name="DeviceIDs")
    capabilities: list[list[str]] = []
    options: dict[str, str] = {}


class WeightDevice(Wire, kw_only=True):
    """A block device's I/O weight, 10 to 1000."""

    path: str = ""
    weight: UInt16 = 0


class ThrottleDevice(Wire, kw_only=True):
    """A block device's limit, in bytes or operations a second."""

    path: str = ""
    rate: Int64 = 0


class Ulimit(Wire, kw_only=True):
    """One resource limit; -1 is unlimited."""

    name: str = ""
    soft: Int64 = 0
    hard: Int64 = 0


class BindOptions(Wire, kw_only=True):
    """Options of a bind mount."""

    propagation: str = ""
    non_recursive: bool = False
    create_mountpoint: bool = False
    read_only_non_recursive: bool = False
    read_only_force_recursive: bool = False


class VolumeDriverConfig(Wire, kw_only=True):
    """The driver that makes a volume, and its options."""

    name: str = ""
    options: dict[str, str] = {}


class VolumeOptions(Wire, kw_only=True):
    """Options of a volume mount."""

    no_copy: bool = False
    labels: dict[str, str] = {}
    driver_config: VolumeDriverConfig | None = None
    subpath: str = ""


class ImageMountOptions(Wire, kw_only=True):
    """Options of an image mount."""

    subpath: str = ""


class TmpfsOptions(Wire, kw_only=True):
    """Options of a tmpfs mount; `mode` is the numeric file mode."""

    size_bytes: Int64 = 0
    mode: UInt32 = 0
    options: list[list[str]] = []


class Mount(Wire, kw_only=True, omit_defaults=True):
    """One mount asked for with `--mount`; `type` is bind, volume, tmpfs, image, npipe or cluster."""

    type: str = ""
    source: str = ""
    target: str = ""
    read_only: bool = False
    consistency: str = ""
    bind_options: BindOptions | None = None
    volume_options: VolumeOptions | None = None
    image_options: ImageMountOptions | None = None
    tmpfs_options: TmpfsOptions | None = None


class Resources(Wire, kw_only=True):
    """Limits of a container: bytes of memory, 1e-9 CPUs (`nano_cpus`), CPU periods in µs; 0 is unset."""

    cpu_shares: Int64 = 0
    memory: Int64 = 0
    nano_cpus: Int64 = 0
    cgroup_parent: str = ""
    blkio_weight: UInt16 = 0
    blkio_weight_device: list[WeightDevice] = []
    blkio_device_read_bps: list[ThrottleDevice] = []
    blkio_device_write_bps: list[ThrottleDevice] = []
    blkio_device_read_iops: list[ThrottleDevice] = field(default_factory=list, name="BlkioDeviceReadIOps")
    blkio_device_write_iops: list[ThrottleDevice] = field(default_factory=list, name="BlkioDeviceWriteIOps")
    cpu_period: Int64 = 0
    cpu_quota: Int64 = 0
    cpu_realtime_period: Int64 = 0
    cpu_realtime_runtime: Int64 = 0
    cpuset_cpus: str = ""
    cpuset_mems: str = ""
    devices: list[DeviceMapping] = []
    device_cgroup_rules: list[str] = []
    device_requests: list[DeviceRequest] = []
    # Gone from the API with 1.42; read to be refused.
    kernel_memory: Int64 | UnsetType = UNSET
    kernel_memory_tcp: Int64 = field(default=0, name="KernelMemoryTCP")
    memory_reservation: Int64 = 0
    memory_swap: Int64 = 0
    memory_swappiness: Int64 | None = None
    oom_kill_disable: bool | None = None
    init: bool | None = None
    pids_limit: Int64 | None = None
    ulimits: list[Ulimit] = []
    cpu_count: Int64 = 0
    cpu_percent: Int64 = 0
    io_maximum_iops: Int64 = field(default=0, name="IOMaximumIOps")
    io_maximum_bandwidth: Int64 = field(default=0, name="IOMaximumBandwidth")


class HostConfig(Resources, kw_only=True):
    """Everything about a container that depends on its host. Docker API v1.50 `HostConfig`."""

    binds: list[str] = []
    container_id_file: str = field(default="", name="ContainerIDFile")
    log_config: LogConfig = field(default_factory=LogConfig)
    network_mode: str = ""
    port_bindings: dict[str, list[PortBinding]] = {}
    restart_policy: RestartPolicy = field(default_factory=RestartPolicy)
    auto_remove: bool = False
    volume_driver: str = ""
    volumes_from: list[str] = []
    mounts: list[Mount] = []
    console_size: list[UInt32] = field(default_factory=lambda: [0, 0])
    annotations: dict[str, str] = {}
    cap_add: StringOrList = []
    cap_drop: StringOrList = []
    cgroupns_mode: str = ""
    dns: list[str] = []
    dns_options: list[str] = []
    dns_search: list[str] = []
    extra_hosts: list[str] = []
    group_add: list[str] = []
    ipc_mode: str = ""
    cgroup: str = ""
    links: list[str] = []
    oom_score_adj: Int64 = 0
    pid_mode: str = ""
    privileged: bool = False
    publish_all_ports: bool = False
    readonly_rootfs: bool = False
    security_opt: list[str] = []
    storage_opt: dict[str, str] = {}
    tmpfs: dict[str, str] = {}
    uts_mode: str = field(default="", name="UTSMode")
    userns_mode: str = ""
    shm_size: Int64 = 0
    sysctls: dict[str, str] = {}
    runtime: str = ""
    isolation: str = ""
    masked_paths: list[str] | None = None
    readonly_paths: list[str] | None = None
