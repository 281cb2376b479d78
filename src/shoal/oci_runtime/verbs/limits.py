"""`update` and `events`: what a container may use, and what it does use."""

from __future__ import annotations

import json
import select
import sys

from shoal.errors import Conflict, InvalidArgument, Unsupported
from shoal.linux.cgroups import Cgroup
from shoal.linux.pidfd import pidfd_open
from shoal.oci_runtime.arguments import Flags, Invocation
from shoal.oci_runtime.records import STOPPED, Record, find
from shoal.oci_runtime.report import Report

TYPE_CHECKING = False
if TYPE_CHECKING:
    from shoal.linux.cgroups.usage import Usage

_MOST_BYTES = 1 << 20
_UNITS = {"": 0, "b": 0, "k": 10, "m": 20, "g": 30, "t": 40}
_DURATIONS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
# Flag, section of linux.resources, key there.
_NUMBERS = (
    ("blkio-weight", "blockIO", "weight"),
    ("cpu-period", "cpu", "period"),
    ("cpu-quota", "cpu", "quota"),
    ("cpu-burst", "cpu", "burst"),
    ("cpu-share", "cpu", "shares"),
    ("cpu-rt-period", "cpu", "realtimePeriod"),
    ("cpu-rt-runtime", "cpu", "realtimeRuntime"),
    ("cpu-idle", "cpu", "idle"),
    ("pids-limit", "pids", "limit"),
)
_SIZES = (
    ("memory", "limit"),
    ("memory-reservation", "reservation"),
    ("memory-swap", "swap"),
    ("kernel-memory-tcp", "kernelTCP"),
)
_WORDS = (("cpuset-cpus", "cpus"), ("cpuset-mems", "mems"))


def update(call: Invocation, report: Report) -> int:
    """Sets other limits for a container that has not stopped."""
    group, _ = _cgroup(call)
    resources = wanted_resources(call.flags)
    for warning in group.apply(resources):
        report.warning(warning)
    return 0


def wanted_resources(flags: Flags) -> dict[str, object]:
    """The limits that are asked for, as `linux.resources`: those of a file, or those of the flags.

    Raises: InvalidArgument.
    """
    if flags.has("kernel-memory"):
        raise Unsupported("kernel memory cannot be limited", why="no supported kernel does it")
    if flags.has("resources"):
        return _from_file(flags.text("resources"))
    found: dict[str, dict[str, object]] = {}
    for name, section, key in _NUMBERS:
        if flags.has(name):
            found.setdefault(section, {})[key] = flags.number(name)
    for name, key in _SIZES:
        if flags.has(name):
            found.setdefault("memory", {})[key] = size_of(flags.text(name))
    for name, key in _WORDS:
        if flags.has(name):
            found.setdefault("cpu", {})[key] = flags.text(name)
    return dict(found)


def size_of(text: str) -> int:
    """A number of bytes: 1048576, 512k, 1.5g, 1GiB, and -1 for no limit. Raises: InvalidArgument."""
    word = text.strip().lower()
    digits = word.rstrip("kmgtib")
    unit = word[len(digits) :].removesuffix("ib").removesuffix("b") if word != "-1" else ""
    try:
        if word == "-1":
            return -1
        if unit not in _UNITS or not digits or digits[0] == "-":
            raise ValueError
        return int(float(digits) * (1 << _UNITS[unit]))
    except (ValueError, OverflowError):
        raise InvalidArgument(f"invalid size {text!r}", fix="use a number with k, m or g behind it") from None


def _from_file(path: str) -> dict[str, object]:
    try:
        if path == "-":
            document = sys.stdin.read(_MOST_BYTES)
        else:
            with open(path, encoding="utf-8") as file:
                document = file.read(_MOST_BYTES)
        resources = json.loads(document)
    except (OSError, ValueError) as error:
        raise InvalidArgument(f"cannot read the resources from {path}", why=str(error)) from None
    if not isinstance(resources, dict):
        raise InvalidArgument(f"cannot read the resources from {path}", why="it is no JSON object")
    # Devices are for the container's creation; others send the list along as it was.
    resources.pop("devices", None)
    return resources


def events(call: Invocation, report: Report) -> int:
    """Prints what the container uses, as lines of JSON, and when the kernel kills in it for want of memory."""
    del report
    interval_s = duration_of(call.flags.text("interval", "5s"))
    group, record = _cgroup(call)
    if call.flags.switch("stats"):
        _print_event("stats", record.id, statistics(group.usage()))
        return 0
    kills = group.oom_kills()
    with pidfd_open(record.pid) as pidfd:
        poll = select.poll()
        poll.register(pidfd.fileno(), select.POLLIN)
        while not poll.poll(interval_s * 1000) and record.is_alive():
            if group.oom_kills() > kills:
                kills = group.oom_kills()
                _print_event("oom", record.id, None)
            _print_event("stats", record.id, statistics(group.usage()))
    return 0


def duration_of(text: str) -> float:
    """Seconds out of 5s, 250ms, 1m. Raises: InvalidArgument."""
    digits = text.rstrip("smh")
    factor = _DURATIONS.get(text[len(digits) :])
    try:
        seconds = float(digits) * (factor if factor is not None else float("nan"))
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < 1e6:
        raise InvalidArgument(f"invalid duration {text!r}", fix="use 5s, 500ms or 1m")
    return seconds


def statistics(usage: Usage) -> dict[str, object]:
    """What a cgroup has used in the shape that callers of runc read."""
    return {
        "cpu": {
            "usage": {
                "total": usage["cpu_ns"],
                "percpu": usage["per_cpu_ns"],
                "kernel": usage["cpu_system_ns"],
                "user": usage["cpu_user_ns"],
            },
            "throttling": {
                "periods": usage["throttling_periods"],
                "throttledPeriods": usage["throttled_periods"],
                "throttledTime": usage["throttled_ns"],
            },
        },
        "memory": {
            "usage": {
                "limit": usage["memory_limit_bytes"] or 2**64 - 1,
                "usage": usage["memory_bytes"],
                "max": usage["memory_max_bytes"] or 0,
                "failcnt": usage["memory_failures"] or 0,
            },
            "raw": usage["memory_stats"],
        },
        "pids": {"current": usage["pids"], "limit": usage["pids_limit"] or 0},
        "blkio": {"ioServiceBytesRecursive": usage["io_bytes"], "ioServicedRecursive": usage["io_operations"]},
        "hugetlb": {},
    }


def _print_event(kind: str, id: str, data: dict[str, object] | None) -> None:
    print(json.dumps({"type": kind, "id": id, **({"data": data} if data is not None else {})}), flush=True)


def _cgroup(call: Invocation) -> tuple[Cgroup, Record]:
    place = find(call.root, call.only_id())
    record = place.load()
    if record is None or place.status(record) == STOPPED:
        raise Conflict("container not running", why=f"container with id {place.id} is not running")
    group = record.cgroup()
    if group is None:
        raise Unsupported("the container has no cgroup")
    return group, record
