"""Published ports that obey the host's own firewall: what it denies is denied, and nothing else is."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace

import pytest

from shoal.network.ports import PortRequest
from tests.kernel.network.conftest import HOST_IP, LAN_IP, Site
from tests.kernel.network.namespaces import Namespace, exchange, nft, ping_udp
from tests.kernel.network.test_port_path import Published, iptables

pytestmark = pytest.mark.root

INPUT = "type filter hook input priority 0; policy"
WEB = PortRequest("tcp", 80, "0.0.0.0", range(8080, 8081), guarded=True)
DNS = PortRequest("udp", 53, "0.0.0.0", range(5353, 5354), guarded=True)


def deny(*but: str) -> str:
    """Rules as ufw's and firewalld's: all is dropped that no rule lets in."""
    rules = "".join(f" {rule};" for rule in ("iifname lo accept", "ct state established,related accept", *but))
    return f"table inet x {{ chain i {{ {INPUT} drop;{rules} }}; }}"


def load(rules: str) -> None:
    """The host's firewall anew, in one transaction."""
    text = f"add table inet x\ndelete table inet x\n{rules}\n"
    subprocess.run(["nft", "-f", "-"], input=text.encode(), check=True, capture_output=True)


@pytest.fixture
def firewall(site: Site) -> Iterator[None]:
    """Takes the host's firewall away before the site looks for what is left."""
    yield
    assert site
    for line in nft("list", "tables").splitlines():
        if line in ("table inet x", "table ip filter"):
            nft("delete", *line.split())


def refused(machine: Namespace, host: str = HOST_IP, port: int = 8080) -> bool:
    """Whether a connection fails, a retransmission of its first packet included."""
    try:
        machine.connect(host, port, timeout_s=1.6).close()
    except OSError:
        return True
    return False


@pytest.mark.usefixtures("firewall")
def test_guarded_port_that_the_host_allows_answers_with_the_clients_address(site: Site) -> None:
    """Without a firewall, and with one that allows the port: the container sees the client's own address."""
    container, _ = site.container(site.network(), WEB)
    with container.listen("0.0.0.0", 80) as server:
        assert exchange(server, site.lan.connect(HOST_IP, 8080)) == LAN_IP
        load(deny("tcp dport 8080 accept"))
        nft("flush", "set", "inet", "shoal", "permitted")
        assert exchange(server, site.lan.connect(HOST_IP, 8080)) == LAN_IP


@pytest.mark.usefixtures("firewall")
def test_guarded_port_that_the_host_denies_is_denied(site: Site) -> None:
    """A policy that drops, a rule that rejects, and one for another port alone; a port that is not guarded is open."""
    open_port = PortRequest("tcp", 80, "0.0.0.0", range(8081, 8082))
    container, _ = site.container(site.network(), WEB, open_port)
    with container.listen("0.0.0.0", 80) as server:
        for rules in (
            deny(),
            deny("tcp dport 80 accept", "tcp dport 8081 accept"),
            f"table inet x {{ chain i {{ {INPUT} accept; tcp dport 8080 reject with tcp reset; }}; }}",
        ):
            load(rules)
            assert refused(site.lan)
        assert exchange(server, site.lan.connect(HOST_IP, 8081)) == LAN_IP


@pytest.mark.usefixtures("firewall")
@pytest.mark.parametrize("program", ["iptables-nft", "iptables-legacy"])
def test_guarded_port_that_iptables_denies_is_denied(site: Site, program: str) -> None:
    """The rules that ufw makes, in either framework."""
    with ExitStack() as stack:
        it = Published(site, stack)
        other, _ = site.container(it.network, replace(WEB, host_ports=range(9090, 9091)))
        server = stack.enter_context(other.listen("0.0.0.0", 80))
        iptables(program, "-A INPUT -p tcp --dport 9090 -m conntrack --ctstate NEW -j DROP")(it)
        assert refused(site.lan, port=9090)
        assert it.answers_the_lan()
        iptables(program, "-F INPUT")(it)
        exchange(server, site.lan.connect(HOST_IP, 9090))


@pytest.mark.usefixtures("firewall")
def test_guarded_port_obeys_rules_about_clients(site: Site) -> None:
    """An address of the LAN is let in, another one of the same machine is not."""
    container, _ = site.container(site.network(), WEB)
    site.lan.ip("addr", "add", "192.0.2.9/24", "dev", "eth0")
    load(deny("ip saddr 192.0.2.9 tcp dport 8080 accept"))
    with container.listen("0.0.0.0", 80) as server:
        assert refused(site.lan)
        client = site.lan.call(
            lambda: socket.create_connection((HOST_IP, 8080), timeout=3, source_address=("192.0.2.9", 0))
        )
        assert exchange(server, client) == "192.0.2.9"


@pytest.mark.usefixtures("firewall")
def test_guarded_udp_port_answers_from_the_second_datagram_on(site: Site) -> None:
    """The first one asks the firewall; denied, none arrives."""
    container, _ = site.container(site.network(), DNS)
    with container.udp("0.0.0.0", 53) as server, site.lan.udp(LAN_IP, 0) as client:
        client.sendto(b"first", (HOST_IP, 5353))
        assert ping_udp(server, client, (HOST_IP, 5353)) == LAN_IP
    load(deny())
    with container.udp("0.0.0.0", 53) as server, site.lan.udp(LAN_IP, 0) as client:
        server.settimeout(0.3)
        nft("flush", "set", "inet", "shoal", "permitted")
        for _ in range(3):
            client.sendto(b"ping", (HOST_IP, 5353))
        with pytest.raises(TimeoutError):
            server.recv(10)


@pytest.mark.usefixtures("firewall")
def test_guarded_port_asks_again_when_the_firewall_changes(site: Site) -> None:
    """A client that was let in is denied as soon as the watch has seen the new rules; the wait is for new ones only."""
    network = site.network()
    container, _ = site.container(network, WEB)

    async def watch_while_denied() -> None:
        watching = asyncio.ensure_future(network.watch(lambda _: None))
        try:
            await asyncio.sleep(0.1)
            await asyncio.to_thread(load, deny())
            while "expires" in await asyncio.to_thread(nft, "list", "set", "inet", "shoal", "permitted"):
                await asyncio.sleep(0.02)
        finally:
            watching.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await watching

    with container.listen("0.0.0.0", 80) as server:
        exchange(server, site.lan.connect(HOST_IP, 8080))
        begin = time.monotonic()
        exchange(server, site.lan.connect(HOST_IP, 8080))
        assert time.monotonic() - begin < 0.5
        site.run(watch_while_denied())
        assert refused(site.lan)


@pytest.mark.usefixtures("firewall")
@pytest.mark.parametrize("address", ["127.0.0.1", HOST_IP])
def test_guarded_port_from_the_host_itself_answers(site: Site, address: str) -> None:
    """Programs of the host are no outsiders, whatever is denied."""
    container, _ = site.container(site.network(), WEB)
    load(deny())
    with container.listen("0.0.0.0", 80) as server:
        exchange(server, socket.create_connection((address, 8080), timeout=3))


@pytest.mark.usefixtures("firewall")
def test_guarded_port_at_one_address_is_denied_there(site: Site) -> None:
    """`-p 192.0.2.2:8080:80` obeys as well."""
    container, _ = site.container(site.network(), replace(WEB, host_ip=HOST_IP))
    with container.listen("0.0.0.0", 80) as server:
        exchange(server, site.lan.connect(HOST_IP, 8080))
        load(deny())
        nft("flush", "set", "inet", "shoal", "permitted")
        assert refused(site.lan)


@pytest.mark.usefixtures("firewall")
def test_guarded_port_goes_and_an_open_one_stays(site: Site) -> None:
    """The sets and chains of guarded ports are in the table while there are some, and only then."""
    network = site.network()
    site.container(network, PortRequest("tcp", 80, "0.0.0.0", range(8081, 8082)))
    assert "permitted" not in nft("list", "table", "inet", "shoal")
    container, endpoint = site.container(network, WEB)
    assert "permitted" in nft("list", "table", "inet", "shoal")
    site.end(container)
    site.run(network.release(endpoint.container_id))
    table = nft("list", "table", "inet", "shoal")
    assert "permitted" not in table
    assert "tcp . 8081" in table
    site.run(network.stop(remove=False))
    site.run(network.start())


@pytest.mark.usefixtures("firewall")
def test_guarded_port_that_is_denied_is_told_by_the_inquiry(site: Site) -> None:
    """`shoal why port` names the chain of the host's firewall."""
    with ExitStack() as stack:
        it = Published(site, stack)
        guarded = tuple(replace(port, guarded=True) for port in it.endpoint.ports)
        assert it.cause(published=guarded) == ""
        load(deny())
        assert it.cause(published=guarded) == "host-firewall"
        assert it.cause() == ""
