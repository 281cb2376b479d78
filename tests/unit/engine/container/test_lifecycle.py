"""Starting containers and noting their ends."""

from __future__ import annotations

import pytest

from shoal.api.host_config import RestartPolicy
from shoal.engine.container.lifecycle import failure_code
from shoal.engine.container.waiters import Ending
from shoal.errors import Conflict, Internal, InvalidArgument, NotModified
from shoal.runtime.driver import Exit
from tests.unit.engine.container.bench import ID, Bench, run


def test_start_success_is_running_and_saved() -> None:
    """A started container runs, holds its addresses, and the database knows."""

    async def test(bench: Bench) -> None:
        record = bench.add()
        await bench.lifecycle.start(record)
        assert record.state.status == "running"
        assert bench.networks.held == {ID}
        assert await bench.actions() == ["start"]

    run(test)


def test_start_twice_is_not_modified() -> None:
    """Starting what runs is no error and starts nothing."""

    async def test(bench: Bench) -> None:
        record = bench.add()
        await bench.lifecycle.start(record)
        with pytest.raises(NotModified):
            await bench.lifecycle.start(record)
        assert len(bench.driver.started) == 1

    run(test)


def test_start_failure_gives_everything_back() -> None:
    """A program that there is not leaves no address behind, and the container keeps the reason and Docker's code."""

    async def test(bench: Bench) -> None:
        record = bench.add()
        bench.driver.failure = InvalidArgument('exec: "nope": executable file not found in $PATH')
        with pytest.raises(InvalidArgument):
            await bench.lifecycle.start(record)
        assert (record.state.status, record.state.exit_code) == ("created", 127)
        assert "executable file not found" in record.state.error
        assert bench.networks.held == set()

    run(test)


def test_start_failure_of_auto_remove_container_removes_it() -> None:
    """`run --rm` of a program that there is not leaves no container."""

    async def test(bench: Bench) -> None:
        record = bench.add(auto_remove=True)
        bench.driver.failure = Conflict("no")
        with pytest.raises(Conflict):
            await bench.lifecycle.start(record)
        await bench.until(lambda: bench.registry.get(ID) is None)
        assert bench.remover.removed == [ID]

    run(test)


def test_exited_running_notes_code_and_tells_waiters() -> None:
    """The end of the process reaches the record, the network, the waiters and the events."""

    async def test(bench: Bench) -> None:
        record = bench.add()
        await bench.lifecycle.start(record)
        ending = bench.waiters.wait(ID, "not-running")
        bench.lifecycle.exited(ID, Exit(137, 2_000, oom_killed=True))
        assert await ending == Ending(137)
        assert (record.state.status, record.state.oom_killed) == ("exited", True)
        assert bench.networks.held == set()
        assert await bench.actions() == ["start", "oom", "die"]

    run(test)


def test_exited_unknown_code_is_said_to_be_unknown() -> None:
    """When nobody can tell the exit code, none is made up."""

    async def test(bench: Bench) -> None:
        record = bench.add()
        await bench.lifecycle.start(record)
        ending = bench.waiters.wait(ID, "next-exit")
        bench.lifecycle.exited(ID, Exit(0, 2_000, known=False))
        told = await ending
        assert (told.exit_code, record.state.exit_known) == (-1, False)
        assert told.error.startswith("exit code unknown")

    run(test)


def test_exited_by_policy_starts_again() -> None:
    """A container whose policy wants it back is started again, and the restarts are counted."""

    async def test(bench: Bench) -> None:
        record = bench.add(restart_policy=RestartPolicy(name="on-failure", maximum_retry_count=1))
        await bench.lifecycle.start(record)
        bench.lifecycle.exited(ID, Exit(1, 2_000))
        await bench.until(lambda: len(bench.driver.started) == 2)
        assert record.restart_count == 1
        bench.lifecycle.exited(ID, Exit(1, 3_000))
        await bench.until(lambda: record.state.status == "exited")

    run(test)


def test_exited_by_policy_is_restarting_until_it_starts() -> None:
    """Between its end and the next start a container is `restarting`, which Docker counts as running."""

    async def test(bench: Bench) -> None:
        record = bench.add(restart_policy=RestartPolicy(name="always"))
        await bench.lifecycle.start(record)
        ending = bench.waiters.wait(ID, "not-running")
        bench.lifecycle.exited(ID, Exit(3, 2_000))
        assert await ending == Ending(3)
        assert (record.state.status, record.state.exit_code, record.restart_count) == ("restarting", 3, 1)
        assert bench.networks.held == set()
        with pytest.raises(NotModified):
            await bench.lifecycle.start(record)
        await bench.until(lambda: record.state.status == "running")

    run(test)


def test_start_by_a_client_forgets_earlier_restarts() -> None:
    """`docker start` gives a container that had used up its restarts all of them anew."""

    async def test(bench: Bench) -> None:
        record = bench.add(restart_policy=RestartPolicy(name="on-failure", maximum_retry_count=1))
        record.restart_count, record.restart_delay_s = 1, 60.0
        await bench.lifecycle.start(record)
        assert (record.restart_count, record.restart_delay_s) == (0, None)
        bench.lifecycle.exited(ID, Exit(1, 2_000))
        await bench.until(lambda: len(bench.driver.started) == 2)

    run(test)


def test_restart_by_policy_that_fails_ends_and_tells_waiters() -> None:
    """A start by the policy that fails is the end, with the code of the last run: nobody waits for ever."""

    async def test(bench: Bench) -> None:
        record = bench.add(restart_policy=RestartPolicy(name="always"))
        await bench.lifecycle.start(record)
        bench.driver.failure = Conflict("no")
        bench.lifecycle.exited(ID, Exit(1, 2_000))
        await bench.until(lambda: record.state.status == "restarting")
        assert (await bench.waiters.wait(ID, "not-running")).exit_code == 1
        assert record.state.status == "exited"

    run(test)


def test_rest_keeps_policies_from_starting() -> None:
    """While the daemon leaves, what ends stays ended, and no client's word is put down for it."""

    async def test(bench: Bench) -> None:
        record = bench.add(restart_policy=RestartPolicy(name="always"))
        await bench.lifecycle.start(record)
        bench.lifecycle.rest()
        bench.lifecycle.exited(ID, Exit(1, 2_000))
        await bench.until(lambda: record.state.status == "exited")
        assert not record.state.stopped_by_user

    run(test)


def test_exited_release_fails_waiters_are_told() -> None:
    """An address that cannot be given back is a line in the log; the end of the container is noted all the same."""

    async def test(bench: Bench) -> None:
        record = bench.add()
        await bench.lifecycle.start(record)
        ending = bench.waiters.wait(ID, "not-running")
        bench.networks.failure = Internal("no space left on device")
        bench.lifecycle.exited(ID, Exit(7, 2_000))
        assert await ending == Ending(7)
        assert await bench.actions() == ["start", "die"]

    run(test)


def test_start_success_that_cannot_be_saved_still_runs() -> None:
    """On a full disk a started container keeps its address: the next change of the record writes this one too."""

    async def test(bench: Bench) -> None:
        record = bench.add()

        def full(_: object) -> None:
            raise Internal("no space left on device")

        bench.registry.save = full  # type: ignore[method-assign]
        await bench.lifecycle.start(record)
        assert record.state.status == "running"
        assert bench.networks.held == {ID}

    run(test)


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ('exec: "x": executable file not found in $PATH', 127),
        ('exec: "/x": stat /x: no such file or directory', 127),
        ('exec: "/etc": permission denied', 126),
        ("mount `/x`: no space left on device", 128),
    ],
)
def test_failure_code_follows_docker(message: str, code: int) -> None:
    """What could not be run has Docker's exit code."""
    assert failure_code(message, before=0) == code
    assert failure_code(message, before=3) == (code if code != 128 else 3)
