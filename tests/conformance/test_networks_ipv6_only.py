"""Networks without IPv4 (`--ipv4=false`). Against shoald alone: dockerd has them since version 28."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.conformance.commands import run
from tests.conformance.test_networks_ipv6 import answered, network
from tests.engines.engine import Engine

pytestmark = pytest.mark.usefixtures("cli")
SUBNET = "fd00:77::/64"
SERVE = ("busybox", "sh", "-c", "while :; do echo hello | nc -l -p 80; done")
# The server may be just about to listen.
ASK = "until nc -w 3 web 80 < /dev/null | grep hello; do sleep 0.05; done"


@pytest.fixture
def net(shoald: Engine) -> str:
    """A network with IPv6 alone."""
    shoald.ok("network", "create", "--ipv4=false", "--ipv6", "--subnet", SUBNET, "net")
    return "net"


def endpoint(engine: Engine, container: str, name: str = "net") -> dict[str, Any]:
    """A container's place in a network, as it is shown."""
    return dict(json.loads(engine.ok("inspect", container))[0]["NetworkSettings"]["Networks"][name])


def test_network_without_ipv4_is_shown_as_one(shoald: Engine, net: str) -> None:
    """Neither a subnet nor an address of IPv4 is anywhere."""
    made = network(shoald, net)
    assert (made["EnableIPv4"], made["EnableIPv6"]) == (False, True)
    assert [pool["Subnet"] for pool in made["IPAM"]["Config"]] == [SUBNET]
    assert shoald.ok("network", "ls", "--format", "{{.IPv4}} {{.IPv6}}", "-f", "name=net") == "false true"
    shoald.ok("run", "-d", "--name", "web", "--network", net, "busybox", "sleep", "99")
    place = endpoint(shoald, "web")
    assert (place["IPAddress"], place["IPPrefixLen"], place["Gateway"]) == ("", 0, "")
    assert (place["GlobalIPv6Address"], place["IPv6Gateway"]) == ("fd00:77::2", "fd00:77::1")
    (shown,) = network(shoald, net)["Containers"].values()
    assert (shown["IPv4Address"], shown["IPv6Address"]) == ("", "fd00:77::2/64")


def test_containers_without_ipv4_find_and_reach_each_other(shoald: Engine, net: str) -> None:
    """By name, with AAAA alone; the interface has one global address and a default route of IPv6."""
    shoald.ok("run", "-d", "--name", "web", "--network", net, *SERVE)
    out = run(shoald, "--network", net, script=f"{ASK}; ip addr show eth0; ip -6 route; ip route; cat /etc/hosts")
    assert "hello" in out
    assert "inet6 fd00:77::3/64" in out
    assert "inet 1" not in out.replace("inet 127.", "")
    assert "default via fd00:77::1" in out
    assert "fd00:77::3" in out.partition("ff02::")[2]


def test_ports_of_containers_without_ipv4_are_published_by_ipv6(shoald: Engine, net: str) -> None:
    """At the host's IPv6 addresses; an address of IPv4 is refused, and nothing is left."""
    number = shoald.free_port()
    shoald.ok("run", "-d", "--name", "web", "--network", net, "-p", f"[::]:{number}:80", *SERVE)
    assert endpoint(shoald, "web")["GlobalIPv6Address"] == "fd00:77::2"
    assert shoald.ok("port", "web") == f"80/tcp -> [::]:{number}"
    assert answered(shoald, "fd00:77::1", number) == b"hello\n"
    shown = shoald.request("GET", "/containers/web/why/port?port=80").json
    assert shown["Published"] == [f"[::]:{number}"]
    refused = shoald.docker("run", "--rm", "--network", net, "-p", "127.0.0.1:0:80", "busybox", "true")
    assert refused.returncode == 125
    assert "cannot publish port 80/tcp on 127.0.0.1" in refused.stderr
    plain = shoald.free_port()
    shoald.ok("run", "-d", "--name", "plain", "--network", net, "-p", f"{plain}:80", *SERVE)
    assert shoald.ok("port", "plain") == f"80/tcp -> [::]:{plain}"
    assert answered(shoald, "fd00:77::1", plain) == b"hello\n"


def test_container_in_networks_with_and_without_ipv4_goes_out_by_both(shoald: Engine, net: str) -> None:
    """IPv4 leads by the other one, whatever the names; connected and disconnected while it runs."""
    shoald.ok("network", "create", "--subnet", "10.9.0.0/24", "zzz")
    shoald.ok("run", "-d", "--name", "web", "--network", net, "busybox", "sleep", "99")
    shoald.ok("network", "connect", "zzz", "web")
    routes = shoald.ok("exec", "web", "sh", "-c", "ip route; ip -6 route")
    assert "default via 10.9.0.1" in routes
    assert "default via fd00:77::1" in routes
    shoald.ok("network", "disconnect", net, "web")
    assert "fd00" not in shoald.ok("exec", "web", "ip", "-6", "addr")
    shoald.ok("network", "connect", "--ip6", "fd00:77::99", net, "web")
    assert "fd00:77::99/64" in shoald.ok("exec", "web", "ip", "-6", "addr")
    assert "default via fd00:77::1" in shoald.ok("exec", "web", "ip", "-6", "route")


def test_network_without_ipv4_survives_a_killed_daemon(shoald: Engine, net: str) -> None:
    """The addresses are held, and the containers reach each other afterwards."""
    shoald.ok("run", "-d", "--name", "web", "--network", net, *SERVE)
    shoald.kill9()
    shoald.start()
    assert network(shoald, net)["EnableIPv4"] is False
    assert "hello" in run(shoald, "--network", net, script=f"{ASK}; ip -6 addr show eth0")
    assert endpoint(shoald, "web")["GlobalIPv6Address"] == "fd00:77::2"


def test_create_without_any_family_is_refused(shoald: Engine) -> None:
    """One of the two must be there; what needs IPv4 is refused in a network without it."""
    answer = shoald.request("POST", "/networks/create", {"Name": "net", "EnableIPv4": False})
    assert (answer.status, answer.json["message"]) == (400, "IPv4 or IPv6 must be enabled")
    shoald.ok("network", "create", "--ipv4=false", "--ipv6", "--subnet", SUBNET, "net")
    refused = shoald.docker("run", "--rm", "--network", "net", "--ip", "10.9.0.5", "busybox", "true")
    assert refused.returncode != 0
    assert "networks with user configured subnets" in refused.stderr
