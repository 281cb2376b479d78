"""Names in networks of users' own: who finds whom by which, what is asked of others, and by whom."""

from __future__ import annotations

import contextlib
import ipaddress
import re
import socket
import threading
from collections.abc import Iterator

import dns.message
import dns.rcode
import dns.rrset
import pytest

from tests.conformance.commands import run, started
from tests.engines.engine import Engine
from tests.engines.netns import in_network_of

pytestmark = pytest.mark.usefixtures("cli")


@contextlib.contextmanager
def name_server(engine: Engine, name: str) -> Iterator[list[str]]:
    """A name server in a container's network: 192.0.2.80 is everything but what has "missing" in it. The questions."""
    pid = int(engine.ok("inspect", "-f", "{{.State.Pid}}", name))

    def bound() -> socket.socket:
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.bind(("0.0.0.0", 53))
        return sock

    asked: list[str] = []

    def serve() -> None:
        while (received := server.recvfrom(512))[0] != b"end":
            query = dns.message.from_wire(received[0])
            asked.append(query.question[0].name.to_text())
            answer = dns.message.make_response(query)
            if "missing" in asked[-1]:
                answer.set_rcode(dns.rcode.NXDOMAIN)
            else:
                answer.answer.append(dns.rrset.from_text(query.question[0].name, 60, "IN", "A", "192.0.2.80"))
            server.sendto(answer.to_wire(), received[1])

    with in_network_of(pid, bound) as server:
        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield asked
        finally:
            with in_network_of(pid, lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as last:
                last.sendto(b"end", ("127.0.0.1", 53))
            thread.join()


@pytest.fixture
def net(engine: Engine) -> Iterator[str]:
    """A network, which goes after the containers in it."""
    engine.ok("network", "create", "net")
    yield "net"
    engine.remove_containers()
    engine.docker("network", "prune", "-f")


def lookup(engine: Engine, name: str, *options: str, type: str = "a", of: str = "") -> list[str]:
    """The addresses, or the names, that a container is told."""
    script = f"nslookup -type={type} {name} 127.0.0.11 2>&1"
    if of:
        done = engine.docker("exec", of, "sh", "-c", script).stdout
    else:
        done = engine.docker("run", "--rm", *options, "busybox", "sh", "-c", script).stdout
    answer = done.partition("\n\n")[2]
    return re.findall(r"(?:^Address(?: \d+)?: |name = )(\S+)", answer, re.MULTILINE)


def address(engine: Engine, name: str, network: str = "net") -> str:
    """A container's address in a network."""
    return engine.ok("inspect", "-f", f'{{{{(index .NetworkSettings.Networks "{network}").IPAddress}}}}', name)


def test_names_aliases_ids_and_addresses_of_neighbours(engine: Engine, net: str) -> None:
    """By all of them, whatever the case; by the network's name behind it; the name of an address; no second family."""
    id = started(engine, "web", "--network", net, "--network-alias", "www", "--hostname", "own-host")
    started(engine, "box", "--network", net)
    expected = [address(engine, "web")]
    for name in ("web", "WEB", "www", id[:12], "web.net"):
        assert lookup(engine, name, of="box") == expected, name
    assert lookup(engine, "box", of="box") == [address(engine, "box")]
    assert lookup(engine, ipaddress.ip_address(expected[0]).reverse_pointer, type="ptr", of="box") == ["web.net"]
    assert lookup(engine, "web", type="aaaa", of="box") == []
    assert engine.ok("exec", "box", "ping", "-c", "1", "-W", "5", "www")


def test_resolv_conf_names_the_resolver(engine: Engine, net: str) -> None:
    """With the options and the search domains that were asked for; the servers of --dns are asked behind it."""
    options = ("--network", net, "--dns", "192.0.2.53", "--dns-search", "x.y", "--dns-search", "z.w")
    lines = run(engine, *options, script="grep -v '#' /etc/resolv.conf").splitlines()
    assert sorted(filter(None, lines)) == ["nameserver 127.0.0.11", "options ndots:0", "search x.y z.w"]
    lines = run(engine, *options, "--dns-option", "ndots:2", script="grep options /etc/resolv.conf").splitlines()
    assert lines == ["options ndots:2"]


def test_search_domains_lead_to_names(engine: Engine, net: str) -> None:
    """A network's name as the search domain."""
    started(engine, "web", "--network", net)
    script = "ping -c 1 -W 5 web | head -n 1"
    assert address(engine, "web") in run(engine, "--network", net, "--dns-search", "net", script=script)


def test_one_alias_of_several_leads_to_each(engine: Engine, net: str) -> None:
    """All addresses are told, and each comes first now and then; who has gone is not told any more."""
    for name in ("one", "two", "three"):
        started(engine, name, "--network", net, "--network-alias", "all")
    expected = {address(engine, name) for name in ("one", "two", "three")}
    script = "for i in $(seq 40); do nslookup -type=a all 127.0.0.11 | grep ^Address | sed -n 2p; done"
    started(engine, "box", "--network", net)
    firsts = {line.split()[-1] for line in engine.ok("exec", "box", "sh", "-c", script).splitlines()}
    assert firsts == expected
    assert set(lookup(engine, "all", of="box")) == expected
    engine.ok("rm", "-f", "two")
    assert len(lookup(engine, "all", of="box")) == 2


def test_names_are_of_networks_that_are_shared(engine: Engine, net: str) -> None:
    """Others are unknown; connecting a running container makes it known by its alias, disconnecting it forgotten."""
    engine.ok("network", "create", "other")
    started(engine, "web", "--network", "other")
    started(engine, "box", "--network", net)
    assert lookup(engine, "web", of="box") == []
    engine.ok("network", "connect", "--alias", "late", net, "web")
    assert lookup(engine, "late", of="box") == [address(engine, "web")]
    assert lookup(engine, "web", of="box") == [address(engine, "web")]
    assert lookup(engine, "box", of="web") == [address(engine, "box")]
    engine.ok("network", "disconnect", net, "web")
    assert lookup(engine, "late", of="box") == []


def test_running_container_of_the_default_bridge_that_is_connected_finds_names(engine: Engine, net: str) -> None:
    """It had no resolver until then."""
    started(engine, "web", "--network", net)
    started(engine, "box")
    assert "127.0.0.11" not in engine.ok("exec", "box", "cat", "/etc/resolv.conf")
    engine.ok("network", "connect", net, "box")
    assert "nameserver 127.0.0.11" in engine.ok("exec", "box", "cat", "/etc/resolv.conf")
    assert lookup(engine, "web", of="box") == [address(engine, "web")]
    assert engine.ok("exec", "box", "ping", "-c", "1", "-W", "5", "web")


def test_renamed_container_has_its_new_name(engine: Engine, net: str) -> None:
    """And the old one leads nowhere."""
    started(engine, "web", "--network", net)
    started(engine, "box", "--network", net)
    assert lookup(engine, "web", of="box")
    engine.ok("rename", "web", "site")
    assert lookup(engine, "site", of="box") == [address(engine, "site")]
    assert lookup(engine, "web", of="box") == []


def test_link_in_a_network_is_a_name_for_its_owner_alone(engine: Engine, net: str) -> None:
    """`--link` in a network of a user's own is an alias that only the linking container knows."""
    started(engine, "web", "--network", net)
    started(engine, "owner", "--network", net, "--link", "web:database")
    started(engine, "box", "--network", net)
    assert lookup(engine, "database", of="owner") == [address(engine, "web")]
    assert lookup(engine, "database", of="box") == []


def test_foreign_names_are_asked_of_the_servers_of_dns(engine: Engine, net: str) -> None:
    """Out of the container's own network; containers' names are not."""
    started(engine, "server", "--network", net)
    started(engine, "box", "--network", net, "--dns", address(engine, "server"))
    with name_server(engine, "server") as asked:
        assert lookup(engine, "www.example.org", of="box") == ["192.0.2.80"]
        assert lookup(engine, "one-label", of="box") == ["192.0.2.80"]
        assert lookup(engine, "missing.example.org", of="box") == []
        assert lookup(engine, "box", of="box") == [address(engine, "box")]
    assert set(asked) == {"www.example.org.", "one-label.", "missing.example.org."}


def test_servers_that_are_down_are_told_of_in_time(shoald: Engine) -> None:
    """SERVFAIL before the client gives up, where Docker's resolver stays silent; at once where nobody listens."""
    shoald.ok("network", "create", "net")
    try:
        started(shoald, "server", "--network", "net")
        for server in (address(shoald, "server"), "192.0.2.1"):
            script = "nslookup -type=a www.example.org 127.0.0.11 2>&1"
            answer = shoald.docker("run", "--rm", "--network", "net", "--dns", server, "busybox", "sh", "-c", script)
            assert "SERVFAIL" in answer.stdout
    finally:
        shoald.remove_containers()
        shoald.docker("network", "rm", "net")


def test_container_serves_port_53_itself(engine: Engine, net: str) -> None:
    """On every address, and its resolver goes on."""
    started(engine, "server", "--network", net)
    started(engine, "box", "--network", net)
    with name_server(engine, "server"):
        assert lookup(engine, "box", of="server") == [address(engine, "box")]
        own = engine.ok("exec", "box", "nslookup", "-type=a", "www.example.org", address(engine, "server"))
    assert "192.0.2.80" in own


def test_shared_network_shares_the_resolver(engine: Engine, net: str) -> None:
    """A container in another's network asks what that one asks."""
    started(engine, "web", "--network", net)
    started(engine, "box", "--network", net)
    assert lookup(engine, "web", "--network", "container:box") == [address(engine, "web")]


def test_network_without_a_way_outside_has_names(engine: Engine, net: str) -> None:
    """--internal: the neighbours are found, and nothing else."""
    engine.ok("network", "create", "--internal", "inner")
    started(engine, "web", "--network", "inner")
    started(engine, "box", "--network", "inner")
    assert lookup(engine, "web", of="box") == [address(engine, "web", "inner")]
    assert lookup(engine, "www.example.org", of="box") == []
    assert net


def test_host_has_a_name(shoald: Engine) -> None:
    """`host.docker.internal` without --add-host, on every network with a way to it, as Docker Desktop has it."""
    shoald.ok("network", "create", "net")
    try:
        script = "ping -c 1 -W 5 host.docker.internal | head -n 1"
        gateway = run(shoald, script="ip route | grep default").split()[2]
        first = run(shoald, script=script)
        assert f"({gateway})" in first
        assert f"({gateway})" in run(shoald, "--network", "net", script=script)
        hosts = run(shoald, "--add-host", "host.docker.internal:192.0.2.1", script="grep host.docker /etc/hosts")
        assert hosts.split()[0] == "192.0.2.1"
        assert len(hosts.splitlines()) == 1
    finally:
        shoald.remove_containers()
        shoald.docker("network", "rm", "net")
