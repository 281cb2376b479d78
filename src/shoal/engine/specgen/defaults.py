"""What a request leaves open, written out as inspections show it (Docker API v1.50 ContainerInspect). Pure."""

from __future__ import annotations

import msgspec
from msgspec import UNSET

from shoal.api.host_config import HostConfig
from shoal.engine.specgen.facts import DaemonDefaults, MachineFacts
from shoal.engine.specgen.namespaces import cgroup_namespace_mode
from shoal.engine.specgen.security import masked_and_readonly, read_security_options

RUNTIME = "shoal"


def with_defaults(host: HostConfig, machine: MachineFacts, defaults: DaemonDefaults) -> HostConfig:
    """A copy of a valid `host` in which no default is left to be guessed.

    A privileged container has neither masked nor read-only paths, and says so by None, as Docker does.
    """
    masked, readonly = masked_and_readonly(host, read_security_options(host.security_opt))
    return msgspec.structs.replace(
        host,
        network_mode="bridge" if host.network_mode in ("", "default") else host.network_mode,
        ipc_mode=host.ipc_mode or defaults.ipc_mode,
        cgroupns_mode=cgroup_namespace_mode(host, defaults, machine),
        shm_size=host.shm_size or defaults.shm_size_bytes,
        memory_swap=_memory_swap(host, machine),
        memory_swappiness=None if host.memory_swappiness == -1 else host.memory_swappiness,
        kernel_memory=UNSET,
        pids_limit=host.pids_limit if host.pids_limit and host.pids_limit > 0 else None,
        security_opt=_security_options(host),
        runtime=host.runtime or RUNTIME,
        log_config=msgspec.structs.replace(host.log_config, type=host.log_config.type or "json-file"),
        restart_policy=msgspec.structs.replace(host.restart_policy, name=host.restart_policy.name or "no"),
        masked_paths=None if host.privileged else list(masked),
        readonly_paths=None if host.privileged else list(readonly),
    )


def _security_options(host: HostConfig) -> list[str]:
    """Docker notes that labels mean nothing for a container that shares what they would guard."""
    shares = host.privileged or host.pid_mode == "host" or host.ipc_mode == "host"
    return [*host.security_opt, *(["label=disable"] if shares and "label=disable" not in host.security_opt else [])]


def _memory_swap(host: HostConfig, machine: MachineFacts) -> int:
    """Docker's rule: as much swap as memory, both counted together; no limit where the kernel has none for swap."""
    if host.memory <= 0 or host.memory_swap:
        return host.memory_swap
    return host.memory * 2 if machine.memory_swap else -1
