"""Networks that only remember, in a real catalog: nothing is on the host."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import cast

from shoal.engine.network_catalog import NetworkCatalog
from shoal.errors import Conflict, Unavailable
from shoal.network.bridge_host import BridgeHost
from shoal.network.definition import NetworkDefinition
from shoal.network.driver import NOTHING_ASKED, EndpointRequest, LinkedNetwork, NetworkDriver
from shoal.network.endpoint import Endpoint, NetworkInfo
from shoal.network.ports import PortRequest
from shoal.network.store import NetworkStore


@dataclass
class FakeNetwork:
    """A network of one address. `gate` holds up its start and its stop; `done` is what was asked of it."""

    name: str
    id: str = "f" * 64
    bridge: str = ""
    subnet: str = ""
    gate: asyncio.Event | None = None
    claim_failure: Exception | None = None
    start_failure: Exception | None = None
    plug_failure: Exception | None = None
    release_failure: Exception | None = None
    publish_failure: Exception | None = None
    done: list[str] = field(default_factory=list)
    endpoints: dict[str, Endpoint] = field(default_factory=dict)

    async def _wait(self) -> None:
        if self.gate is not None:
            await self.gate.wait()

    async def claim(self) -> None:
        if self.claim_failure is not None:
            raise self.claim_failure

    async def start(self) -> list[str]:
        await self._wait()
        if self.start_failure is not None:
            raise self.start_failure
        self.done.append("start")
        return []

    async def allocate(self, container_id: str, request: EndpointRequest = NOTHING_ASKED) -> Endpoint:
        if container_id in self.endpoints:
            raise Conflict("endpoint already exists")
        address = request.ip or "10.0.0.2"
        self.endpoints[container_id] = Endpoint(self.name, self.id, container_id, "e", address, 24, "10.0.0.1")
        return self.endpoints[container_id]

    async def connect(self, endpoint: Endpoint, pid: int, interface: str = "eth0") -> None:
        del endpoint, pid
        self.done.append(f"connect {interface}")

    async def plug(self, endpoint: Endpoint, pid: int) -> None:
        del endpoint, pid
        if self.plug_failure is not None:
            raise self.plug_failure
        self.done.append("plug")

    async def unplug(self, container_id: str, pid: int) -> None:
        del container_id, pid
        self.done.append("unplug")

    async def route(self, container_id: str, pid: int) -> None:
        del container_id, pid
        self.done.append("route")

    async def publish(self, container_id: str, ports: Sequence[PortRequest]) -> None:
        del container_id
        if self.publish_failure is not None:
            raise self.publish_failure
        self.done.append(f"publish {len(ports)}")

    async def release(self, container_id: str) -> None:
        if self.release_failure is not None:
            raise self.release_failure
        if self.endpoints.pop(container_id, None) is not None:
            self.done.append("release")

    def endpoint(self, container_id: str) -> Endpoint | None:
        return self.endpoints.get(container_id)

    def inspect(self) -> NetworkInfo:
        endpoints = tuple(self.endpoints.values())
        return NetworkInfo(self.name, self.id, "bridge", 1, self.subnet, bridge=self.bridge, endpoints=endpoints)

    async def stop(self, *, remove: bool) -> None:
        await self._wait()
        self.done.append("remove" if remove else "stop")


def catalog(
    *built_in: FakeNetwork,
    store: NetworkStore | None = None,
    make: Callable[[NetworkDefinition], FakeNetwork] | None = None,
) -> NetworkCatalog:
    """A catalog of these networks; `make` makes those of users."""
    drivers = {network.name: cast(NetworkDriver, network) for network in built_in}
    made = make or (lambda definition: FakeNetwork(definition.name, definition.id, subnet=definition.subnet))
    return NetworkCatalog(
        drivers, store or memory(), cast(BridgeHost, _FakeHost()), lambda asked: cast(LinkedNetwork, made(asked))
    )


def memory() -> NetworkStore:
    """An empty database."""
    return NetworkStore(sqlite3.connect(":memory:", isolation_level=None))


def definition(name: str, digit: str = "a", *, subnet: str = "") -> NetworkDefinition:
    """A network of a user's own."""
    return NetworkDefinition(id=digit * 64, name=name, created_ns=1, subnet=subnet)


def unavailable() -> Unavailable:
    """What a network is refused with."""
    return Unavailable("no room")


class _FakeHost:
    async def bring_up(self) -> list[str]:
        return []
