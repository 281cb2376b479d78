"""What the daemon finds out about its machine once, at start: for `docker info` and for the specification's rules."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Machine:
    """Names and sizes of the host. `memory_bytes` is all of it, `kernel` the release as uname(2) has it."""

    hostname: str
    kernel: str
    machine: str
    operating_system: str
    os_version: str
    cpus: int
    memory_bytes: int

    @property
    def architecture(self) -> str:
        """The architecture in Go's words, as images name it."""
        return {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm"}.get(self.machine, self.machine)

    @property
    def kernel_version(self) -> tuple[int, int]:
        """Major and minor number of the kernel."""
        major, minor, *_ = self.kernel.split(".")
        return int(major), int("".join(c for c in minor if c.isdigit()) or 0)


def read_machine() -> Machine:
    """This machine. Raises: OSError when /proc is not mounted."""
    release = _os_release()
    return Machine(
        hostname=platform.node(),
        kernel=os.uname().release,
        machine=os.uname().machine,
        operating_system=release.get("PRETTY_NAME", "Linux"),
        os_version=release.get("VERSION_ID", ""),
        cpus=len(os.sched_getaffinity(0)),
        memory_bytes=os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
    )


def _os_release() -> dict[str, str]:
    """os-release(5), or nothing where there is none."""
    try:
        return platform.freedesktop_os_release()
    except OSError:
        return {}


def default_cpus() -> str:
    """The CPUs of the machine as cpuset.cpus writes them."""
    return _read("/sys/devices/system/cpu/online")


def default_mems() -> str:
    """The memory nodes of the machine as cpuset.mems writes them."""
    return _read("/sys/devices/system/node/online") or "0"


def has_apparmor() -> bool:
    """Whether the kernel confines processes by AppArmor profiles."""
    return _read("/sys/module/apparmor/parameters/enabled") == "Y"


def _read(path: str) -> str:
    try:
        return Path(path).read_text().strip()
    except OSError:
        return ""
