"""Who finds whom by which name, from records and endpoints alone."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import cast

import pytest

from shoal.api.container import ContainerConfig
from shoal.api.host_config import HostConfig
from shoal.api.network import EndpointSettings, NetworkingConfig
from shoal.engine.container.record import ContainerRecord
from shoal.engine.container.registry import ContainerRegistry
from shoal.engine.container_names import ContainerNames
from shoal.engine.network_catalog import NetworkCatalog
from shoal.network.definition import NetworkDefinition
from shoal.network.dns.names import Upstream
from shoal.network.endpoint import Endpoint, NetworkInfo
from shoal.oci.rootfs import PlainRootfs

HOST = Upstream("10.0.0.53")


@dataclass
class Network:
    """A network with the containers that a test puts into it."""

    name: str
    is_own: bool = True
    internal: bool = False
    endpoints: dict[str, Endpoint] = field(default_factory=dict)

    def endpoint(self, container_id: str) -> Endpoint | None:
        """As NetworkDriver.endpoint."""
        return self.endpoints.get(container_id)

    def inspect(self) -> NetworkInfo:
        """As NetworkDriver.inspect."""
        endpoints = tuple(self.endpoints.values())
        return NetworkInfo(self.name, f"id-{self.name}", "bridge", 0, gateway=f"{self.name}-gw", endpoints=endpoints)


@dataclass
class Catalog:
    """The networks."""

    networks: list[Network]

    def __iter__(self) -> Iterator[Network]:
        return iter(self.networks)

    def is_own(self, name: str) -> bool:
        """As NetworkCatalog.is_own."""
        return any(network.is_own for network in self.networks if network.name == name)

    def name_of(self, ref: str) -> str:
        """As NetworkCatalog.name_of."""
        return next((known.name for known in self.networks if known.inspect().id.startswith(ref)), ref)

    def definition(self, name: str) -> NetworkDefinition | None:
        """As NetworkCatalog.definition."""
        found = next(network for network in self.networks if network.name == name)
        return NetworkDefinition(name, name, 0, internal=found.internal) if found.is_own else None


class World:
    """Containers in the networks red and Blue, on the default bridge, and in one without a way outside."""

    def __init__(self) -> None:
        self.registry = ContainerRegistry(sqlite3.connect(":memory:"))
        self.networks = {
            network.name: network
            for network in (
                Network("bridge", is_own=False),
                Network("red"),
                Network("Blue"),
                Network("in", internal=True),
            )
        }
        catalog = cast(NetworkCatalog, Catalog(list(self.networks.values())))
        self.names = ContainerNames(self.registry, catalog, lambda: "172.17.0.1", lambda: [HOST])
        self._count = 0

    def container(self, name: str, dns: Sequence[str] = (), **wanted: EndpointSettings) -> ContainerRecord:
        """A running container in these networks."""
        self._count += 1
        record = ContainerRecord(
            id=f"{self._count:012x}".ljust(64, "0"),
            name=name,
            created_ns=0,
            image_id="",
            config=ContainerConfig(hostname=f"host-{name}"),
            host_config=HostConfig(dns=list(dns)),
            path="",
            args=[],
            rootfs=PlainRootfs(""),
            networking=NetworkingConfig(endpoints_config=dict(wanted)),
        )
        self.registry.add(record)
        for network in wanted:
            endpoint = Endpoint(
                network, "", record.id, "", ip=f"10.{list(self.networks).index(network)}.0.{self._count}"
            )
            self.networks[network].endpoints[record.id] = endpoint
        self.names.changed()
        return record


@pytest.fixture
def world() -> World:
    """No container yet."""
    return World()


def test_lookup_finds_neighbours_by_every_name(world: World) -> None:
    """Name, alias, short id, host name, with the network's name behind it; all of an alias."""
    web = world.container("Web", red=EndpointSettings(aliases=["WWW", "all"]))
    other = world.container("other", red=EndpointSettings(aliases=["all"]))
    for name in ("web", "www", web.id[:12], "host-web", "web.red"):
        assert world.names.lookup(other.id, name) == ["10.1.0.1"], name
    assert world.names.lookup(other.id, "all") == ["10.1.0.1", "10.1.0.2"]
    assert world.names.lookup(web.id, "nobody") is None
    assert world.names.lookup(web.id, "nobody.red") is None
    assert world.names.lookup(web.id, "") is None
    assert world.names.lookup("f" * 64, "web") is None


def test_lookup_answers_by_the_networks_that_both_are_in(world: World) -> None:
    """Each network in turn; the one named behind the dot, in small letters; never the default bridge."""
    both = world.container("both", red=EndpointSettings(), Blue=EndpointSettings())
    red = world.container("red1", red=EndpointSettings(), bridge=EndpointSettings())
    blue = world.container("blue1", Blue=EndpointSettings())
    plain = world.container("plain", bridge=EndpointSettings())
    assert world.names.lookup(both.id, "blue1") == ["10.2.0.3"]
    assert world.names.lookup(both.id, "both") == ["10.1.0.1"]
    assert world.names.lookup(both.id, "both.blue") == ["10.2.0.1"]
    assert world.names.lookup(red.id, "blue1") is None
    assert world.names.lookup(blue.id, "red1") is None
    assert world.names.lookup(red.id, "plain") is None
    assert world.names.lookup(plain.id, "plain") is None


def test_lookup_of_links_is_for_their_owner(world: World) -> None:
    """Before names; of what is not in the network, or does not run, or is malformed, nothing."""
    web = world.container("web", red=EndpointSettings())
    links = ["web:Db", f"{web.id}:web2", "web", "gone:x", "a:b:c"]
    owner = world.container("owner", red=EndpointSettings(links=links))
    for name in ("db", "web2", "web"):
        assert world.names.lookup(owner.id, name) == ["10.1.0.1"]
    assert world.names.lookup(owner.id, "x") is None
    assert world.names.lookup(web.id, "db") is None


def test_reverse_gives_name_and_network(world: World) -> None:
    """Of neighbours only."""
    web = world.container("web", red=EndpointSettings())
    blue = world.container("blue1", Blue=EndpointSettings())
    assert world.names.reverse(web.id, "10.1.0.1") == "web.red"
    assert world.names.reverse(blue.id, "10.1.0.1") is None


def test_upstreams_are_those_of_dns_or_the_hosts(world: World) -> None:
    """None for who has no way outside, and for who is not there."""
    assert world.names.upstreams(world.container("a", red=EndpointSettings()).id) == [HOST]
    asked = world.container("b", ["127.0.0.1", "10.9.9.9"], red=EndpointSettings())
    assert world.names.upstreams(asked.id) == [Upstream("127.0.0.1"), Upstream("10.9.9.9")]
    inner = world.container("c", **{"in": EndpointSettings()})
    assert world.names.upstreams(inner.id) == ()
    two = world.container("d", **{"in": EndpointSettings(), "red": EndpointSettings()})
    assert world.names.upstreams(two.id) == [HOST]
    assert world.names.upstreams("f" * 64) == ()


def test_host_has_the_name_of_docker_desktop(world: World) -> None:
    """Its address on the default bridge; on the own bridge for those without a way outside."""
    web = world.container("web", red=EndpointSettings())
    inner = world.container("inner", **{"in": EndpointSettings()})
    for name in ("host.docker.internal", "gateway.docker.internal"):
        assert world.names.lookup(web.id, name) == ["172.17.0.1"]
        assert world.names.lookup(inner.id, name) == ["in-gw"]


def test_changes_are_seen_when_they_are_told(world: World) -> None:
    """Who has gone is not found any more, a new name is."""
    web = world.container("web", red=EndpointSettings())
    box = world.container("box", red=EndpointSettings())
    assert world.names.lookup(box.id, "web")
    world.registry.rename(web, "site")
    world.names.changed()
    assert world.names.lookup(box.id, "web") is None
    assert world.names.lookup(box.id, "site")
    del world.networks["red"].endpoints[web.id]
    world.names.changed()
    assert world.names.lookup(box.id, "site") is None


def test_network_may_be_meant_by_the_beginning_of_its_id(world: World) -> None:
    """As with `run --network`: the aliases that were asked for there are found."""
    web = world.container("web", red=EndpointSettings(aliases=["www"]))
    web.networking = NetworkingConfig(endpoints_config={"id-re": EndpointSettings(aliases=["www"])})
    box = world.container("box", red=EndpointSettings())
    assert world.names.lookup(box.id, "www") == [world.networks["red"].endpoints[web.id].ip]
