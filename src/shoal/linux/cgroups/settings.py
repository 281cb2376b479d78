"""OCI resources as writes to control files: pure functions, one for each version of cgroups.

Used by the supervisor. OCI runtime-spec §Control groups, Documentation/admin-guide/cgroup-v1 and
cgroup-v2.rst. The resources come as the JSON object `linux.resources` of a runtime spec.
"""

from __future__ import annotations

from shoal.errors import InvalidArgument

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypeAlias

    Section: TypeAlias = dict[str, object]

# What Docker says where a limit can't be had: the subject, and what becomes of the wish.
MEMORY = ("memory limit capabilities or the cgroup is not mounted", "Limitation discarded.")
SWAP = ("swap limit capabilities or the cgroup is not mounted", "Memory limited without swap.")
RESERVATION = ("memory soft limit capabilities or the cgroup is not mounted", "Limitation discarded.")
SWAPPINESS = (
    "memory swappiness capabilities or the cgroup is not mounted",
    "Memory swappiness discarded.",
)
OOM_KILL = ("OomKillDisable", "OomKillDisable discarded.")
KERNEL_TCP = (
    "kernel memory TCP limit capabilities or the cgroup is not mounted",
    "Limitation discarded.",
)
SHARES = ("CPU shares or the cgroup is not mounted", "Shares discarded.")
CFS = ("CPU CFS scheduler or the cgroup is not mounted", "Period and quota discarded.")
BURST = ("CPU bursts", "Burst discarded.")
IDLE = ("idle CPU groups", "Setting discarded.")
REALTIME = ("CPU real-time scheduler or the cgroup is not mounted", "Runtime and period discarded.")
CPUSET = ("cpuset or the cgroup is not mounted", "Cpuset discarded.")
PIDS = ("pids limit capabilities or the cgroup is not mounted", "PIDs limit discarded.")
WEIGHT = ("Block I/O weight or the cgroup is not mounted", "Weight discarded.")
WEIGHT_DEVICE = ("Block I/O weight_device or the cgroup is not mounted", "Weight-device discarded.")
THROTTLE = ("Block I/O limits or the cgroup is not mounted", "Block I/O limits discarded.")
HUGETLB = ("hugetlb limits of this page size or the cgroup is not mounted", "Limitation discarded.")
NETWORK = ("network classes and priorities or the cgroup is not mounted", "Setting discarded.")
UNIFIED = ("this unified resource", "Setting discarded.")
UNIFIED_ON_V1 = ("unified resources, which need cgroup v2", "Setting discarded.")
RDMA = ("RDMA limits or the cgroup is not mounted", "Limitation discarded.")


class Setting:
    """One write: `value` to the control file `file` of `controller`, and the words for when that is missing.

    `alternative` is the file that other kernels have in its place. `controller` None: there is nothing to
    write to.
    """

    __slots__ = ("alternative", "controller", "file", "value", "words")

    def __init__(
        self,
        controller: str | None,
        file: str,
        value: str,
        words: tuple[str, str],
        *,
        alternative: tuple[str, str] | None = None,
    ) -> None:
        self.controller = controller
        self.file = file
        self.value = value
        self.words = words
        self.alternative = alternative

    def warning(self) -> str:
        """What to tell the client when this kernel can't do it, as Docker puts it."""
        subject, consequence = self.words
        return f"Your kernel does not support {subject}. {consequence}"

    def __repr__(self) -> str:
        return f"Setting({self.controller!r}, {self.file!r}, {self.value!r})"


def section(resources: Section, name: str) -> Section:
    """The object `name` in `resources`, empty if absent.

    Raises: InvalidArgument when it is no object.
    """
    value = resources.get(name)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise InvalidArgument(f"invalid resources: {name} is no object")
    return value


def integer(values: Section, name: str) -> int | None:
    """The number `name` in `values`, None if absent.

    Raises: InvalidArgument when it is no integer.
    """
    value = values.get(name)
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool):
        raise InvalidArgument(f"invalid resources: {name} is no integer: {value!r}")
    return value


def entries(values: Section, name: str) -> list[Section]:
    """The list of objects `name` in `values`, empty if absent.

    Raises: InvalidArgument when it is none.
    """
    value = values.get(name)
    if value is None:
        return []
    if not isinstance(value, (list, tuple)) or not all(isinstance(entry, dict) for entry in value):
        raise InvalidArgument(f"invalid resources: {name} is no list of objects")
    return list(value)


def text(values: Section, name: str) -> str:
    """The string `name` in `values`, "" if absent.

    Raises: InvalidArgument when it is no string.
    """
    value = values.get(name)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise InvalidArgument(f"invalid resources: {name} is no string: {value!r}")
    return value


def device_of(entry: Section) -> str:
    """ "MAJOR:MINOR" of a block device entry."""
    return f"{integer(entry, 'major') or 0}:{integer(entry, 'minor') or 0}"


# --- version 1 -------------------------------------------------------------------------------------------


def v1_settings(resources: Section) -> list[Setting]:
    """The writes that apply `resources` on cgroup v1; devices are not among them.

    Raises: InvalidArgument for malformed resources.
    """
    return [
        *_v1_memory(section(resources, "memory")),
        *_v1_cpu(section(resources, "cpu")),
        *_v1_pids(section(resources, "pids")),
        *_v1_blkio(section(resources, "blockIO")),
        *_v1_hugetlb(resources),
        *_v1_network(section(resources, "network")),
        *_rdma(section(resources, "rdma")),
        *(Setting(None, name, str(value), UNIFIED_ON_V1) for name, value in section(resources, "unified").items()),
    ]


def _numbers(values: Section, controller: str, table: tuple[tuple[str, str, tuple[str, str]], ...]) -> list[Setting]:
    """A setting for each (key, file, words) whose key holds a number."""
    settings = []
    for key, file, words in table:
        number = integer(values, key)
        if number is not None:
            settings.append(Setting(controller, file, str(number), words))
    return settings


def _v1_memory(memory: Section) -> list[Setting]:
    settings = _numbers(
        memory,
        "memory",
        (
            ("limit", "memory.limit_in_bytes", MEMORY),
            ("swap", "memory.memsw.limit_in_bytes", SWAP),
            ("reservation", "memory.soft_limit_in_bytes", RESERVATION),
            ("kernelTCP", "memory.kmem.tcp.limit_in_bytes", KERNEL_TCP),
            ("swappiness", "memory.swappiness", SWAPPINESS),
        ),
    )
    if memory.get("disableOOMKiller"):
        settings.append(Setting("memory", "memory.oom_control", "1", OOM_KILL))
    # 0 is "as the engine decides", which wrote nothing in runtimes before; -1 is "no limit".
    return [setting for setting in settings if setting.value != "0" or setting.words is SWAPPINESS]


def _v1_cpu(cpu: Section) -> list[Setting]:
    settings = _numbers(
        cpu,
        "cpu",
        (
            ("shares", "cpu.shares", SHARES),
            ("period", "cpu.cfs_period_us", CFS),
            ("quota", "cpu.cfs_quota_us", CFS),
            ("burst", "cpu.cfs_burst_us", BURST),
            ("realtimePeriod", "cpu.rt_period_us", REALTIME),
            ("realtimeRuntime", "cpu.rt_runtime_us", REALTIME),
            ("idle", "cpu.idle", IDLE),
        ),
    )
    settings = [setting for setting in settings if setting.value != "0" or setting.words is IDLE]
    return settings + _cpuset(cpu)


def _cpuset(cpu: Section) -> list[Setting]:
    return [Setting("cpuset", f"cpuset.{key}", value, CPUSET) for key in ("cpus", "mems") if (value := text(cpu, key))]


def _v1_pids(pids: Section) -> list[Setting]:
    return [Setting("pids", "pids.max", value, PIDS) for value in _pids_limit(pids)]


def _pids_limit(pids: Section) -> list[str]:
    limit = integer(pids, "limit")
    if limit is None:
        return []
    return [str(limit) if limit > 0 else "max"]


_V1_THROTTLES = (
    ("throttleReadBpsDevice", "blkio.throttle.read_bps_device"),
    ("throttleWriteBpsDevice", "blkio.throttle.write_bps_device"),
    ("throttleReadIOPSDevice", "blkio.throttle.read_iops_device"),
    ("throttleWriteIOPSDevice", "blkio.throttle.write_iops_device"),
)


def _v1_blkio(block: Section) -> list[Setting]:
    settings = []
    if weight := integer(block, "weight"):
        settings.append(
            Setting("blkio", "blkio.weight", str(weight), WEIGHT, alternative=("blkio.bfq.weight", str(weight)))
        )
    for entry in entries(block, "weightDevice"):
        if weight := integer(entry, "weight"):
            line = f"{device_of(entry)} {weight}"
            alternative = ("blkio.bfq.weight_device", line)
            settings.append(Setting("blkio", "blkio.weight_device", line, WEIGHT_DEVICE, alternative=alternative))
    for key, file in _V1_THROTTLES:
        for entry in entries(block, key):
            line = f"{device_of(entry)} {integer(entry, 'rate') or 0}"
            settings.append(Setting("blkio", file, line, THROTTLE))
    return settings


def _v1_hugetlb(resources: Section) -> list[Setting]:
    settings = []
    for entry in entries(resources, "hugepageLimits"):
        size, limit = text(entry, "pageSize"), str(integer(entry, "limit") or 0)
        settings.append(Setting("hugetlb", f"hugetlb.{size}.limit_in_bytes", limit, HUGETLB))
    return settings


def _v1_network(network: Section) -> list[Setting]:
    settings = _numbers(network, "net_cls", (("classID", "net_cls.classid", NETWORK),))
    for entry in entries(network, "priorities"):
        line = f"{text(entry, 'name')} {integer(entry, 'priority') or 0}"
        settings.append(Setting("net_prio", "net_prio.ifpriomap", line, NETWORK))
    return settings


def _rdma(rdma: Section) -> list[Setting]:
    settings = []
    for device in rdma:
        limits = section(rdma, device)
        handles, objects = integer(limits, "hcaHandles"), integer(limits, "hcaObjects")
        parts = [device]
        parts += [f"hca_handle={handles}"] if handles is not None else []
        parts += [f"hca_object={objects}"] if objects is not None else []
        settings.append(Setting("rdma", "rdma.max", " ".join(parts), RDMA))
    return settings


# --- version 2 -------------------------------------------------------------------------------------------


def v2_settings(resources: Section) -> list[Setting]:
    """The writes that apply `resources` on cgroup v2; devices are not among them.

    Raises: InvalidArgument for malformed resources.
    """
    return [
        *_v2_memory(section(resources, "memory")),
        *_v2_cpu(section(resources, "cpu")),
        *_v1_pids(section(resources, "pids")),
        *_v2_io(section(resources, "blockIO")),
        *_v2_hugetlb(resources),
        *_rdma(section(resources, "rdma")),
        *_v2_unified(section(resources, "unified")),
    ]


def _v2_memory(memory: Section) -> list[Setting]:
    settings = []
    limit, total = integer(memory, "limit"), integer(memory, "swap")
    if limit:
        settings.append(Setting("memory", "memory.max", _limit(limit), MEMORY))
    if total:
        settings.append(Setting("memory", "memory.swap.max", _limit(_swap(total, limit)), SWAP))
    if reservation := integer(memory, "reservation"):
        settings.append(Setting("memory", "memory.low", _limit(reservation), RESERVATION))
    if integer(memory, "kernelTCP"):
        settings.append(Setting(None, "kernelTCP", "", KERNEL_TCP))
    if integer(memory, "swappiness") is not None:
        settings.append(Setting(None, "swappiness", "", SWAPPINESS))
    if memory.get("disableOOMKiller"):
        settings.append(Setting(None, "disableOOMKiller", "", OOM_KILL))
    return settings


def _limit(value: int) -> str:
    return "max" if value < 0 else str(value)


def _swap(total: int, limit: int | None) -> int:
    """Swap alone, which v2 counts, out of memory and swap together, which the specification has.

    Raises: InvalidArgument when there is no swap to take out.
    """
    if total < 0:
        return -1
    if not limit or limit < 0 or total < limit:
        raise InvalidArgument(
            f"invalid memory and swap limit {total}",
            why="it includes memory, so it needs a memory limit below it",
        )
    return total - limit


def cpu_weight(shares: int) -> int:
    """cpu.weight (1 to 10000) for the cpu.shares of version 1 (2 to 262144), as all runtimes convert it."""
    shares = min(max(shares, 2), 262144)
    return 1 + (shares - 2) * 9999 // 262142


def io_weight(weight: int) -> int:
    """io.weight (1 to 10000) for the blkio weight of version 1 (10 to 1000)."""
    return 1 + (min(max(weight, 10), 1000) - 10) * 9999 // 990


def _v2_cpu(cpu: Section) -> list[Setting]:
    settings = []
    if shares := integer(cpu, "shares"):
        settings.append(Setting("cpu", "cpu.weight", str(cpu_weight(shares)), SHARES))
    quota, period = integer(cpu, "quota"), integer(cpu, "period")
    if quota or period:
        allowed = str(quota) if quota and quota > 0 else "max"
        settings.append(Setting("cpu", "cpu.max", f"{allowed} {period or 100000}", CFS))
    if burst := integer(cpu, "burst"):
        settings.append(Setting("cpu", "cpu.max.burst", str(burst), BURST))
    if (idle := integer(cpu, "idle")) is not None:
        settings.append(Setting("cpu", "cpu.idle", str(idle), IDLE))
    if integer(cpu, "realtimeRuntime") or integer(cpu, "realtimePeriod"):
        settings.append(Setting(None, "realtimeRuntime", "", REALTIME))
    return settings + _cpuset(cpu)


_V2_THROTTLES = (
    ("throttleReadBpsDevice", "rbps"),
    ("throttleWriteBpsDevice", "wbps"),
    ("throttleReadIOPSDevice", "riops"),
    ("throttleWriteIOPSDevice", "wiops"),
)


def _v2_io(block: Section) -> list[Setting]:
    settings = []
    # BFQ's own weight first, as runc does: where that scheduler is loaded, it is the one that counts.
    if weight := integer(block, "weight"):
        converted = ("io.weight", f"default {io_weight(weight)}")
        settings.append(Setting("io", "io.bfq.weight", str(weight), WEIGHT, alternative=converted))
    for entry in entries(block, "weightDevice"):
        if weight := integer(entry, "weight"):
            device = device_of(entry)
            converted = ("io.weight", f"{device} {io_weight(weight)}")
            line = f"{device} {weight}"
            settings.append(Setting("io", "io.bfq.weight", line, WEIGHT_DEVICE, alternative=converted))
    for key, unit in _V2_THROTTLES:
        for entry in entries(block, key):
            rate = integer(entry, "rate")
            line = f"{device_of(entry)} {unit}={rate or 'max'}"
            settings.append(Setting("io", "io.max", line, THROTTLE))
    return settings


def _v2_hugetlb(resources: Section) -> list[Setting]:
    settings = []
    for entry in entries(resources, "hugepageLimits"):
        size, limit = text(entry, "pageSize"), str(integer(entry, "limit") or 0)
        settings.append(Setting("hugetlb", f"hugetlb.{size}.max", limit, HUGETLB))
    return settings


def _v2_unified(unified: Section) -> list[Setting]:
    settings = []
    for name in unified:
        if "/" in name or "." not in name:
            raise InvalidArgument(f"invalid unified resource {name!r}", why="it is the name of a control file")
        for line in text(unified, name).splitlines():
            settings.append(Setting(name.partition(".")[0], name, line, UNIFIED))
    return settings
