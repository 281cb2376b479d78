"""Networks of the driver macvlan, on an interface of the host that a test makes; ipvlan where the kernel has it."""

from __future__ import annotations

import secrets
import subprocess
from collections.abc import Iterator

import pytest

from tests.conformance.commands import refused, run, shown, started
from tests.conformance.test_networks_joined import gateway, interfaces
from tests.conformance.test_networks_made import network, status_of
from tests.engines.engine import Engine

pytestmark = pytest.mark.usefixtures("cli")
SUBNET = ("--subnet", "10.211.0.0/24", "--gateway", "10.211.0.1")


@pytest.fixture
def parent(request: pytest.FixtureRequest) -> Iterator[str]:
    """One end of a pair of interfaces, which stands for the host's cable."""
    engine: Engine = request.getfixturevalue("engine" if "engine" in request.fixturenames else "shoald")
    name = f"mv{secrets.token_hex(4)}"
    engine.ip("link", "add", name, "up", "type", "veth", "peer", "name", f"{name}p")
    engine.ip("link", "set", f"{name}p", "up")
    yield name
    engine.clear()
    engine.ip("link", "del", name)


def create(engine: Engine, parent: str, *words: str, driver: str = "macvlan") -> str:
    """The id of the network `net` on the parent."""
    return engine.ok("network", "create", "-d", driver, "-o", f"parent={parent}", *SUBNET, *words, "net")


def test_containers_of_a_macvlan_reach_each_other(engine: Engine, parent: str) -> None:
    """By address and by name; they are shown with the driver, its options, and addresses of their own."""
    identifier = create(engine, parent, "-o", "macvlan_mode=bridge")
    started(engine, "web", "--network", "net", "--ip", "10.211.0.9")
    out = run(engine, "--network", "net", script="ping -c 1 -w 5 web; ip -o addr show eth0; ip route")
    assert " 0% packet loss" in out
    assert "inet 10.211.0.2/24" in out
    assert "default via 10.211.0.1 dev eth0" in out
    shows = network(engine, "net")
    assert (shows["Driver"], shows["Options"]) == ("macvlan", {"macvlan_mode": "bridge", "parent": parent})
    assert engine.ok("network", "ls", "-q", "--no-trunc", "-f", "driver=macvlan") == identifier
    place = shown(engine, "web", "{{json .NetworkSettings.Networks.net}}")
    assert (place["IPAddress"], place["Gateway"], place["IPPrefixLen"]) == ("10.211.0.9", "10.211.0.1", 24)
    assert place["MacAddress"] in engine.ok("exec", "web", "ip", "link", "show", "eth0")
    assert engine.ok("port", "web") == ""


def test_macvlan_has_ipv6_too(engine: Engine, parent: str) -> None:
    """Addresses and default routes of both families; containers reach each other by the second."""
    create(engine, parent, "--ipv6", "--subnet", "fd00:211::/64")
    started(engine, "web", "--network", "net")
    out = run(engine, "--network", "net", script="ping -6 -c 1 -w 5 fd00:211::2; ip -o addr show eth0; ip -6 route")
    assert " 0% packet loss" in out
    assert "inet6 fd00:211::3/64" in out
    assert "default via fd00:211::1" in out


def test_macvlan_joins_and_leaves_a_running_container(engine: Engine, parent: str) -> None:
    """Beside the default bridge, as eth1; its address is another's afterwards, and the network can go."""
    create(engine, parent)
    started(engine, "box")
    engine.ok("network", "connect", "--ip", "10.211.0.9", "net", "box")
    assert interfaces(engine)["eth1"] == ["10.211.0.9/24"]
    assert "active endpoints" in refused(engine, "network", "rm", "net", code=1)
    engine.ok("network", "disconnect", "bridge", "box")
    assert list(interfaces(engine)) == ["eth1"]
    assert "default via 10.211.0.1" in gateway(engine)
    engine.ok("network", "disconnect", "net", "box")
    assert list(interfaces(engine)) == []
    assert "10.211.0.9/24" in run(engine, "--network", "net", "--ip", "10.211.0.9", script="ip -o addr")
    engine.ok("network", "rm", "net")


def test_macvlan_that_cannot_be(engine: Engine, parent: str) -> None:
    """A mode, a parent or a VLAN that there is not."""
    for options, sentence in [
        ({"parent": parent, "macvlan_mode": "l2"}, "requested macvlan mode 'l2' is not valid"),
        ({"parent": "lo"}, "loopback interface is not a valid macvlan parent link"),
        ({"parent": "nope"}, "invalid subinterface vlan name nope, example formatting is eth0.10"),
        ({"parent": "nope.10"}, "nope"),
        ({"parent": f"{parent}.5000"}, "vlan id must be between 1-4094, received: 5000"),
    ]:
        assert sentence in status_of(engine, Driver="macvlan", Options=options)[1]
    assert engine.ok("network", "ls", "-q", "-f", "type=custom") == ""


def test_macvlan_outlives_a_kill_of_shoald(shoald: Engine, parent: str) -> None:
    """Its containers go on, keep their addresses, find each other's names, and others come and go."""
    create(shoald, parent)
    started(shoald, "web", "--network", "net", script="httpd -f")
    shoald.kill9()
    shoald.start()
    out = run(shoald, "--network", "net", script="ping -c 1 -w 5 web; ip -o addr show eth0")
    assert " 0% packet loss" in out
    assert "inet 10.211.0.3/24" in out
    verdict = shoald.request("GET", "/containers/web/why/port?port=80").json
    assert verdict["Cause"] == "lan-network"


def test_ipvlan_works_or_says_what_the_kernel_lacks(shoald: Engine, parent: str) -> None:
    """Where the kernel has none, the refusal names the module, and nothing is left."""
    try:
        shoald.ip("link", "add", "link", parent, "name", "probe", "type", "ipvlan")
    except subprocess.CalledProcessError:
        told = status_of(shoald, Driver="ipvlan", Options={"parent": parent})[1]
        assert "this kernel has no ipvlan interfaces" in told
        assert shoald.ok("network", "ls", "-q", "-f", "type=custom") == ""
        return
    shoald.ip("link", "del", "probe")
    create(shoald, parent, driver="ipvlan")
    assert "inet 10.211.0.2/24" in run(shoald, "--network", "net", script="ip -o addr show eth0")
