"""The networks "host" and "none": no interface is made, so nothing is reserved and nothing can be left behind."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Literal

from shoal.network.driver import NOTHING_ASKED, EndpointRequest
from shoal.network.endpoint import Endpoint, NetworkInfo
from shoal.network.store import NetworkRecord, NetworkStore

if TYPE_CHECKING:
    import sqlite3

_DRIVERS = {"host": "host", "none": "null"}


class UnroutedNetwork:
    """The network "host" (the container shares the host's) or "none" (it has loopback only).

    See `NetworkDriver` for the contract. Published ports are discarded, as by Docker.
    """

    def __init__(
        self,
        name: Literal["host", "none"],
        database: sqlite3.Connection,
        *,
        new_id: Callable[[], str] = lambda: secrets.token_hex(32),
        clock_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self._store = NetworkStore(database)
        self._new_id = new_id
        found = self._store.network(name)
        self._record = found or NetworkRecord(name, new_id(), _DRIVERS[name], clock_ns())
        self._endpoints: dict[str, Endpoint] = {}

    @property
    def name(self) -> str:
        """The name that clients use."""
        return self._record.name

    async def start(self) -> list[str]:
        """Remember the network's id, and the endpoints of containers that outlived the daemon."""
        self._store.save_network(self._record)
        self._endpoints = {known.container_id: known for known in self._store.endpoints(self.name)}
        return []

    async def allocate(
        self,
        container_id: str,
        request: EndpointRequest = NOTHING_ASKED,  # noqa: ARG002 - the contract's, discarded as by Docker
    ) -> Endpoint:
        """An endpoint without addresses."""
        endpoint = Endpoint(self.name, self._record.id, container_id, self._new_id())
        self._endpoints[container_id] = endpoint
        self._store.save_endpoint(endpoint)
        return endpoint

    async def connect(self, endpoint: Endpoint, pid: int, interface: str = "eth0") -> None:
        """Nothing: there is no interface to make."""

    async def release(self, container_id: str) -> None:
        """Forget the endpoint; harmless when there is none."""
        if self._endpoints.pop(container_id, None) is not None:
            self._store.delete_endpoint(self.name, container_id)

    def endpoint(self, container_id: str) -> Endpoint | None:
        """The container's endpoint, if it has one here."""
        return self._endpoints.get(container_id)

    def inspect(self) -> NetworkInfo:
        """The network as it is now."""
        record = self._record
        endpoints = tuple(self._endpoints.values())
        return NetworkInfo(record.name, record.id, record.driver, record.created_ns, endpoints=endpoints)

    async def stop(self, *, remove: bool) -> None:
        """Nothing on the host to let go of; with `remove` the endpoints are forgotten."""
        if remove:
            for container_id in list(self._endpoints):
                await self.release(container_id)
