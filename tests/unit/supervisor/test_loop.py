"""The supervisor's loop: events, timers, and handlers that fail."""

from __future__ import annotations

import os

from shoal.supervisor.loop import READABLE, Loop


def test_watch_readable_descriptor_calls_its_handler() -> None:
    """The plain case."""
    loop = Loop()
    read_end, write_end = os.pipe()
    os.write(write_end, b"x")
    seen: list[bytes] = []

    def handler(_: int) -> None:
        seen.append(os.read(read_end, 10))
        loop.stop()

    loop.watch(read_end, READABLE, handler)
    loop.run()
    assert seen == [b"x"]


def test_handler_that_raises_is_reported_and_the_loop_goes_on() -> None:
    """One container's problem is not the others'."""
    loop = Loop()
    errors: list[str] = []
    loop.on_error = lambda error: errors.append(str(error))

    def fails() -> None:
        raise ValueError("broken")

    loop.call_later(0, fails)
    loop.call_later(0.001, loop.stop)
    loop.run()
    assert errors == ["broken"]


def test_unwatch_of_another_in_the_same_round_drops_its_event() -> None:
    """A descriptor that one handler closes is not served by its stale event."""
    loop = Loop()
    pipes = [os.pipe() for _ in range(2)]
    served: list[int] = []

    def handler(number: int) -> None:
        served.append(number)
        loop.unwatch(pipes[1 - number][0])
        loop.unwatch(pipes[number][0])
        loop.call_later(0, loop.stop)

    for number, (read_end, write_end) in enumerate(pipes):
        os.write(write_end, b"x")
        loop.watch(read_end, READABLE, lambda _, number=number: handler(number))
    loop.run()
    assert len(served) == 1


def test_timers_run_in_time_and_not_when_cancelled() -> None:
    """A cancelled timer is silent."""
    loop = Loop()
    seen: list[str] = []
    loop.call_later(0.001, lambda: seen.append("a"))
    loop.call_later(0.002, lambda: seen.append("never")).cancel()
    loop.call_later(0.003, loop.stop)
    loop.run()
    assert seen == ["a"]


def test_idle_callback_waits_until_nothing_happens() -> None:
    """It runs once, after a quiet moment."""
    loop = Loop()
    seen: list[str] = []
    loop.when_idle(0.001, lambda: (seen.append("idle"), loop.stop()))  # type: ignore[func-returns-value]
    loop.run()
    assert seen == ["idle"]
