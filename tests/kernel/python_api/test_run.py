"""`shoal.run` leaves nothing behind, however it ends."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
import time

import pytest

import shoal
from tests.engines.shoald import Shoald


def host(shoald: Shoald) -> str:
    """The address of an engine."""
    return f"unix://{shoald.socket}"


def names(engine: shoal.Engine) -> list[str]:
    """The containers that there are."""
    return [container.name for container in engine.containers.list(all=True)]


class Interrupting(threading.Thread):
    """Sends SIGINT to this process at the first event of a kind."""

    def __init__(self, address: str, action: str) -> None:
        super().__init__()
        self._address = address
        self._action = action
        self._since = time.time()

    def run(self) -> None:
        """Waits for the event."""
        with shoal.connect(self._address) as engine:
            with engine.events(since=self._since, filters={"event": self._action}) as events:
                next(events)
        os.kill(os.getpid(), signal.SIGINT)


@pytest.mark.parametrize("action", ["create", "attach", "start"])
def test_run_interrupted_removes_its_container(shoald: Shoald, engine: shoal.Engine, action: str) -> None:
    """A Ctrl-C at any moment: while the container is made, attached to, or runs."""
    thread = Interrupting(host(shoald), action)
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        engine.run("busybox", "sleep 1000")
    thread.join(30)
    assert names(engine) == []


@pytest.mark.parametrize("action", ["create", "attach", "start"])
def test_run_cancelled_removes_its_container(shoald: Shoald, engine: shoal.Engine, action: str) -> None:
    """The same for a task that is cancelled."""

    async def scenario() -> None:
        async with shoal.aio.connect(host(shoald)) as awaiting:
            since = time.time()
            task = asyncio.create_task(awaiting.run("busybox", "sleep 1000"))
            async with awaiting.events(since=since, filters={"event": action}) as events:
                await anext(events)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert await awaiting.containers.list(all=True) == []

    asyncio.run(asyncio.wait_for(scenario(), 60))
    assert names(engine) == []


def test_run_time_limit_tells_what_came_until_then(engine: shoal.Engine) -> None:
    """The output so far is in the exception, and the container is gone."""
    with pytest.raises(shoal.CommandTimedOut, match="did not end within 2 s") as caught:
        engine.run("busybox", ["sh", "-c", "echo early; sleep 1000"], timeout_s=2)
    assert caught.value.stdout == b"early\n"
    assert names(engine) == []


def test_run_time_limit_of_asyncio_removes_the_container(shoald: Shoald, engine: shoal.Engine) -> None:
    """asyncio.timeout around it works as for any other await."""

    async def scenario() -> None:
        async with asyncio.timeout(1):
            await shoal.aio.run("busybox", "sleep 1000", host=host(shoald))

    with pytest.raises(TimeoutError):
        asyncio.run(scenario())
    assert names(engine) == []


def test_run_many_at_once_awaiting(shoald: Shoald, engine: shoal.Engine) -> None:
    """Twenty commands over one engine object, each with its own output."""

    async def scenario() -> list[str]:
        async with shoal.aio.connect(host(shoald)) as awaiting:
            outputs = await asyncio.gather(*(awaiting.run("busybox", ["echo", str(n)]) for n in range(20)))
        return [output.text for output in outputs]

    assert asyncio.run(scenario()) == [f"{n}\n" for n in range(20)]
    assert names(engine) == []


def test_run_many_at_once_in_threads(engine: shoal.Engine) -> None:
    """One engine object serves several threads."""
    outputs: dict[int, str] = {}

    def work(number: int) -> None:
        outputs[number] = engine.run("busybox", ["echo", str(number)]).text

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert outputs == {number: f"{number}\n" for number in range(8)}


def test_run_input_and_output_larger_than_every_buffer(engine: shoal.Engine) -> None:
    """Input goes in while output comes out: neither side waits for the other."""
    data = os.urandom(1 << 20) * 5
    assert engine.run("busybox", "cat", input=data).stdout == data


def test_run_input_that_nobody_reads_is_no_failure(engine: shoal.Engine) -> None:
    """A program may end before it has read its input."""
    assert engine.run("busybox", "echo done", input=b"x" * (4 << 20)).stdout == b"done\n"


def test_run_failure_has_exit_code_and_stderr(engine: shoal.Engine) -> None:
    """What failed, with which code, and what it said; or an Output, without `check`."""
    command = ["sh", "-c", "echo out; echo why >&2; exit 4"]
    with pytest.raises(shoal.ContainerFailed) as caught:
        engine.run("busybox", command)
    assert (caught.value.exit_code, caught.value.stdout, caught.value.stderr) == (4, b"out\n", b"why\n")
    assert str(caught.value).endswith("ended with exit code 4: why")
    assert engine.run("busybox", command, check=False) == shoal.Output(4, b"out\n", b"why\n")


@pytest.mark.parametrize(
    ("image", "command", "kind", "status", "sentence"),
    [
        ("nowhere", "true", shoal.NotFound, 404, "No such image: nowhere:latest"),
        ("busybox", "no-such-program", shoal.InvalidArgument, 400, "executable file not found"),
        ("in valid", "true", shoal.InvalidArgument, 400, "invalid reference format"),
    ],
)
def test_run_refused_leaves_nothing(
    engine: shoal.Engine, image: str, command: str, kind: type[shoal.ShoalError], status: int, sentence: str
) -> None:
    """A container that can't be made or started: the engine's kind of problem, its status and sentence."""
    with pytest.raises(kind, match=sentence) as caught:
        engine.run(image, command)
    assert caught.value.status == status
    assert names(engine) == []


def test_run_engine_not_there_says_what_to_do(shoald: Shoald) -> None:
    """No engine: the kind says so, and the fix."""
    with pytest.raises(shoal.Unavailable, match=r"Is shoald running\?") as caught:
        shoal.run("busybox", "true", host=f"unix://{shoald.directory}/nowhere.sock")
    assert "shoald" in caught.value.fix


def test_run_options_reach_the_container(engine: shoal.Engine) -> None:
    """Every keyword is what a container sees of it."""
    script = "echo $A; id -u; pwd; hostname; ulimit -n; cat /proc/sys/kernel/msgmax; grep -c ' /t ' /proc/mounts"
    output = engine.run(
        "busybox",
        ["sh", "-c", script + "; cat /sys/class/net/*/address | wc -l; grep CapEff /proc/self/status"],
        environment={"A": "1 2"},
        user="app",
        working_dir="/tmp",
        hostname="box",
        ulimits={"nofile": (77, 99)},
        sysctls={"kernel.msgmax": "9000"},
        tmpfs={"/t": "size=1m"},
        network="none",
        memory="64m",
        cpus=0.5,
        pids_limit=50,
        cap_drop=["ALL"],
        read_only=True,
        extra_hosts={"there": "10.0.0.1"},
        labels={"a": "b"},
        config={"HostConfig": {"OomScoreAdj": 5}},
    )
    assert output.text.split("\n")[:8] == ["1 2", "1000", "/tmp", "box", "77", "9000", "1", "1"]
    assert output.text.endswith("CapEff:\t0000000000000000\n")


def test_run_keyword_that_there_is_not_is_a_type_error(engine: shoal.Engine) -> None:
    """A misspelt keyword is told as for every other function."""
    with pytest.raises(TypeError, match="unexpected keyword argument 'memry'"):
        engine.run("busybox", memry="1m")  # type: ignore[call-arg]
