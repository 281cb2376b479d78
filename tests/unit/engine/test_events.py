"""Events."""

from __future__ import annotations

import asyncio

import pytest

from shoal.api.event import EventMessage
from shoal.api.filters import Filters
from shoal.engine.events import EventLog, EventStream


class _Clock:
    def __init__(self) -> None:
        self.now_ns = 0

    def __call__(self) -> int:
        self.now_ns += 1_000_000_000
        return self.now_ns


async def _take(stream: EventStream, count: int) -> list[str]:
    actions = []
    async for message in stream:
        actions.append(message.action)
        if len(actions) == count:
            break
    await stream.aclose()
    return actions


def _log(*actions: str) -> EventLog:
    log = EventLog(_Clock())
    for action in actions:
        log.publish("container", action, "c1", {"name": "web", "image": "busybox", "tier": "front"})
    return log


def test_subscribe_without_since_sees_only_what_comes() -> None:
    """A new listener is not told of the past."""

    async def listen() -> list[str]:
        log = _log("create")
        stream = log.subscribe(None, None, Filters())
        log.publish("container", "start", "c1", {})
        return await _take(stream, 1)

    assert asyncio.run(listen()) == ["start"]


def test_subscribe_since_and_until_selects_the_kept() -> None:
    """Between two past times, exactly what happened then comes, and the stream ends."""

    async def listen() -> list[str]:
        log = _log("create", "start", "die", "destroy")
        return await _take(log.subscribe(2 * 10**9, 3 * 10**9, Filters()), 99)

    assert asyncio.run(listen()) == ["start", "die"]


def test_publish_container_has_the_fields_of_old_clients() -> None:
    """`status`, `id` and `from` of API 1.21 are there for containers."""

    async def first() -> EventMessage:
        return await anext(_log("create").subscribe(0, None, Filters()))

    message = asyncio.run(first())
    assert (message.status, message.id, message.image) == ("create", "c1", "busybox")
    assert message.actor.attributes["name"] == "web"


@pytest.mark.parametrize(
    ("filters", "passes"),
    [
        ({"type": ["container"]}, True),
        ({"type": ["image", "container"]}, True),
        ({"type": ["network"]}, False),
        ({"event": ["create"]}, True),
        ({"event": ["start"]}, False),
        ({"container": ["web"]}, True),
        ({"container": ["c"]}, True),
        ({"container": ["db"]}, False),
        ({"image": ["busybox"]}, True),
        ({"label": ["tier=front"]}, True),
        ({"label": ["tier=back"]}, False),
        ({"type": ["container"], "event": ["die"]}, False),
        ({"service": ["x"]}, False),
        ({"nonsense": ["x"]}, True),
    ],
)
def test_subscribe_filters_select(filters: dict[str, list[str]], passes: bool) -> None:
    """Values of one filter are alternatives, filters add up, and what is no filter filters nothing, as with Docker."""

    async def listen() -> list[str]:
        return await _take(_log("create").subscribe(0, 1 * 10**9, Filters(filters)), 99)

    assert asyncio.run(listen()) == (["create"] if passes else [])
