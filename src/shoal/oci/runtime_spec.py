"""The OCI runtime specification as types: what `config.json` of a bundle says, and nothing else.

Field names are the specification's, in camel case on the wire; what is at its default is left out, so the
JSON is what a reader expects. Two things of Docker's have no field in the specification and use the places
that other tools ignore: `process.user.username` holds the unresolved `user[:group]` of the request (the names
are looked up inside the container, where its `/etc/passwd` is), and `annotations` hold the group names of
`--group-add`.

Source: OCI runtime-spec v1.3, config.md and config-linux.md.
"""

from __future__ import annotations

from typing import TypeVar

import msgspec

T = TypeVar("T", bound=msgspec.Struct)

OCI_VERSION = "1.2.0"

# Annotation with the comma-separated names (not numbers) of `--group-add`.
GROUP_NAMES_ANNOTATION = "io.shoal.process.groups"

# Mount option of a bind with the part of its source that is bound; resolved inside the source, at the last moment.
SUBPATH_OPTION = "x-shoal.subpath="

# Mount option of a bind whose source may lie on a mount that is younger than the process that prepares the container.
LATEST_OPTION = "x-shoal.latest"

# Type of a mount that shows an image, and its option for each layer, the top one first.
IMAGE_TYPE = "x-shoal.image"
LAYER_OPTION = "x-shoal.layer="


class _Object(msgspec.Struct, kw_only=True, frozen=True, omit_defaults=True, rename="camel"):
    """Base of all objects: immutable, camel case, defaults left out."""


class Root(_Object, frozen=True):
    """The root file system, §Root."""

    path: str
    readonly: bool = False


class IdMapping(_Object, frozen=True):
    """A range of user or group ids of a user namespace, and what it is outside, §User namespace mappings."""

    container_id: int = msgspec.field(name="containerID")
    host_id: int = msgspec.field(name="hostID")
    size: int


class Mount(_Object, frozen=True):
    """One additional mount, §Mounts. `options` are mount(8) words, data for the file system included.

    The mappings are those of an idmapped mount; without any, the words `idmap` and `ridmap` take the container's.
    """

    destination: str
    type: str = ""
    source: str = ""
    options: tuple[str, ...] = ()
    uid_mappings: tuple[IdMapping, ...] = ()
    gid_mappings: tuple[IdMapping, ...] = ()


class User(_Object, frozen=True):
    """Who the process is, §User. `username` is the unresolved request and wins over the numbers."""

    uid: int = msgspec.field(default=0)
    gid: int = msgspec.field(default=0)
    umask: int | None = None
    additional_gids: tuple[int, ...] = ()
    username: str = ""


class ConsoleSize(_Object, frozen=True):
    """Rows and columns of a terminal."""

    height: int
    width: int


class Capabilities(_Object, frozen=True):
    """The five capability sets by name, `CAP_CHOWN` first, §Linux Process."""

    bounding: tuple[str, ...] = ()
    effective: tuple[str, ...] = ()
    permitted: tuple[str, ...] = ()
    inheritable: tuple[str, ...] = ()
    ambient: tuple[str, ...] = ()


class Rlimit(_Object, frozen=True):
    """One resource limit; `type` is setrlimit(2)'s name. Unlimited is the kernel's RLIM_INFINITY."""

    type: str
    soft: int
    hard: int


class Scheduler(_Object, frozen=True):
    """How the kernel schedules the process, sched_setattr(2); times in ns, §Linux Process."""

    policy: str
    nice: int = 0
    priority: int = 0
    flags: tuple[str, ...] = ()
    runtime: int = 0
    deadline: int = 0
    period: int = 0


class IoPriority(_Object, frozen=True):
    """Class and level of the process's I/O, ioprio_set(2)."""

    class_: str = msgspec.field(name="class")
    priority: int = 0


class CpuAffinity(_Object, frozen=True):
    """The processors of a process that joins a container: `initial` on its way there, `final` from then on."""

    initial: str = ""
    final: str = ""


class Process(_Object, frozen=True):
    """What runs, as whom, with which rights, §Process."""

    cwd: str
    args: tuple[str, ...] = ()
    env: tuple[str, ...] = ()
    terminal: bool = False
    console_size: ConsoleSize | None = None
    user: User = User()
    capabilities: Capabilities | None = None
    rlimits: tuple[Rlimit, ...] = ()
    no_new_privileges: bool = False
    oom_score_adj: int | None = None
    apparmor_profile: str = ""
    selinux_label: str = ""
    scheduler: Scheduler | None = None
    io_priority: IoPriority | None = None
    exec_cpu_affinity: CpuAffinity | None = msgspec.field(name="execCPUAffinity", default=None)


class Namespace(_Object, frozen=True):
    """A namespace: new when `path` is empty, else joined, §Namespaces."""

    type: str
    path: str = ""


class Device(_Object, frozen=True):
    """A device node to create; `file_mode` holds permission bits only, §Devices."""

    type: str
    path: str
    major: int = -1
    minor: int = -1
    file_mode: int | None = None
    uid: int | None = None
    gid: int | None = None


class DeviceCgroup(_Object, frozen=True):
    """A rule of the device controller; a missing type, major or minor means all, §Allowed Device list."""

    allow: bool
    type: str = ""
    major: int | None = None
    minor: int | None = None
    access: str = ""


class Memory(_Object, frozen=True):
    """Memory limits in bytes, -1 is unlimited (the specification's word for it), §Memory."""

    limit: int | None = None
    reservation: int | None = None
    swap: int | None = None
    kernel: int | None = None
    kernel_tcp: int | None = msgspec.field(name="kernelTCP", default=None)
    swappiness: int | None = None
    disable_oom_killer: bool | None = msgspec.field(name="disableOOMKiller", default=None)
    use_hierarchy: bool | None = None
    check_before_update: bool | None = None


class Cpu(_Object, frozen=True):
    """Processor shares, bandwidth in µs, and the sets of processors and memory nodes, §CPU."""

    shares: int | None = None
    quota: int | None = None
    period: int | None = None
    burst: int | None = None
    idle: int | None = None
    realtime_runtime: int | None = None
    realtime_period: int | None = None
    cpus: str = ""
    mems: str = ""


class Pids(_Object, frozen=True):
    """How many tasks; §PIDs."""

    limit: int


class WeightDevice(_Object, frozen=True):
    """Relative I/O weight of one block device."""

    major: int
    minor: int
    weight: int


class ThrottleDevice(_Object, frozen=True):
    """Bytes or operations a second for one block device."""

    major: int
    minor: int
    rate: int


class BlockIO(_Object, frozen=True):
    """Block I/O weights and limits, §Block IO."""

    weight: int | None = None
    weight_device: tuple[WeightDevice, ...] = ()
    throttle_read_bps_device: tuple[ThrottleDevice, ...] = ()
    throttle_write_bps_device: tuple[ThrottleDevice, ...] = ()
    throttle_read_iops_device: tuple[ThrottleDevice, ...] = msgspec.field(name="throttleReadIOPSDevice", default=())
    throttle_write_iops_device: tuple[ThrottleDevice, ...] = msgspec.field(name="throttleWriteIOPSDevice", default=())


class HugepageLimit(_Object, frozen=True):
    """A limit on one size of huge page; `page_size` like "2MB"."""

    page_size: str
    limit: int


class InterfacePriority(_Object, frozen=True):
    """The priority of what a container sends through one interface of the host."""

    name: str
    priority: int


class Network(_Object, frozen=True):
    """Class and priorities of a container's network traffic, cgroup v1 only, §Network."""

    class_id: int | None = msgspec.field(name="classID", default=None)
    priorities: tuple[InterfacePriority, ...] = ()


class Rdma(_Object, frozen=True):
    """Limits on one RDMA device, §RDMA."""

    hca_handles: int | None = None
    hca_objects: int | None = None


class Resources(_Object, frozen=True):
    """What the cgroup allows, §Control groups."""

    devices: tuple[DeviceCgroup, ...] = ()
    memory: Memory | None = None
    cpu: Cpu | None = None
    pids: Pids | None = None
    block_io: BlockIO | None = msgspec.field(name="blockIO", default=None)
    hugepage_limits: tuple[HugepageLimit, ...] = ()
    network: Network | None = None
    rdma: dict[str, Rdma] = {}
    unified: dict[str, str] = {}


class SyscallArg(_Object, frozen=True):
    """One comparison with an argument of a system call, seccomp_rule_add(3)."""

    index: int
    value: int
    op: str
    value_two: int = 0


class Syscall(_Object, frozen=True):
    """One rule: these names, when all `args` match, get this action."""

    names: tuple[str, ...]
    action: str
    errno_ret: int | None = None
    args: tuple[SyscallArg, ...] = ()


class Seccomp(_Object, frozen=True):
    """A system call filter, §Seccomp."""

    default_action: str
    default_errno_ret: int | None = None
    architectures: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()
    syscalls: tuple[Syscall, ...] = ()
    listener_path: str = ""
    listener_metadata: str = ""


class Personality(_Object, frozen=True):
    """The execution domain, "LINUX" or "LINUX32", personality(2)."""

    domain: str
    flags: tuple[str, ...] = ()


class ClockOffset(_Object, frozen=True):
    """What is added to one clock of a time namespace, time_namespaces(7)."""

    secs: int = 0
    nanosecs: int = 0


class MemoryPolicy(_Object, frozen=True):
    """On which memory nodes the process allocates, set_mempolicy(2)."""

    mode: str
    nodes: str = ""
    flags: tuple[str, ...] = ()


class NetDevice(_Object, frozen=True):
    """A network interface of the host that moves into the container; `name` is its name there."""

    name: str = ""


class Linux(_Object, frozen=True):
    """The Linux part, config-linux.md."""

    namespaces: tuple[Namespace, ...] = ()
    devices: tuple[Device, ...] = ()
    resources: Resources | None = None
    cgroups_path: str = ""
    rootfs_propagation: str = ""
    seccomp: Seccomp | None = None
    sysctl: dict[str, str] = {}
    masked_paths: tuple[str, ...] = ()
    readonly_paths: tuple[str, ...] = ()
    mount_label: str = ""
    uid_mappings: tuple[IdMapping, ...] = ()
    gid_mappings: tuple[IdMapping, ...] = ()
    time_offsets: dict[str, ClockOffset] = {}
    personality: Personality | None = None
    memory_policy: MemoryPolicy | None = None
    net_devices: dict[str, NetDevice] = {}
    intel_rdt: dict[str, object] | None = None


class Hook(_Object, frozen=True):
    """A program that the runtime runs at one point of a container's life; `timeout` in seconds."""

    path: str
    args: tuple[str, ...] = ()
    env: tuple[str, ...] = ()
    timeout: int | None = None


class Hooks(_Object, frozen=True):
    """Programs by when they run, §POSIX-platform Hooks."""

    prestart: tuple[Hook, ...] = ()
    create_runtime: tuple[Hook, ...] = ()
    create_container: tuple[Hook, ...] = ()
    start_container: tuple[Hook, ...] = ()
    poststart: tuple[Hook, ...] = ()
    poststop: tuple[Hook, ...] = ()


class RuntimeSpec(_Object, frozen=True):
    """A bundle's `config.json`."""

    oci_version: str = OCI_VERSION
    process: Process | None = None
    root: Root | None = None
    hostname: str = ""
    domainname: str = ""
    mounts: tuple[Mount, ...] = ()
    annotations: dict[str, str] = {}
    linux: Linux | None = None
    hooks: Hooks | None = None


def encode(spec: RuntimeSpec) -> bytes:
    """The specification as the JSON of a bundle's `config.json`; `ociVersion` is always there."""
    built = msgspec.to_builtins(spec)
    return msgspec.json.encode({"ociVersion": spec.oci_version, **built})


def decode(document: bytes) -> RuntimeSpec:
    """The specification that a `config.json` holds.

    Raises: msgspec.ValidationError with the path of what is wrong.
    """
    return msgspec.json.decode(document, type=RuntimeSpec)


def changed(part: T, **values: object) -> T:
    """The part of a specification with these of its fields replaced."""
    return msgspec.structs.replace(part, **values)


def resources_data(resources: Resources | None) -> dict[str, object]:
    """The specification's `linux.resources` as plain data, for the supervisor and the cgroup library."""
    if resources is None:
        return {}
    built: dict[str, object] = msgspec.to_builtins(resources)
    return built


def seccomp_json(seccomp: Seccomp) -> bytes:
    """A filter as the JSON that linux/seccomp_compile takes, and as the key under which it is cached."""
    return msgspec.json.encode(seccomp)
