"""What /proc tells about processes and the machine. proc(5).

Used by the supervisor and by shoald.
"""

from __future__ import annotations

import os

from shoal.errors import SyscallError
from shoal.linux.files import read_file

# Fields of /proc/PID/stat, counted from the one behind the name: proc_pid_stat(5) minus 3.
_STATE = 0
_PPID = 1
_START_TIME = 19
_EXIT_CODE = 49
_CAP_SYS_PTRACE = 1 << 19


def _read(path: str) -> str:
    """The text of a file of /proc.

    Raises: SyscallError.
    """
    try:
        return read_file(path).decode("utf-8", "surrogateescape")
    except OSError as error:
        raise SyscallError("open", path, error.errno or 0) from None


def _stat_fields(pid: int) -> list[str]:
    # The name may hold spaces and parentheses: the fields begin behind the last one.
    return _read(f"/proc/{pid}/stat").rpartition(")")[2].split()


def start_time_ticks(pid: int) -> int:
    """When the process started, in clock ticks since boot: with the pid, and the boot id, it names a process.

    Raises: SyscallError (ENOENT or ESRCH: no such process).
    """
    return int(_stat_fields(pid)[_START_TIME])


def process_exists(pid: int, start_time: int) -> bool:
    """Whether the process `pid` that started at `start_time` (ticks) is there and has not ended."""
    try:
        fields = _stat_fields(pid)
    except SyscallError:
        return False
    return int(fields[_START_TIME]) == start_time and fields[_STATE] not in ("Z", "X")


def zombie_exit_status(pid: int, start_time: int) -> int | None:
    """How a process that has ended and is not reaped yet ended, encoded as waitpid does; None when that can't be told.

    Without CAP_SYS_PTRACE the kernel shows others' status as 0, which would be a wrong success: then None as well.
    """
    try:
        fields = _stat_fields(pid)
        own = _read("/proc/self/status")
    except SyscallError:
        return None
    if fields[_STATE] != "Z" or int(fields[_START_TIME]) != start_time:
        return None
    effective = int(own.partition("CapEff:")[2].split()[0], 16)
    return int(fields[_EXIT_CODE]) if effective & _CAP_SYS_PTRACE else None


def parent(pid: int) -> int:
    """The pid of the parent, 0 when that is outside our pid namespace.

    Raises: SyscallError.
    """
    return int(_stat_fields(pid)[_PPID])


def children(pid: int) -> list[int]:
    """The children of all threads of `pid`. proc_tid_children(5); only reliable while none of them ends.

    Raises: SyscallError.
    """
    path = f"/proc/{pid}/task"
    try:
        threads = os.listdir(path)
    except OSError as error:
        raise SyscallError("open", path, error.errno or 0) from None
    found: list[int] = []
    for thread in threads:
        try:
            found += [int(child) for child in _read(f"{path}/{thread}/children").split()]
        except SyscallError:
            pass  # the thread ended meanwhile
    return found


def pss_kib(pid: int) -> int:
    """The memory of the process in KiB, with shared pages counted in proportion. proc_pid_smaps_rollup(5).

    Raises: SyscallError.
    """
    for line in _read(f"/proc/{pid}/smaps_rollup").splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1])
    return 0


def boot_id() -> str:
    """The random name of this boot of the machine.

    Raises: SyscallError.
    """
    return _read("/proc/sys/kernel/random/boot_id").strip()


def unified_group(pid: int) -> str:
    """The path of the group of cgroup v2 that the process is in; "" where there is none. cgroups(7).

    Raises: SyscallError (ENOENT or ESRCH: no such process).
    """
    for line in _read(f"/proc/{pid}/cgroup").splitlines():
        if line.startswith("0::"):
            return line.removeprefix("0::")
    return ""


def command_line(pid: int) -> list[str]:
    """The arguments of the process; empty for a kernel thread or a zombie.

    Raises: SyscallError.
    """
    text = _read(f"/proc/{pid}/cmdline")
    return text.rstrip("\0").split("\0") if text else []


def mount_points() -> list[str]:
    """Where something is mounted in this mount namespace, in the order of mounting. proc_pid_mountinfo(5).

    Raises: SyscallError.
    """
    # Not splitlines(): the kernel escapes only the newline, and a path may hold others of Unicode's line ends.
    lines = _read("/proc/self/mountinfo").split("\n")
    return [_unescaped(line.split(" ", 5)[4]) for line in lines if line]


def mount_above(path: str) -> tuple[str, str]:
    """(mount point, "shared:N master:M" as far as it has peers) of the mount that a real path is on.

    proc_pid_mountinfo(5). Raises: SyscallError.
    """
    found = ("/", "")
    for line in filter(None, _read("/proc/self/mountinfo").split("\n")):
        fields = line.partition(" - ")[0].split(" ")
        place = _unescaped(fields[4])
        # Of several mounts at one place the last one is on top.
        if (path + "/").startswith(place.rstrip("/") + "/") and len(place) >= len(found[0]):
            found = (place, " ".join(fields[6:]))
    return found


def mounted_devices(pid: int, types: frozenset[str], places: tuple[str, ...]) -> set[int]:
    """The device numbers of what a process has mounted: file systems of these `types`, and those at these `places`.

    Empty where the process has ended. proc_pid_mountinfo(5).
    """
    try:
        lines = _read(f"/proc/{pid}/mountinfo").split("\n")
    except SyscallError:
        return set()
    devices = set()
    for line in filter(None, lines):
        fields, _, tail = line.partition(" - ")
        _, _, device, _, place, *_ = fields.split(" ")
        if tail.partition(" ")[0] in types or _unescaped(place) in places:
            major, _, minor = device.partition(":")
            devices.add(os.makedev(int(major), int(minor)))
    return devices


def _unescaped(field: str) -> str:
    """A field of mountinfo without its octal escapes of space, tab, newline and backslash."""
    for escape, character in (("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")):
        field = field.replace(escape, character)
    return field
