"""Updates of running and stopped containers: what the cgroup is told, what the record keeps."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, cast

import pytest

from shoal.api.host_config import RestartPolicy
from shoal.api.update import ContainerUpdateRequest
from shoal.engine.container.locks import ContainerLocks
from shoal.engine.container.update import Updater
from shoal.engine.specgen import DaemonDefaults, SpecGenerator
from shoal.errors import Conflict, InvalidArgument, SyscallError
from tests.unit.engine.container.bench import Bench, run
from tests.unit.engine.specgen.facts import MACHINE, FakeDevices

MIB = 1 << 20


@dataclass
class _Groups:
    """The one cgroup that there is."""

    applied: list[dict[str, object]] = field(default_factory=list)
    failure: Exception | None = None

    def open(self, path: str) -> _Groups:
        del path
        return self

    def apply(self, resources: dict[str, object]) -> list[str]:
        if self.failure is not None:
            raise self.failure
        self.applied.append(resources)
        return []


def _updater(bench: Bench, groups: _Groups) -> Updater:
    return Updater(
        registry=bench.registry,
        generator=SpecGenerator(MACHINE, DaemonDefaults(), FakeDevices()),
        cgroups=cast(Any, groups),
        cgroup_path=lambda record: record.id,
        locks=ContainerLocks(),
        events=bench.events,
    )


def test_update_of_a_running_container_is_told_to_its_cgroup() -> None:
    """As the specification writes limits, and nothing but what changed."""

    async def scenario(bench: Bench) -> None:
        groups, record = _Groups(), bench.add(memory=64 * MIB, memory_swap=128 * MIB, cpu_shares=7)
        record.state.status = "running"
        assert await _updater(bench, groups).update(record, ContainerUpdateRequest(memory=32 * MIB)) == []
        assert groups.applied == [{"memory": {"limit": 32 * MIB, "swap": 128 * MIB}}]
        assert record.host_config.memory == 32 * MIB
        assert await bench.actions() == ["update"]

    run(scenario)


def test_update_of_a_stopped_container_changes_the_record_alone() -> None:
    """There is no cgroup to tell."""

    async def scenario(bench: Bench) -> None:
        groups, record = _Groups(), bench.add()
        policy = RestartPolicy(name="on-failure", maximum_retry_count=2)
        await _updater(bench, groups).update(record, ContainerUpdateRequest(pids_limit=9, restart_policy=policy))
        assert groups.applied == []
        assert (record.host_config.pids_limit, record.host_config.restart_policy) == (9, policy)

    run(scenario)


def test_update_that_the_kernel_refuses_leaves_the_record_as_it_was() -> None:
    """The sentence names the container; it is the client's to mend, and no failure of the engine's."""

    async def scenario(bench: Bench) -> None:
        groups, record = _Groups(failure=SyscallError("write", "memory.limit_in_bytes", 16)), bench.add(memory_swap=-1)
        record.state.status = "running"
        with pytest.raises(Conflict) as caught:
            await _updater(bench, groups).update(record, ContainerUpdateRequest(memory=6 * MIB, memory_swap=-1))
        assert caught.value.what.startswith(f"Cannot update container {record.id}: ")
        assert record.host_config.memory == 0
        assert await bench.actions() == []

    run(scenario)


def test_update_refuses_containers_that_go_and_policies_that_make_no_sense() -> None:
    """In Docker's words."""

    async def scenario(bench: Bench) -> None:
        record = bench.add()
        updater = _updater(bench, _Groups())
        with pytest.raises(InvalidArgument, match="invalid restart policy"):
            await updater.update(record, ContainerUpdateRequest(restart_policy=RestartPolicy(name="nonsense")))
        record.state.status = "removing"
        with pytest.raises(Conflict, match='container is marked for removal and cannot be "update"'):
            await updater.update(record, ContainerUpdateRequest(cpu_shares=5))

    run(scenario)


def test_update_of_a_machine_keeps_what_a_machine_needs() -> None:
    """What would be refused when it is made is refused when it is changed."""

    async def scenario(bench: Bench) -> None:
        record = bench.add(isolation="vm", memory=256 * MIB, memory_swap=-1)
        updater = _updater(bench, _Groups())
        for request in (
            ContainerUpdateRequest(memory=64 * MIB, memory_swap=-1),
            ContainerUpdateRequest(cpuset_cpus="0"),
        ):
            with pytest.raises(InvalidArgument, match="--isolation vm"):
                await updater.update(record, request)
        assert (record.host_config.memory, record.host_config.cpuset_cpus) == (256 * MIB, "")
        await updater.update(record, ContainerUpdateRequest(memory=300 * MIB, memory_swap=-1))
        assert record.host_config.memory == 300 * MIB

    run(scenario)
