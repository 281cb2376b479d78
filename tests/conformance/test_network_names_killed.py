"""Names in networks of users' own when shoald is killed, stopped, or was away when a container came. shoald alone."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.conformance.commands import started
from tests.conformance.test_network_names import address, lookup
from tests.engines.engine import Engine

pytestmark = pytest.mark.usefixtures("cli")


@pytest.fixture
def net(shoald: Engine) -> Iterator[str]:
    """A network, which goes after the containers in it."""
    shoald.ok("network", "create", "net")
    yield "net"
    shoald.remove_containers()
    shoald.ok("network", "rm", "net")


def test_names_are_found_again_after_a_kill_of_shoald(shoald: Engine, net: str) -> None:
    """By a container that was in the network from its start, and one that came to it, and has left it since."""
    started(shoald, "web", "--network", net)
    started(shoald, "box", "--network", net)
    started(shoald, "late")
    shoald.ok("network", "connect", net, "late")
    shoald.ok("network", "disconnect", net, "late")
    shoald.kill9()
    shoald.start()
    assert lookup(shoald, "web", of="box") == [address(shoald, "web")]
    refused = shoald.docker("exec", "late", "nslookup", "-type=a", "web", "127.0.0.11").stdout
    assert "timed out" not in refused
    shoald.ok("network", "connect", net, "late")
    assert lookup(shoald, "web", of="late") == [address(shoald, "web")]
    shoald.restart()
    assert lookup(shoald, "late", of="box") == [address(shoald, "late")]
