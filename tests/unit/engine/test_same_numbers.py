"""Which host ports a moved container asks for."""

from __future__ import annotations

from shoal.engine.networking import on_same_numbers
from shoal.network.endpoint import PublishedPort
from shoal.network.ports import PortRequest

ANY = "0.0.0.0"


def asked(*requests: range | None, before: tuple[int, ...]) -> list[range | None]:
    """What is asked for in the end of requests for port 80, published under `before`."""
    published = [PublishedPort("tcp", 80, ANY, port) for port in before]
    found = on_same_numbers([PortRequest("tcp", 80, ANY, ports) for ports in requests], published)
    return [request.host_ports for request in found]


def test_each_old_number_is_asked_for_once() -> None:
    """`-p 80 -p 80` has two numbers, and keeps both; a third gets any."""
    assert asked(None, None, None, before=(4001, 4002)) == [range(4001, 4002), range(4002, 4003), None]


def test_requests_for_one_number_stay_as_they_are() -> None:
    """`-p 80 -p 8000:80 -p 8001:80`: the numbers that were asked for are nobody else's."""
    fixed = [range(8000, 8001), range(8001, 8002)]
    assert asked(None, *fixed, before=(8000, 8001, 4001)) == [range(4001, 4002), *fixed]


def test_number_outside_of_the_range_is_not_asked_for() -> None:
    """Which a routed network's 0 is, and what an older request has left."""
    assert asked(range(9000, 9010), None, before=(0, 9005)) == [range(9005, 9006), None]
