"""A machine and a /dev that do not exist, for the tests of the pure rules."""

from __future__ import annotations

from shoal.engine.specgen import ContainerFacts, HostDevice, MachineFacts
from shoal.engine.specgen.capabilities import ALL_CAPABILITIES

MACHINE = MachineFacts(
    machine="x86_64",
    kernel=(6, 1),
    cpus=2,
    cgroup_version="v1",
    controllers=frozenset({"memory", "cpu", "cpuset", "pids", "blkio", "devices", "freezer"}),
    capabilities=ALL_CAPABILITIES,
    cpuset_cpus="0-1",
    cpuset_mems="0",
)

CONTAINER = ContainerFacts(
    id="a" * 64,
    hostname="box",
    cgroup_path="/shoal/" + "a" * 64,
    hosts_path="/data/hosts",
    hostname_path="/data/hostname",
    resolv_conf_path="/data/resolv.conf",
)


class FakeDevices:
    """A DeviceSource that knows what it was given; an OSError is raised."""

    def __init__(self, known: dict[str, list[HostDevice] | OSError] | None = None) -> None:
        self._known = known or {}

    def lookup(self, path: str) -> list[HostDevice]:
        found = self._known.get(path, [])
        if isinstance(found, OSError):
            raise found
        return found

    def all(self) -> list[HostDevice]:
        return [device for found in self._known.values() if isinstance(found, list) for device in found]
