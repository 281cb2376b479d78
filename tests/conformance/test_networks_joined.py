"""Containers in networks of a user's own: joined and left while they run and while they don't."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from tests.conformance.commands import refused, run, run_refused, shown, started
from tests.conformance.differences import sentence
from tests.conformance.test_network import HELLO, fetch, web
from tests.engines.engine import Engine

pytestmark = pytest.mark.usefixtures("cli")

SHARED = "container sharing network namespace with another container or host cannot be connected to any other network"
PRIVATE = "container cannot be connected to multiple networks with one of the networks in private (none) mode"


@pytest.fixture(autouse=True)
def two(request: pytest.FixtureRequest) -> None:
    """The networks n1 and n2 of known subnets, and one that is given its own."""
    engine: Engine = request.getfixturevalue("engine" if "engine" in request.fixturenames else "shoald")
    engine.ok("network", "create", "--subnet", "10.241.1.0/24", "n1")
    engine.ok("network", "create", "--subnet", "10.241.2.0/24", "n2")
    engine.ok("network", "create", "chosen")


def interfaces(engine: Engine, name: str = "box") -> dict[str, list[str]]:
    """The IPv4 addresses of a running container's interfaces, loopback left out."""
    found: dict[str, list[str]] = {}
    for line in engine.ok("exec", name, "ip", "-4", "-o", "addr").splitlines():
        words = line.split()
        if words[1] != "lo":
            found.setdefault(words[1], []).append(words[3])
    return found


def gateway(engine: Engine, name: str = "box") -> str:
    """The way outside of a running container."""
    return engine.ok("exec", name, "sh", "-c", "ip route | grep default || true")


def memberships(engine: Engine, name: str = "box") -> dict[str, Any]:
    """What `inspect` shows of a container's networks."""
    return dict(shown(engine, name, "{{json .NetworkSettings.Networks}}"))


def test_connect_and_disconnect_while_running(engine: Engine) -> None:
    """Interfaces come in order and go; addresses, ids and names are shown; the way outside follows."""
    started(engine, "box", "--network", "n1")
    assert interfaces(engine) == {"eth0": ["10.241.1.2/24"]}
    engine.ok("network", "connect", "n2", "box")
    assert interfaces(engine) == {"eth0": ["10.241.1.2/24"], "eth1": ["10.241.2.2/24"]}
    assert "via 10.241.1.1 dev eth0" in gateway(engine)
    place = memberships(engine)["n2"]
    assert (place["IPAddress"], place["IPPrefixLen"], place["Gateway"]) == ("10.241.2.2", 24, "10.241.2.1")
    assert place["MacAddress"] == "02:42:0a:f1:02:02"
    inside = json.loads(engine.ok("network", "inspect", "-f", "{{json .Containers}}", "n2"))
    (entry,) = inside.values()
    assert (entry["Name"], entry["IPv4Address"], entry["EndpointID"]) == ("box", "10.241.2.2/24", place["EndpointID"])
    engine.ok("network", "disconnect", "n1", "box")
    assert list(interfaces(engine)) == ["eth1"]
    assert "via 10.241.2.1 dev eth1" in gateway(engine)
    assert list(memberships(engine)) == ["n2"]
    engine.ok("network", "disconnect", "n2", "box")
    assert interfaces(engine) == memberships(engine) == {}
    engine.ok("restart", "-t", "0", "box")
    assert interfaces(engine) == memberships(engine) == {}
    engine.ok("network", "connect", "bridge", "box")
    assert list(memberships(engine)) == ["bridge"]


def test_connect_with_an_address_and_an_alias(engine: Engine) -> None:
    """They are the container's, there alone, and come back at the next start."""
    started(engine, "box", "--network", "n1")
    engine.ok("network", "connect", "--ip", "10.241.2.77", "--alias", "other", "n2", "box")
    assert interfaces(engine)["eth1"][0] == "10.241.2.77/24"
    place = memberships(engine)["n2"]
    assert place["IPAMConfig"]["IPv4Address"] == "10.241.2.77"
    assert "other" in place["Aliases"]
    engine.ok("restart", "-t", "0", "box")
    assert interfaces(engine) == {"eth0": ["10.241.1.2/24"], "eth1": ["10.241.2.77/24"]}


def test_connect_and_disconnect_while_stopped(engine: Engine) -> None:
    """What was asked for is shown, and there at the start; asked for twice, the first stays."""
    engine.ok("create", "--name", "box", "--network", "n1", "busybox", "sleep", "1000")
    engine.ok("network", "connect", "--ip", "10.241.2.9", "n2", "box")
    engine.ok("network", "connect", "n2", "box")
    assert set(memberships(engine)) == {"n1", "n2"}
    engine.ok("network", "disconnect", "n1", "box")
    assert list(memberships(engine)) == ["n2"]
    engine.ok("start", "box")
    assert interfaces(engine) == {"eth0": ["10.241.2.9/24"]}
    engine.ok("network", "disconnect", "n2", "box")
    engine.ok("stop", "-t", "0", "box")
    engine.ok("start", "box")
    assert interfaces(engine) == {}


def test_published_ports_follow_the_way_outside(engine: Engine) -> None:
    """They lead into the network that is left when the one they led through has gone."""
    port = engine.free_port()
    web(engine, "--network", "n1", "-p", f"{port}:80")
    engine.ok("network", "connect", "n2", "web")
    assert fetch(engine, port) == HELLO
    engine.ok("network", "disconnect", "n1", "web")
    assert "via 10.241.2.1" in gateway(engine, "web")
    if engine.name == "shoald":  # dockerd 20.10 leaves them closed
        assert fetch(engine, port) == HELLO
        assert engine.ok("port", "web", "80").splitlines()[0].endswith(f":{port}")


def test_connect_that_cannot_be(engine: Engine) -> None:
    """Twice, to what is not, with an address that is another's, outside, or of a subnet that was not asked for."""
    started(engine, "box", "--network", "n1")
    started(engine, "other", "--network", "n2", "--ip", "10.241.2.50")
    told = refused(engine, "network", "connect", "n1", "box", code=1)
    assert "endpoint with name box already exists in network n1" in told
    assert "network nope not found" in refused(engine, "network", "connect", "nope", "box", code=1)
    assert "No such container: nope" in refused(engine, "network", "connect", "n1", "nope", code=1)
    told = refused(engine, "network", "connect", "--ip", "10.241.2.50", "n2", "box", code=1)
    assert "Address already in use" in told
    expected = "user specified IP address is supported only when connecting to networks with user configured subnets"
    assert expected in refused(engine, "network", "connect", "--ip", "172.20.0.9", "chosen", "box", code=1)
    body = {"Container": "box", "EndpointConfig": {"IPAMConfig": {"IPv4Address": "10.241.2.50"}}}
    assert engine.request("POST", "/networks/n2/connect", body).status == 403
    assert interfaces(engine) == {"eth0": ["10.241.1.2/24"]}
    if engine.name == "shoald":  # dockerd 20.10 shows it in the network that refused it
        assert list(memberships(engine)) == ["n1"]
    engine.ok("network", "connect", "n2", "box")
    assert interfaces(engine)["eth1"] == ["10.241.2.2/24"]


def test_disconnect_that_cannot_be(engine: Engine) -> None:
    """Of a container that is not in it, by force too; of one that is not."""
    box = started(engine, "box", "--network", "n1")
    for words in (("n2",), ("-f", "n2"), ("host",)):
        told = refused(engine, "network", "disconnect", *words, "box", code=1)
        assert f"container {box} is not connected to network {words[-1]}" in told
    assert "No such container: nope" in refused(engine, "network", "disconnect", "n1", "nope", code=1)
    assert "endpoint nope not found" in refused(engine, "network", "disconnect", "-f", "n1", "nope", code=1)
    assert engine.request("POST", "/networks/n1/disconnect", {"Container": "nope", "Force": True}).status == 404


def test_host_none_and_shared_networks_go_with_no_other(engine: Engine) -> None:
    """In both directions; from none a container can go elsewhere, after it has left it."""
    for name, mode in (("hosted", "host"), ("lone", "none"), ("box", "n1"), ("guest", "container:box")):
        started(engine, name, "--network", mode)
    assert SHARED in refused(engine, "network", "connect", "n2", "guest", code=1)
    assert SHARED in refused(engine, "network", "connect", "n2", "hosted", code=1)
    host = "container cannot be disconnected from host network or connected to host network"
    assert host in refused(engine, "network", "disconnect", "host", "hosted", code=1)
    assert host in refused(engine, "network", "connect", "host", "box", code=1)
    assert PRIVATE in refused(engine, "network", "connect", "none", "box", code=1)
    assert PRIVATE in refused(engine, "network", "connect", "n1", "lone", code=1)
    engine.ok("network", "disconnect", "none", "lone")
    engine.ok("network", "connect", "n2", "lone")
    assert interfaces(engine, "lone") == {"eth0": ["10.241.2.2/24"]}
    engine.ok("network", "connect", "n2", "box")
    assert interfaces(engine, "guest") == interfaces(engine, "box")
    assert len(interfaces(engine, "guest")) == 2


def test_run_with_an_address(engine: Engine) -> None:
    """It is the container's; one that is taken, outside, malformed or not to be chosen is refused."""
    started(engine, "box", "--network", "n1", "--ip", "10.241.1.50")
    assert interfaces(engine) == {"eth0": ["10.241.1.50/24"]}
    assert "Address already in use" in run_refused(engine, "--network", "n1", "--ip", "10.241.1.50")
    told = run_refused(engine, "--network", "n1", "--ip", "10.9.1.5")
    assert re.search(sentence(engine, "network-address-outside"), told)
    assert "invalid IPv4 address: foo" in run_refused(engine, "--network", "n1", "--ip", "foo")
    expected = "user specified IP address is supported only when connecting to networks with user configured subnets"
    assert expected in run_refused(engine, "--network", "chosen", "--ip", "172.20.0.9")
    assert engine.ok("ps", "-aq", "--no-trunc", "--filter", "status=created") == ""
    engine.ok("rm", "-f", "box")
    assert "10.241.1.50/24" in run(engine, "--network", "n1", "--ip", "10.241.1.50", script="ip -4 -o addr")


def test_networks_survive_the_daemon(engine: Engine) -> None:
    """After a restart the networks are the same, and a container starts into both of its own."""
    engine.ok("create", "--name", "box", "--network", "n1", "--ip", "10.241.1.9", "busybox", "sleep", "1000")
    engine.ok("network", "connect", "n2", "box")
    # Not all of the inspection: dockerd 20.10 tells of a gateway only after it was started again.
    shown_of_each = ("network", "inspect", "-f", "{{.Id}} {{.Created}} {{(index .IPAM.Config 0).Subnet}}")
    before = engine.ok(*shown_of_each, "n1", "n2")
    # Not its subnet: nothing on the host holds it while the daemon is away, and another engine beside may take it.
    chosen = engine.ok("network", "inspect", "-f", "{{.Id}} {{.Created}}", "chosen")
    engine.restart()
    assert engine.ok(*shown_of_each, "n1", "n2") == before
    assert engine.ok("network", "inspect", "-f", "{{.Id}} {{.Created}}", "chosen") == chosen
    engine.ok("start", "box")
    assert interfaces(engine) == {"eth0": ["10.241.1.9/24"], "eth1": ["10.241.2.2/24"]}


def test_link_local_addresses_are_the_interfaces_too(engine: Engine) -> None:
    """At the start and when it joins, shown as they were asked for; what is no address is refused."""
    started(engine, "box", "--network", "n1", "--link-local-ip", "169.254.8.8")
    assert "169.254.8.8/16" in interfaces(engine)["eth0"]
    assert len(interfaces(engine)["eth0"]) == 2
    assert "default via 10.241.1.1" in gateway(engine)
    engine.ok("network", "connect", "--link-local-ip", "169.254.9.9", "n2", "box")
    assert "169.254.9.9/16" in interfaces(engine)["eth1"]
    assert memberships(engine)["n1"]["IPAMConfig"]["LinkLocalIPs"] == ["169.254.8.8"]
    body = {"Container": "box", "EndpointConfig": {"IPAMConfig": {"LinkLocalIPs": ["nope"]}}}
    assert engine.request("POST", "/networks/chosen/connect", body).status >= 400


def test_run_with_several_networks(shoald: Engine) -> None:
    """The first is eth0; the way outside is the first by name, or that of the highest priority; MACs are each one's."""
    options = ("--network", "n2", "--network", "name=n1,ip=10.241.1.7,mac-address=02:42:ac:11:00:07")
    started(shoald, "box", *options)
    assert interfaces(shoald) == {"eth0": ["10.241.2.2/24"], "eth1": ["10.241.1.7/24"]}
    assert "via 10.241.1.1 dev eth1" in gateway(shoald)
    assert shoald.ok("exec", "box", "cat", "/sys/class/net/eth1/address") == "02:42:ac:11:00:07"
    started(shoald, "high", "--network", "n1", "--network", "name=n2,gw-priority=1")
    assert "via 10.241.2.1 dev eth1" in gateway(shoald, "high")
    shoald.ok("network", "connect", "--gw-priority", "2", "chosen", "high")
    assert "dev eth2" in gateway(shoald, "high")
    shoald.ok("network", "disconnect", "chosen", "high")
    assert "via 10.241.2.1 dev eth1" in gateway(shoald, "high")


def test_running_containers_keep_their_networks_over_a_restart_of_shoald(shoald: Engine) -> None:
    """Addresses, interfaces and ports stay; networks can be left and joined afterwards; killed or not."""
    port = shoald.free_port()
    web(shoald, "--network", "n1", "-p", f"{port}:80")
    shoald.ok("network", "connect", "n2", "web")
    before, places = interfaces(shoald, "web"), memberships(shoald, "web")
    shoald.restart()
    assert (interfaces(shoald, "web"), memberships(shoald, "web")) == (before, places)
    shoald.kill9()
    shoald.start()
    assert (interfaces(shoald, "web"), memberships(shoald, "web")) == (before, places)
    assert fetch(shoald, port) == HELLO
    shoald.ok("network", "disconnect", "n1", "web")
    shoald.ok("network", "connect", "chosen", "web")
    assert len(interfaces(shoald, "web")) == 2
    assert fetch(shoald, port) == HELLO
