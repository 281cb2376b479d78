"""A host with a LAN, made of namespaces, and shoal's bridge network on it; leak checks around every test."""

from __future__ import annotations

import asyncio
import os
import sqlite3
from collections.abc import Coroutine, Iterator
from typing import Protocol, TypeVar

import pytest

from shoal.linux.netlink import Netlink
from shoal.network.bridge import BridgeNetwork
from shoal.network.bridge_config import BridgeConfig
from shoal.network.bridge_host import BridgeHost
from shoal.network.bridge_options import PoolDefaults, bridge_config
from shoal.network.definition import NetworkDefinition
from shoal.network.driver import EndpointRequest
from shoal.network.endpoint import Endpoint
from shoal.network.instance import bridge_name, table_name
from shoal.network.ports import PortRequest
from tests.kernel.network.namespaces import Namespace, inside_new_namespace, link_names, nft, read_sysctl, write_sysctl

T = TypeVar("T")
HOST_IP, LAN_IP = "192.0.2.2", "192.0.2.1"


class Site:
    """The host's namespace (this thread's), a LAN machine that is its router, and what tests make on it."""

    def __init__(self, lan: Namespace) -> None:
        self.lan = lan
        self.database = sqlite3.connect(":memory:", check_same_thread=False)
        self._loop = asyncio.new_event_loop()
        self._containers: list[Namespace] = []
        self._networks: list[BridgeNetwork] = []
        self._count = 0
        self.notes: list[str] = []

    def run(self, coroutine: Coroutine[object, object, T]) -> T:
        """The result of a coroutine, within ten seconds."""
        return self._loop.run_until_complete(asyncio.wait_for(coroutine, 10))

    def network(
        self, exec_root: str = "/run/shoal", *, bip: str | None = None, ip_forward: bool = True
    ) -> BridgeNetwork:
        """A started bridge network of the daemon with this exec root."""
        config = BridgeConfig.for_daemon(exec_root, bip=bip, ip_forward=ip_forward)
        database = self.database if exec_root == "/run/shoal" else sqlite3.connect(":memory:", check_same_thread=False)
        network = BridgeNetwork(config, database)
        self._networks.append(network)
        self.notes += self.run(network.start())
        return network

    def container(self, network: BridgeNetwork, *ports: PortRequest, ip6: str = "") -> tuple[Namespace, Endpoint]:
        """A process in a namespace of its own, on the network, its interface configured."""
        self._count += 1
        endpoint = self.run(network.allocate(f"{self._count:064x}", EndpointRequest(ports=ports, ip6=ip6)))
        namespace = self.process()
        self.run(network.connect(endpoint, namespace.pid))
        interface = endpoint.interface()
        assert interface is not None
        assert interface.address is not None
        namespace.configure(
            interface.name,
            interface.address,
            interface.gateway,
            interface.gateway_mac,
            address6=interface.address6,
            gateway6=interface.gateway6,
        )
        return namespace, endpoint

    def process(self) -> Namespace:
        """A process in a namespace of its own, on no network."""
        namespace = Namespace()
        self._containers.append(namespace)
        return namespace

    def end(self, namespace: Namespace) -> None:
        """Let a container die."""
        self._containers.remove(namespace)
        namespace.close()

    def close(self) -> None:
        """End all containers, remove all networks."""
        for namespace in self._containers:
            namespace.close()
        for network in self._networks:
            self.run(network.stop(remove=True))
        self._loop.run_until_complete(self._loop.shutdown_default_executor())
        self._loop.close()
        self.database.close()


@pytest.fixture
def real_host_untouched() -> Iterator[None]:
    """The test leaves nothing of its instances on the machine itself, and no descriptor in this process.

    Of its instances, because other daemons and tests may come and go on the machine meanwhile.
    """
    traces = _traces()
    descriptors = len(os.listdir("/proc/self/fd"))
    yield
    assert _traces() <= traces
    assert len(os.listdir("/proc/self/fd")) == descriptors


def _traces() -> set[str]:
    tables = nft("list", "tables").split()
    ours = {bridge_name("/run/shoal"), bridge_name("/run/other"), table_name("/run/shoal")}
    return ours & {*tables, *link_names()}


@pytest.fixture
def site(real_host_untouched: None) -> Iterator[Site]:  # noqa: ARG001 - the outer leak check
    """A host of its own with eth0 192.0.2.2/24, its router 192.0.2.1 in another namespace, forwarding off."""
    with inside_new_namespace(), Namespace() as lan:
        write_sysctl("net.ipv4.ip_forward", "0")
        with Netlink() as netlink:
            netlink.link_add_veth("eth0", "eth0", peer_netns_pid=lan.pid)
            lan.configure("eth0", f"{LAN_IP}/24", None)
            netlink.configure_interface("eth0", f"{HOST_IP}/24", LAN_IP)
        links, ruleset = link_names(), nft("list", "ruleset")
        site = Site(lan)
        try:
            yield site
        finally:
            site.close()
        # veths go when their namespaces do, a moment after their processes
        assert {name for name in link_names() if not name.startswith("ve")} == links
        assert nft("list", "ruleset") == ruleset
        assert read_sysctl("net.ipv4.ip_forward") == "0"


class Make(Protocol):
    """Makes a network of a user's beside the default one; what is in `options` goes to the bridge driver."""

    def __call__(
        self, name: str, *, internal: bool = False, subnet: str = "", subnet6: str = "", **options: str
    ) -> BridgeNetwork: ...


@pytest.fixture
def make(site: Site) -> Iterator[Make]:
    """Makes networks of users beside the default one, as one daemon has them: one table, one worker."""
    host = BridgeHost("shoal")
    networks = [BridgeNetwork(BridgeConfig.for_daemon("/run/shoal"), site.database, host=host)]
    defaults = PoolDefaults(pools6=(("fd5a::/48", 64),), ip_forward6=True)

    def network(
        name: str, *, internal: bool = False, subnet: str = "", subnet6: str = "", **options: str
    ) -> BridgeNetwork:
        options["name"] = f"br-{name}"
        definition = NetworkDefinition(
            id=f"{len(networks):064x}",
            name=name,
            created_ns=1,
            subnet=subnet or f"10.77.{len(networks)}.0/24",
            ipv6=bool(subnet6),
            subnet6=subnet6.removeprefix("any"),
            internal=internal,
            options={f"com.docker.network.bridge.{option}": value for option, value in options.items()},
        )
        made = BridgeNetwork(bridge_config(definition, "shoal", defaults), site.database, host=host)
        networks.append(made)
        site.notes += site.run(made.start())
        return made

    site.run(networks[0].start())
    site.run(host.bring_up())
    try:
        yield network
    finally:
        for known in reversed(networks):
            site.run(known.stop(remove=True))
        site.run(host.remove_table())
        site.run(host.close())
