"""What the parts of the engine are told of the machine, and of this daemon's place on it."""

from __future__ import annotations

import msgspec

from shoal.daemon.config import Config
from shoal.engine.machine import Machine, default_cpus, default_mems, has_apparmor
from shoal.engine.specgen import MachineFacts
from shoal.linux import capabilities
from shoal.linux.cgroups.layout import Layout
from shoal.linux.seccomp_compile import FilterCache
from shoal.oci.runtime_spec import Seccomp
from shoal.runtime.compile.plan import HostFacts, hierarchies_of


def machine_facts(machine: Machine, cgroups: Layout) -> MachineFacts:
    """What containers\' specifications depend on."""
    return MachineFacts(
        machine=machine.machine,
        kernel=machine.kernel_version,
        cpus=machine.cpus,
        cgroup_version="v2" if cgroups.version == "v2" else "v1",
        controllers=frozenset(cgroups.controllers),
        capabilities=tuple(capabilities.names(capabilities.bounding_set())),
        cpuset_cpus=default_cpus(),
        cpuset_mems=default_mems(),
        apparmor=has_apparmor(),
        memory_swap=cgroups.limits_swap(),
    )


def host_facts(config: Config, cgroups: Layout) -> HostFacts:
    """What launch plans depend on."""
    filters = FilterCache(str(config.data_root / "seccomp"))
    encoder = msgspec.json.Encoder()

    def compile_filter(profile: Seccomp) -> bytes:
        return filters.program(encoder.encode(profile))

    return HostFacts(
        rootfs_mount_point=str(config.exec_root / "rootfs"),
        cgroup_version="v2" if cgroups.version == "v2" else "v1",
        hierarchies=hierarchies_of(cgroups),
        last_capability=capabilities.last_cap(),
        compile_filter=compile_filter,
        mount_namespace="/proc/self/ns/mnt",
    )
