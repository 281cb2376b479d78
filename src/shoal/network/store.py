"""Networks and endpoints in shoald's database: what must outlive the daemon. Synchronous, one write 20–200 µs."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Interface, IPv4Network, IPv6Interface, IPv6Network

from shoal.network.definition import NetworkDefinition
from shoal.network.endpoint import Endpoint, PublishedPort

_SCHEMA = """
CREATE TABLE IF NOT EXISTS network_networks (
    name TEXT PRIMARY KEY,
    id TEXT NOT NULL,
    driver TEXT NOT NULL,
    created_ns INTEGER NOT NULL,
    address TEXT NOT NULL,          -- the bridge's, with its prefix; '' before the first start
    set_ip_forward INTEGER NOT NULL, -- whether it was this daemon that switched forwarding on
    address6 TEXT NOT NULL DEFAULT '' -- '' for a network without IPv6
) STRICT;
CREATE TABLE IF NOT EXISTS network_host_changes (
    setting TEXT PRIMARY KEY,       -- below net.ipv6, in the order of the changes
    value TEXT NOT NULL             -- what this daemon has written there
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
    ip6 TEXT NOT NULL DEFAULT '',
    prefix6 INTEGER NOT NULL DEFAULT 0,
    gateway6 TEXT NOT NULL DEFAULT '',
    link_local TEXT NOT NULL DEFAULT '',  -- ADDRESS/PREFIX, with blanks between
    PRIMARY KEY (network, container_id)
) STRICT;
"""
# What tables of older databases lack.
_ADDITIONS = (
    ("network_networks", "address6 TEXT NOT NULL DEFAULT ''"),
    ("network_endpoints", "ip6 TEXT NOT NULL DEFAULT ''"),
    ("network_endpoints", "prefix6 INTEGER NOT NULL DEFAULT 0"),
    ("network_endpoints", "gateway6 TEXT NOT NULL DEFAULT ''"),
    ("network_endpoints", "link_local TEXT NOT NULL DEFAULT ''"),
)


@dataclass(frozen=True, slots=True)
class NetworkRecord:
    """A network as it is remembered."""

    name: str
    id: str
    driver: str
    created_ns: int
    address: str = ""
    set_ip_forward: bool = False
    address6: str = ""


class NetworkStore:
    """The tables of network/, in a database that belongs to the caller."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database
        for statement in _SCHEMA.split(";\n"):
            if statement.strip():
                database.execute(statement)
        columns = {
            (table, row[1])
            for table in ("network_networks", "network_endpoints")
            for row in database.execute(f"PRAGMA table_info({table})")
        }
        for table, column in _ADDITIONS:
            if (table, column.split()[0]) not in columns:
                database.execute(f"ALTER TABLE {table} ADD COLUMN {column}")

    def network(self, name: str) -> NetworkRecord | None:
        """The remembered network of this name."""
        columns = "name, id, driver, created_ns, address, set_ip_forward, address6"
        row = self._database.execute(f"SELECT {columns} FROM network_networks WHERE name = ?", (name,)).fetchone()
        if row is None:
            return None
        name, network_id, driver, created_ns, address, set_ip_forward, address6 = row
        return NetworkRecord(name, network_id, driver, created_ns, address, bool(set_ip_forward), address6)

    def save_network(self, record: NetworkRecord) -> None:
        """Remember the network, in place of what was remembered before."""
        with self._database:
            self._save_network(record)

    def _save_network(self, record: NetworkRecord) -> None:
        values = (
            *(record.name, record.id, record.driver, record.created_ns, record.address),
            *(int(record.set_ip_forward), record.address6),
        )
        self._database.execute("INSERT OR REPLACE INTO network_networks VALUES (?, ?, ?, ?, ?, ?, ?)", values)

    def subnets(self, *, besides: str) -> list[IPv4Network]:
        """What all networks have or are about to get, whether they work or not, but the one of this name."""
        found = self._texts("address", besides)
        found += [known.subnet for known in self.definitions() if known.subnet and known.name != besides]
        return [IPv4Interface(text).network for text in found]

    def subnets6(self, *, besides: str) -> list[IPv6Network]:
        """The same for IPv6."""
        found = self._texts("address6", besides)
        found += [known.subnet6 for known in self.definitions() if known.subnet6 and known.name != besides]
        return [IPv6Interface(text).network for text in found]

    def _texts(self, column: str, besides: str) -> list[str]:
        query = f"SELECT {column} FROM network_networks WHERE name != ? AND {column} != ''"
        return [text for (text,) in self._database.execute(query, (besides,))]

    def host_changes(self) -> list[tuple[str, str]]:
        """What this daemon has changed of the host's IPv6, in order: (setting, the value that it wrote)."""
        return list(self._database.execute("SELECT setting, value FROM network_host_changes ORDER BY rowid"))

    def save_host_changes(self, changes: Mapping[str, str]) -> None:
        """Remember what is about to be changed; nothing to change: forget what was."""
        with self._database:
            self._database.execute("BEGIN")
            if not changes:
                self._database.execute("DELETE FROM network_host_changes")
            for change in changes.items():
                self._database.execute("INSERT OR REPLACE INTO network_host_changes VALUES (?, ?)", change)

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
            self._save_network(NetworkRecord(definition.name, definition.id, definition.driver, definition.created_ns))

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
            "SELECT container_id, endpoint_id, ip, prefix, gateway, mac, mtu, veth, ports, ip6, prefix6, gateway6,"
            " link_local"
            " FROM network_endpoints WHERE network = ? ORDER BY rowid"
        )
        record = self.network(network)
        network_id = record.id if record else ""
        found: list[Endpoint] = []
        for row in self._database.execute(query, (network,)):
            container_id, endpoint_id, ip, prefix, gateway, mac, mtu, veth, ports, ip6, prefix6, gateway6, more = row
            published = tuple(PublishedPort(*port) for port in json.loads(ports))
            known = Endpoint(
                *(network, network_id, container_id, endpoint_id, ip, prefix, gateway, mac, mtu, veth, published),
                ip6=ip6,
                prefix6=prefix6,
                gateway6=gateway6,
                link_local=tuple(more.split()),
            )
            found.append(known)
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
            *(endpoint.ip6, endpoint.prefix6, endpoint.gateway6, " ".join(endpoint.link_local)),
        )
        with self._database:
            if also is not None:
                self._database.execute("BEGIN")
                also()
            self._database.execute(
                "INSERT OR REPLACE INTO network_endpoints VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", values
            )

    def delete_endpoint(self, network: str, container_id: str) -> None:
        """Forget the endpoint; harmless when there is none."""
        with self._database:
            self._database.execute(
                "DELETE FROM network_endpoints WHERE network = ? AND container_id = ?", (network, container_id)
            )
