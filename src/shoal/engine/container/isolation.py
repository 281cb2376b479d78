"""How a container is kept apart from its host: by the kernel's namespaces, or by a virtual machine of its own. Pure.

Source: Docker API v1.50 HostConfig.Isolation, which has `default` alone on Linux; `vm` is an addition of shoal's.
"""

from __future__ import annotations

import msgspec

from shoal.api.host_config import HostConfig
from shoal.errors import InvalidArgument
from shoal.runtime.driver import MachineSize

VM = "vm"
# `process` is what a client says that wants a container where the daemon's default is another.
CONTAINER = ("", "default", "process")
# The machine of a container without limits.
USUAL_SIZE = MachineSize(memory_mib=512, processors=1)
_LEAST_MEMORY_MIB = 128
_MIB = 1 << 20


def decided(host: HostConfig, default: str) -> HostConfig:
    """The host's part of a request with its isolation decided: "vm", or as it was."""
    return msgspec.structs.replace(host, isolation=VM) if host.isolation in ("", "default") and default == VM else host


def machine_size(host: HostConfig) -> MachineSize | None:
    """The machine that the container gets, None for one without."""
    if host.isolation != VM:
        return None
    memory = host.memory // _MIB if host.memory else USUAL_SIZE.memory_mib
    return MachineSize(memory_mib=memory, processors=_processors(host))


def check_isolation(host: HostConfig) -> None:
    """Raises: InvalidArgument for an unknown isolation, and for options that a virtual machine gives no meaning."""
    if host.isolation in CONTAINER:
        return
    if host.isolation != VM:
        raise InvalidArgument(f"Invalid isolation: \"{host.isolation}\" - linux only supports 'default'", fix="or vm")
    for is_asked, option, why in _meaningless(host):
        if is_asked:
            raise InvalidArgument(
                f"{option} cannot be used with --isolation vm", why=why, fix="leave it out, or use --isolation process"
            )
    if host.memory and host.memory < _LEAST_MEMORY_MIB * _MIB:
        raise InvalidArgument(
            f"--memory {host.memory // _MIB}m is too small for --isolation vm",
            why="it is the memory of the whole machine, its kernel included",
            fix=f"--memory {_LEAST_MEMORY_MIB}m, or more",
        )


def _meaningless(host: HostConfig) -> tuple[tuple[bool, str, str], ...]:
    own = "a virtual machine has its own, and sees nothing of the host's"
    return (
        (host.network_mode == "host", "--network host", own),
        (host.network_mode.startswith("container:"), "--network container", own),
        (host.pid_mode not in ("", "private"), f"--pid {host.pid_mode}", own),
        (host.ipc_mode == "host" or host.ipc_mode.startswith("container:"), f"--ipc {host.ipc_mode}", own),
        (host.uts_mode == "host", "--uts host", own),
        (bool(host.devices), "--device", "the host's devices are not in the machine"),
        (bool(host.device_cgroup_rules), "--device-cgroup-rule", "the host's devices are not in the machine"),
        (bool(host.cpuset_cpus or host.cpuset_mems), "--cpuset-cpus", "the machine's processors are its own"),
    )


def _processors(host: HostConfig) -> int:
    """As many as it may keep busy at a time, at least one."""
    if host.nano_cpus:
        return max(1, -(-host.nano_cpus // 1_000_000_000))
    if host.cpu_quota > 0:
        return max(1, -(-host.cpu_quota // (host.cpu_period or 100_000)))
    return USUAL_SIZE.processors
