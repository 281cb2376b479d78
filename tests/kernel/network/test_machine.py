"""The bridge network on the machine itself, in its own namespace with whatever firewall and settings it has."""

from __future__ import annotations

import asyncio
import socket
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from shoal.linux.netlink import Netlink
from shoal.network.bridge import BridgeNetwork
from shoal.network.bridge_config import BridgeConfig
from shoal.network.driver import EndpointRequest
from shoal.network.ports import PortRequest
from tests.kernel.network.namespaces import (
    Namespace,
    exchange,
    link_names,
    listen,
    nft,
    ping_udp,
    read_sysctl,
    udp,
)

pytestmark = pytest.mark.root


@pytest.fixture
def network(tmp_path: Path) -> Iterator[BridgeNetwork]:
    """A bridge network of an instance of its own; nothing of it stays, and forwarding is left alone."""
    config = BridgeConfig.for_daemon(str(tmp_path), ip_forward=False)
    database = sqlite3.connect(":memory:", check_same_thread=False)
    forwarding = read_sysctl("net.ipv4.ip_forward")
    network = BridgeNetwork(config, database)
    with asyncio.Runner() as runner:
        try:
            runner.run(network.start())
            yield network
        finally:
            runner.run(network.stop(remove=True))
    database.close()
    assert config.bridge not in link_names()
    assert config.table not in nft("list", "tables")
    assert read_sysctl("net.ipv4.ip_forward") == forwarding


def own_addresses() -> list[str]:
    """The machine's IPv4 addresses on other links than bridges and loopback."""
    with Netlink() as netlink:
        return [
            address.address
            for link in netlink.link_list()
            if link.kind != "bridge" and link.name != "lo"
            for address in netlink.addr_list(link.index)
            if ":" not in address.address
        ]


def test_machine_reaches_published_ports_and_containers_reach_each_other(network: BridgeNetwork) -> None:
    """TCP and UDP by loopback and every address of the machine; a container reaches the machine and its neighbour."""
    ports = [PortRequest("tcp", 80), PortRequest("udp", 53)]

    async def start(name: str, namespace: Namespace) -> None:
        endpoint = await network.allocate(name * 64, EndpointRequest(ports=ports))
        await network.connect(endpoint, namespace.pid)
        namespace.configure("eth0", f"{endpoint.ip}/{endpoint.prefix}", endpoint.gateway)

    with asyncio.Runner() as runner, Namespace() as one, Namespace() as two:
        runner.run(start("a", one))
        runner.run(start("b", two))
        first, second = network.endpoint("a" * 64), network.endpoint("b" * 64)
        assert first
        assert second
        web, dns = (port.host_port for port in first.ports)
        with one.listen("0.0.0.0", 80) as server, one.udp("0.0.0.0", 53) as datagrams:
            for address in ["127.0.0.1", *own_addresses()]:
                exchange(server, socket.create_connection((address, web), timeout=3))
                with udp("0.0.0.0", 0) as client:
                    ping_udp(datagrams, client, (address, dns))
            assert exchange(server, two.connect(first.ip, 80)) == second.ip
            exchange(server, two.connect(first.gateway, web))
        with listen(first.gateway, 0) as server:
            assert exchange(server, one.connect(first.gateway, server.getsockname()[1])) == first.ip
        runner.run(network.release("a" * 64))
        runner.run(network.release("b" * 64))
