"""Two clients at once: stops, kills and removals that meet starts, restarts and ends."""

from __future__ import annotations

import asyncio
import os
import socket

import pytest

from shoal.api.container import ContainerConfig
from shoal.api.host_config import RestartPolicy
from shoal.api.options import AttachOptions, ListOptions
from shoal.engine.container.record import ContainerRecord
from shoal.errors import Conflict, InvalidArgument, NotFound, NotModified
from shoal.linux.fd import Fd
from shoal.runtime.driver import Exit
from tests.unit.engine.container.bench import ID, Bench, run


async def _starting(bench: Bench, record: ContainerRecord) -> asyncio.Task[None]:
    """A start that has come as far as the driver, and waits for its gate."""
    bench.driver.gate = asyncio.Event()
    task = asyncio.create_task(bench.lifecycle.start(record))
    await bench.driver.arrived.wait()
    return task


def test_remove_by_force_during_a_start_removes() -> None:
    """`rm -f` of what is just being started waits for the start, ends the container and removes it."""

    async def test(bench: Bench) -> None:
        start = await _starting(bench, bench.add())
        removal = asyncio.create_task(bench.containers.remove("web", force=True, volumes=False, link=False))
        await asyncio.sleep(0)
        assert bench.driver.gate is not None
        bench.driver.gate.set()
        await asyncio.gather(start, removal)
        assert bench.remover.removed == [ID]

    run(test)


def test_remove_during_a_start_is_refused_as_of_a_running_one() -> None:
    """`rm` without force of what is just being started has Docker's sentence, not an internal error."""

    async def test(bench: Bench) -> None:
        start = await _starting(bench, bench.add())
        removal = asyncio.create_task(bench.containers.remove("web", force=False, volumes=False, link=False))
        await asyncio.sleep(0)
        assert bench.driver.gate is not None
        bench.driver.gate.set()
        await start
        with pytest.raises(Conflict) as caught:
            await removal
        assert caught.value.what.startswith('cannot remove container "/web": container is running: stop the container')

    run(test)


def test_remove_paused_says_that_it_must_be_unpaused() -> None:
    """Docker's sentence for a paused container differs from that for a running one."""

    async def test(bench: Bench) -> None:
        record = bench.add()
        await bench.lifecycle.start(record)
        record.move("pause")
        with pytest.raises(Conflict) as caught:
            await bench.containers.remove("web", force=False, volumes=False, link=False)
        assert caught.value.what == 'cannot remove container "/web": container is paused and must be unpaused first'

    run(test)


@pytest.mark.parametrize("verb", ["stop", "kill", "remove"])
def test_end_of_a_restarting_container_is_for_good(verb: str) -> None:
    """stop, kill and rm -f reach a container that waits for its restart policy, which then leaves it alone."""

    async def test(bench: Bench) -> None:
        record = bench.add(restart_policy=RestartPolicy(name="always"))
        await bench.lifecycle.start(record)
        bench.lifecycle.exited(ID, Exit(1, 2_000))
        await bench.until(lambda: record.state.status == "restarting")
        if verb == "stop":
            await bench.containers.stop("web", signal=None, timeout_s=None)
        elif verb == "kill":
            await bench.containers.kill("web", signal=None)
        else:
            await bench.containers.remove("web", force=True, volumes=False, link=False)
            assert bench.remover.removed == [ID]
        assert record.state.status == ("removing" if verb == "remove" else "exited")
        await asyncio.sleep(0.15)  # longer than the first back-off
        assert len(bench.driver.started) == 1

    run(test)


def test_start_after_the_stop_of_a_restarting_container_is_not_doubled() -> None:
    """The back-off of an earlier end starts nothing once the container has been stopped and has ended anew."""

    async def test(bench: Bench) -> None:
        record = bench.add(restart_policy=RestartPolicy(name="always"))
        await bench.lifecycle.start(record)
        bench.lifecycle.exited(ID, Exit(1, 2_000))
        await bench.until(lambda: record.state.status == "restarting")
        await bench.containers.stop("web", signal=None, timeout_s=None)
        await bench.containers.start("web", detach_keys="")
        record.restart_delay_s = 30.0  # the next back-off is a minute
        bench.lifecycle.exited(ID, Exit(1, 3_000))
        await bench.until(lambda: record.state.status == "restarting")
        await asyncio.sleep(0.15)
        assert len(bench.driver.started) == 2

    run(test)


def test_remove_during_a_removal_is_refused() -> None:
    """The second client is told that the first one is at it; afterwards the container is gone."""

    async def test(bench: Bench) -> None:
        bench.add()
        bench.remover.gate = asyncio.Event()
        first = asyncio.create_task(bench.containers.remove("web", force=False, volumes=False, link=False))
        await bench.until(lambda: ID in bench.remover.claims._claimed)
        with pytest.raises(Conflict, match="removal of container web is already in progress"):
            await bench.containers.remove("web", force=True, volumes=False, link=False)
        bench.remover.gate.set()
        await first
        with pytest.raises(NotFound):
            await bench.containers.remove("web", force=True, volumes=False, link=False)
        assert not bench.remover.claims._claimed

    run(test)


def test_remove_restarting_without_force_is_refused() -> None:
    """A container that will be started again is not removed by the way."""

    async def test(bench: Bench) -> None:
        record = bench.add(restart_policy=RestartPolicy(name="always"))
        await bench.lifecycle.start(record)
        bench.lifecycle.exited(ID, Exit(1, 2_000))
        await bench.until(lambda: record.state.status == "restarting")
        with pytest.raises(Conflict) as caught:
            await bench.containers.remove("web", force=False, volumes=False, link=False)
        assert "container is restarting: stop the container before removing" in caught.value.what

    run(test)


def test_restart_of_an_auto_remove_container_keeps_it() -> None:
    """`docker restart` of a `--rm` container does not remove it between its end and its start."""

    async def test(bench: Bench) -> None:
        record = bench.add(auto_remove=True)
        await bench.lifecycle.start(record)
        await bench.containers.restart("web", signal=None, timeout_s=None)
        assert (record.state.status, bench.remover.removed) == ("running", [])
        await bench.containers.stop("web", signal=None, timeout_s=None)
        await bench.until(lambda: bench.remover.removed == [ID])

    run(test)


def test_restart_that_another_start_overtakes_succeeds() -> None:
    """When somebody else starts the container between the end and the start, the restart is done all the same."""

    async def test(bench: Bench) -> None:
        record = bench.add()
        start = await _starting(bench, record)
        restart = asyncio.create_task(bench.containers.restart("web", signal=None, timeout_s=None))
        await asyncio.sleep(0)
        assert bench.driver.gate is not None
        bench.driver.gate.set()
        await asyncio.gather(start, restart)
        assert record.state.status == "running"

    run(test)


def test_stop_of_a_paused_container_lets_it_go_on() -> None:
    """A frozen process cannot act on SIGTERM: the stop thaws it rather than wait for its time to be over."""

    async def test(bench: Bench) -> None:
        record = bench.add()
        await bench.lifecycle.start(record)
        record.move("pause")
        bench.driver.obeys = ()
        stop = asyncio.create_task(bench.containers.stop("web", signal=None, timeout_s=60))
        await bench.until(lambda: record.state.status == "running")
        bench.lifecycle.exited(ID, Exit(143, 2_000))
        await stop
        assert bench.driver.signals == [15]

    run(test)


def test_stop_without_the_user_leaves_no_mark() -> None:
    """A daemon that shuts its containers down does so for itself: `unless-stopped` starts them when it comes back."""

    async def test(bench: Bench) -> None:
        record = bench.add(restart_policy=RestartPolicy(name="unless-stopped"))
        await bench.lifecycle.start(record)
        bench.lifecycle.rest()
        await bench.containers.stopper.stop(record, None, None, by_user=False)
        assert (record.state.status, record.state.stopped_by_user) == ("exited", False)

    run(test)


def test_stop_of_one_that_does_not_run_is_not_modified() -> None:
    """Stopping what has ended is no error."""

    async def test(bench: Bench) -> None:
        bench.add()
        with pytest.raises(NotModified):
            await bench.containers.stop("web", signal=None, timeout_s=None)

    run(test)


def test_rename_to_nothing_has_dockers_sentence() -> None:
    """An empty name is refused as such."""

    async def test(bench: Bench) -> None:
        bench.add(config=ContainerConfig(image="busybox"))
        with pytest.raises(InvalidArgument) as caught:
            await bench.containers.rename("web", "")
        assert caught.value.what == "Neither old nor new names may be empty"

    run(test)


def test_list_with_sizes_passes_over_what_is_just_going() -> None:
    """`ps -s` does not fail for a container that somebody removes meanwhile."""

    async def test(bench: Bench) -> None:
        bench.add()
        options = ListOptions(all=True, size=True)
        assert [row.size_root_fs for row in await bench.containers.list(options)] == [101]
        bench.snapshotter.going.add(ID)
        assert await bench.containers.list(options) == []
        bench.snapshotter.lost.add(ID)
        assert await bench.containers.list(options) == []

    run(test)


def test_attach_to_one_that_was_removed_meanwhile_is_refused() -> None:
    """The client's socket is closed, not kept for a start that never comes."""

    async def test(bench: Bench) -> None:
        record = bench.add()
        attachment = await bench.containers.prepare_attach("web", AttachOptions(stream=True, stdout=True))
        bench.registry.delete(record)
        ours, theirs = socket.socketpair()
        with ours, theirs:
            client = Fd(os.dup(theirs.fileno()))
            with pytest.raises(NotFound):
                await attachment.connect(client, b"")
            assert client.closed
        assert bench.clients.take(ID) == ()

    run(test)


def test_attach_before_the_start_forgets_clients_that_left() -> None:
    """Who attaches to a created container and goes away again holds no descriptor of the daemon's."""

    async def test(bench: Bench) -> None:
        bench.add()
        kept = []
        for stays in (False, True):
            attachment = await bench.containers.prepare_attach("web", AttachOptions(stream=True, stdout=True))
            ours, theirs = socket.socketpair()
            await attachment.connect(Fd(theirs.detach()), b"")
            if stays:
                kept.append(ours)
            else:
                ours.close()
        waiting = bench.clients.take(ID)
        assert len(waiting) == 1
        waiting[0].socket.close()
        kept[0].close()

    run(test)


def test_rename_to_a_bad_name_says_what_it_was_for() -> None:
    """Docker's opening words come before the rule that the name breaks."""

    async def test(bench: Bench) -> None:
        bench.add()
        with pytest.raises(InvalidArgument) as caught:
            await bench.containers.rename("web", "-")
        assert caught.value.what.startswith(
            "Error when allocating new name: Invalid container name (/-), only [a-zA-Z0"
        )

    run(test)
