"""Networks and endpoints in shoald's database: what must outlive the daemon. Synchronous, one write 20–200 µs."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv4Interface, IPv4Network

from shoal.network.definition import NetworkDefinition
from shoal.network.endpoint import Endpoint, PublishedPort

_SCHEMA = """
CREATE TABLE IF NOT EXISTS network_networks (
    name TEXT PRIMARY KEY,
    id TEXT NOT NULL,
    driver TEXT NOT NULL,
    created_ns INTEGER NOT NULL,
    address TEXT NOT NULL,          -- the bridge's, with its prefix; '' before the first start
    set_ip_forward INTEGER NOT NULL -- whether it was this daemon that switched forwarding on
) STRICT;
CREATE TABLE IF NOT EXISTS network_definitions (
    name TEXT PRIMARY KEY,
    definition TEXT NOT NULL        -- JSON: NetworkDefinition
) STRICT;
CREATE TABLE IF NOT EXISTS network_endpoints (
    network TEXT NOT NULL,
    container_id TEXT NOT NULL,
    endpoint_id TEXT NOT NULL,
    ip TEXT NOT NULL,
    prefix INTEGER NOT NULL,
    gateway TEXT NOT NULL,
    mac TEXT NOT NULL,
    mtu INTEGER NOT NULL,
    veth TEXT NOT NULL,
    ports TEXT NOT NULL,            -- JSON: [[protocol, container port, host ip, host port, guarded], …]
    PRIMARY KEY (network, container_id)
) STRICT;
"""


@dataclass(frozen=True, slots=True)
class NetworkRecord:
    """A network as it is remembered."""

    name: str
    id: str
    driver: str
    created_ns: int
    address: str = ""
    set_ip_forward: bool = False


class NetworkStore:
    """The tables of network/, in a database that belongs to the caller."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database
        for statement in _SCHEMA.split(";\n"):
            if statement.strip():
                database.execute(statement)

    def network(self, name: str) -> NetworkRecord | None:
        """The remembered network of this name."""
        query = "SELECT name, id, driver, created_ns, address, set_ip_forward FROM network_networks WHERE name = ?"
        row = self._database.execute(query, (name,)).fetchone()
        if row is None:
            return None
        name, network_id, driver, created_ns, address, set_ip_forward = row
        return NetworkRecord(name, network_id, driver, created_ns, address, bool(set_ip_forward))

    def save_network(self, record: NetworkRecord) -> None:
        """Remember the network, in place of what was remembered before."""
        values = (record.name, record.id, record.driver, record.created_ns, record.address, int(record.set_ip_forward))
        with self._database:
            self._database.execute("INSERT OR REPLACE INTO network_networks VALUES (?, ?, ?, ?, ?, ?)", values)

    def subnets(self, *, besides: str) -> list[IPv4Network]:
        """What all networks have or are about to get, whether they work or not, but the one of this name."""
        query = "SELECT address FROM network_networks WHERE name != ? AND address != ''"
        found = [address for (address,) in self._database.execute(query, (besides,))]
        found += [known.subnet for known in self.definitions() if known.subnet and known.name != besides]
        return [IPv4Interface(text).network for text in found]

    def definitions(self) -> list[NetworkDefinition]:
        """What users' own networks were made from, oldest first."""
        rows = self._database.execute("SELECT definition FROM network_definitions ORDER BY rowid")
        return [NetworkDefinition.from_data(json.loads(text)) for (text,) in rows]

    def save_definition(self, definition: NetworkDefinition) -> None:
        """Remember a network of a user's own, and under which id."""
        text = json.dumps(definition.to_data())
        with self._database:
            self._database.execute("BEGIN")
            self._database.execute("INSERT INTO network_definitions VALUES (?, ?)", (definition.name, text))
            values = (definition.name, definition.id, definition.driver, definition.created_ns, "", 0)
            self._database.execute("INSERT OR REPLACE INTO network_networks VALUES (?, ?, ?, ?, ?, ?)", values)

    def delete_network(self, name: str) -> None:
        """Forget a network with all that belongs to it; harmless when it is not known."""
        with self._database:
            self._database.execute("BEGIN")
            self._database.execute("DELETE FROM network_definitions WHERE name = ?", (name,))
            self._database.execute("DELETE FROM network_networks WHERE name = ?", (name,))
            self._database.execute("DELETE FROM network_endpoints WHERE network = ?", (name,))

    def endpoints(self, network: str) -> list[Endpoint]:
        """All endpoints of a network, in the order of their creation."""
        query = (
            "SELECT container_id, endpoint_id, ip, prefix, gateway, mac, mtu, veth, ports"
            " FROM network_endpoints WHERE network = ? ORDER BY rowid"
        )
        record = self.network(network)
        network_id = record.id if record else ""
        found: list[Endpoint] = []
        for row in self._database.execute(query, (network,)):
            container_id, endpoint_id, ip, prefix, gateway, mac, mtu, veth, ports = row
            published = tuple(PublishedPort(*port) for port in json.loads(ports))
            found.append(
                Endpoint(network, network_id, container_id, endpoint_id, ip, prefix, gateway, mac, mtu, veth, published)
            )
        return found

    def save_endpoint(self, endpoint: Endpoint, also: Callable[[], None] | None = None) -> None:
        """Remember the endpoint, in place of an older one of the same container.

        What `also` writes by the same connection is in the same transaction.
        """
        ports = json.dumps(
            [
                (port.protocol, port.container_port, port.host_ip, port.host_port, port.guarded)
                for port in endpoint.ports
            ]
        )
        values = (
            *(endpoint.network, endpoint.container_id, endpoint.endpoint_id, endpoint.ip, endpoint.prefix),
            *(endpoint.gateway, endpoint.mac, endpoint.mtu, endpoint.veth, ports),
        )
        with self._database:
            if also is not None:
                self._database.execute("BEGIN")
                also()
            self._database.execute(
                "INSERT OR REPLACE INTO network_endpoints VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", values
            )

    def delete_endpoint(self, network: str, container_id: str) -> None:
        """Forget the endpoint; harmless when there is none."""
        with self._database:
            self._database.execute(
                "DELETE FROM network_endpoints WHERE network = ? AND container_id = ?", (network, container_id)
            )
