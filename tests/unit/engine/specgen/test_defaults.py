"""The defaults that a container's inspection shows."""

from __future__ import annotations

import msgspec
import pytest

from shoal.api.host_config import HostConfig
from shoal.engine.specgen.defaults import with_defaults
from shoal.engine.specgen.facts import DaemonDefaults, MachineFacts
from shoal.engine.specgen.security import MASKED_PATHS, READONLY_PATHS

_MACHINE = MachineFacts(
    machine="x86_64",
    kernel=(6, 1),
    cpus=2,
    cgroup_version="v2",
    controllers=frozenset({"memory"}),
    capabilities=(),
)


def _complete(host: HostConfig, **machine: object) -> HostConfig:
    return with_defaults(host, msgspec.structs.replace(_MACHINE, **machine), DaemonDefaults())


def test_with_defaults_nothing_given_writes_dockers_defaults() -> None:
    """What nobody asked for is shown as what it will be, as Docker does."""
    host = _complete(HostConfig())
    assert (host.network_mode, host.ipc_mode, host.runtime) == ("bridge", "private", "shoal")
    assert (host.log_config.type, host.restart_policy.name, host.shm_size) == ("json-file", "no", 64 << 20)
    assert (host.masked_paths, host.readonly_paths) == (list(MASKED_PATHS), list(READONLY_PATHS))


@pytest.mark.parametrize(("version", "mode"), [("v1", "host"), ("v2", "private")])
def test_with_defaults_cgroup_namespace_follows_the_hierarchy(version: str, mode: str) -> None:
    """Docker's rule: a namespace of its own on cgroup v2, the host's on v1."""
    assert _complete(HostConfig(), cgroup_version=version).cgroupns_mode == mode


def test_with_defaults_privileged_masks_nothing() -> None:
    """A privileged container has no masked paths, which inspections show as null."""
    host = _complete(HostConfig(privileged=True))
    assert (host.masked_paths, host.readonly_paths) == (None, None)


@pytest.mark.parametrize(
    ("memory", "given", "kernel_can", "shown"),
    [(100, 0, True, 200), (100, 150, True, 150), (100, -1, True, -1), (100, 0, False, -1), (0, 0, True, 0)],
)
def test_with_defaults_memory_swap_is_dockers(memory: int, given: int, kernel_can: bool, shown: int) -> None:
    """Twice the memory unless something else was asked for; unlimited where the kernel cannot limit swap."""
    host = _complete(HostConfig(memory=memory, memory_swap=given), memory_swap=kernel_can)
    assert host.memory_swap == shown
