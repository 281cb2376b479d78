"""New limits: what contradicts the old ones, what is kept, and what the cgroup is told."""

from __future__ import annotations

import pytest

from shoal.api.host_config import HostConfig, RestartPolicy
from shoal.api.update import ContainerUpdateRequest
from shoal.engine.specgen import DaemonDefaults, SpecGenerator
from shoal.engine.specgen.facts import MachineFacts
from shoal.errors import Conflict, InvalidArgument
from shoal.oci import runtime_spec as oci
from tests.unit.engine.specgen.facts import MACHINE, FakeDevices

MIB = 1 << 20


def _generator(machine: MachineFacts = MACHINE) -> SpecGenerator:
    return SpecGenerator(machine, DaemonDefaults(), FakeDevices())


def _without_swap() -> MachineFacts:
    fields = {name: getattr(MACHINE, name) for name in MACHINE.__struct_fields__}
    return MachineFacts(**{**fields, "memory_swap": False})


def test_update_changes_only_what_is_given() -> None:
    """The rest of the configuration stays, and the cgroup is told only of the part that is touched."""
    host = HostConfig(memory=64 * MIB, memory_swap=128 * MIB, cpu_shares=512, pids_limit=10, binds=["/a:/b"])
    updated, limits = _generator().update(host, ContainerUpdateRequest(memory=32 * MIB))
    assert (updated.memory, updated.memory_swap, updated.cpu_shares) == (32 * MIB, 128 * MIB, 512)
    assert (updated.pids_limit, updated.binds) == (10, ["/a:/b"])
    assert limits == oci.Resources(memory=oci.Memory(limit=32 * MIB, swap=128 * MIB))


def test_update_of_cpus_and_tasks() -> None:
    """--cpus becomes a quota; 0 tasks mean no limit and are told to the cgroup."""
    updated, limits = _generator().update(HostConfig(pids_limit=9), ContainerUpdateRequest(nano_cpus=500_000_000))
    assert limits == oci.Resources(cpu=oci.Cpu(quota=50_000, period=100_000))
    assert updated.pids_limit == 9
    updated, limits = _generator().update(HostConfig(pids_limit=9), ContainerUpdateRequest(pids_limit=0))
    assert limits == oci.Resources(pids=oci.Pids(limit=-1))
    assert updated.pids_limit == 0


def test_update_of_the_restart_policy_alone_tells_the_cgroup_nothing() -> None:
    """Only the record changes."""
    updated, limits = _generator().update(
        HostConfig(memory=MIB), ContainerUpdateRequest(restart_policy=RestartPolicy(name="always"))
    )
    assert updated.restart_policy.name == "always"
    assert limits == oci.Resources()


@pytest.mark.parametrize(
    ("host", "given", "sentence"),
    [
        (HostConfig(cpu_period=1000), {"nano_cpus": 10**9}, "Nano CPUs cannot be updated as CPU Period has already"),
        (HostConfig(cpu_quota=1000), {"nano_cpus": 10**9}, "Nano CPUs cannot be updated as CPU Quota has already"),
        (HostConfig(nano_cpus=1), {"cpu_period": 1000}, "CPU Period cannot be updated as NanoCPUs has already"),
        (HostConfig(nano_cpus=1), {"cpu_quota": 1000}, "CPU Quota cannot be updated as NanoCPUs has already"),
        (HostConfig(), {"memory": 64 * MIB}, "Memory limit should be smaller than already set memoryswap limit"),
        (HostConfig(auto_remove=True), {"restart_policy": RestartPolicy(name="always")}, "AutoRemove is enabled"),
    ],
)
def test_update_refuses_what_contradicts_the_limits_there_are(
    host: HostConfig, given: dict[str, object], sentence: str
) -> None:
    """In Docker's words."""
    with pytest.raises(Conflict, match=sentence):
        _generator().update(host, ContainerUpdateRequest(**given))  # type: ignore[arg-type]


def test_check_update_refuses_values_out_of_range() -> None:
    """The rules of create hold."""
    with pytest.raises(InvalidArgument, match="Minimum memory limit allowed is 6MB"):
        _generator().check_update(ContainerUpdateRequest(memory=1))


def test_check_update_drops_what_the_kernel_lacks_with_a_warning() -> None:
    """Without swap accounting memory alone can be limited, and its growth needs no word about swap."""
    generator = _generator(_without_swap())
    given, warnings = generator.check_update(ContainerUpdateRequest(memory=64 * MIB))
    assert len(warnings) == 1
    updated, limits = generator.update(HostConfig(), given)
    assert (updated.memory, updated.memory_swap) == (64 * MIB, -1)
    assert limits == oci.Resources(memory=oci.Memory(limit=64 * MIB))
