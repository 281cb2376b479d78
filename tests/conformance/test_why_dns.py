"""`shoal why dns`: faults made on purpose are found, and none where nothing is wrong. shoald alone."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from urllib.parse import quote

import pytest

from tests.conformance.commands import started
from tests.conformance.test_network_names import address, name_server
from tests.engines.engine import Engine

pytestmark = pytest.mark.usefixtures("cli")


@pytest.fixture
def net(shoald: Engine) -> Iterator[str]:
    """A network, which goes after the containers in it."""
    shoald.ok("network", "create", "net")
    yield "net"
    shoald.remove_containers()
    shoald.ok("network", "prune", "-f")


def cause(engine: Engine, container: str, name: str) -> str:
    """The word for what is wrong, "" for nothing."""
    answer = engine.request("GET", f"/containers/{container}/why/dns?name={quote(name)}")
    assert answer.status == 200, answer.body
    verdict = answer.json
    assert verdict["Healthy"] == (verdict["Cause"] == "")
    assert bool(verdict["Addresses"]) == verdict["Healthy"]
    assert bool(verdict["Sentence"]) != verdict["Healthy"]
    return str(verdict["Cause"])


def inside(engine: Engine, name: str, *command: str) -> None:
    """Runs a command of the host's in a container's network."""
    pid = engine.ok("inspect", "-f", "{{.State.Pid}}", name)
    subprocess.run(["nsenter", "-t", pid, "-n", *command], check=True, capture_output=True, timeout=10)


def test_why_dns_of_healthy_names(shoald: Engine, net: str) -> None:
    """A neighbour by name and alias, oneself, the host, a name that a server knows, one in /etc/hosts."""
    started(shoald, "web", "--network", net, "--network-alias", "www")
    started(shoald, "server", "--network", net)
    added = ("--add-host", "added:192.0.2.7")
    started(shoald, "box", "--network", net, "--dns", address(shoald, "server"), *added)
    started(shoald, "plain", "--dns", address(shoald, "server"))
    with name_server(shoald, "server"):
        for name in ("web", "WWW", "web.net", "box", "host.docker.internal", "www.example.org", "added", "localhost"):
            assert cause(shoald, "box", name) == "", name
        assert cause(shoald, "plain", "host.docker.internal") == ""
        assert cause(shoald, "plain", "www.example.org") == "server-blocked"  # networks are isolated from each other


def test_why_dns_of_containers_that_are_not_in_reach(shoald: Engine, net: str) -> None:
    """One that does not run, one in another network, one on the default bridge; what does not run asks nothing."""
    started(shoald, "box", "--network", net)
    started(shoald, "web", "--network", net)
    shoald.ok("stop", "-t", "0", "web")
    shoald.ok("network", "create", "other")
    started(shoald, "far", "--network", "other")
    started(shoald, "one")
    started(shoald, "two")
    assert cause(shoald, "box", "web") == "target-not-running"
    assert cause(shoald, "web", "box") == "not-running"
    assert cause(shoald, "box", "far") == "no-shared-network"
    assert cause(shoald, "one", "two") == "default-bridge"
    shoald.ok("pause", "box")
    assert cause(shoald, "box", "web") == "paused"
    shoald.ok("unpause", "box")
    started(shoald, "alone", "--network", "none")
    assert cause(shoald, "alone", "web") == "no-network"


def test_why_dns_of_what_is_broken_inside(shoald: Engine, net: str) -> None:
    """/etc/hosts, resolv.conf, the loopback, the table that leads to shoald, and a rule in the way."""
    started(shoald, "web", "--network", net)
    started(shoald, "box", "--network", net)
    assert cause(shoald, "box", "web") == ""
    shoald.ok("exec", "box", "sh", "-c", "echo 192.0.2.9 web >> /etc/hosts")
    assert cause(shoald, "box", "web") == "hosts-file"
    shoald.ok("restart", "-t", "0", "box")
    shoald.ok("exec", "box", "sh", "-c", "echo nameserver 192.0.2.53 > /etc/resolv.conf")
    assert cause(shoald, "box", "web") == "other-resolver"
    shoald.ok("exec", "box", "sh", "-c", "echo > /etc/resolv.conf")
    assert cause(shoald, "box", "web") == "no-name-server"
    shoald.ok("restart", "-t", "0", "box")
    inside(
        shoald,
        "box",
        "nft",
        "add table ip own; add chain ip own o { type filter hook output priority 10; };"
        " add rule ip own o ip daddr 127.0.0.11 drop",
    )
    assert cause(shoald, "box", "web") == "resolver-blocked"
    inside(shoald, "box", "nft", "flush", "ruleset")
    assert cause(shoald, "box", "web") == "redirect-gone"
    inside(shoald, "box", "ip", "link", "set", "lo", "down")
    assert cause(shoald, "box", "web") == "loopback-down"


def test_why_dns_of_servers_behind_it(shoald: Engine, net: str) -> None:
    """None to ask, nobody listening, no such name, no answer, no way to it."""
    started(shoald, "server", "--network", net)
    server = address(shoald, "server")
    started(shoald, "box", "--network", net, "--dns", server)
    assert cause(shoald, "box", "x.example.org") == "server-closed"
    with name_server(shoald, "server"):
        assert cause(shoald, "box", "x.example.org") == ""
        assert cause(shoald, "box", "missing.example.org") == "no-such-name"
        inside(
            shoald,
            "server",
            "nft",
            "add table ip own; add chain ip own i { type filter hook input priority 10; };"
            f" add rule ip own i ip saddr {address(shoald, 'box')} udp dport 53 drop",
        )
        assert cause(shoald, "box", "y.example.org") == "server-blocked"
    inside(shoald, "server", "nft", "add rule ip own i udp dport 53 drop")
    assert cause(shoald, "box", "z.example.org") == "server-silent"
    inside(shoald, "box", "ip", "route", "flush", "table", "main")
    assert cause(shoald, "box", "z.example.org") in ("server-unreachable", "server-silent")
    shoald.ok("network", "create", "--internal", "inner")
    started(shoald, "closed-in", "--network", "inner")
    assert cause(shoald, "closed-in", "x.example.org") == "internal"


def test_why_dns_of_what_makes_no_sense(shoald: Engine) -> None:
    """No container, no name: a sentence and a status."""
    assert shoald.request("GET", "/containers/nobody/why/dns?name=x").status == 404
    shoald.ok("create", "--name", "box", "busybox")
    for name in ("", "a%20b", "x" * 254):
        assert shoald.request("GET", f"/containers/box/why/dns?name={name}").status == 400
