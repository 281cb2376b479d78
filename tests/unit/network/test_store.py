"""shoal.network.store: networks and endpoints survive in the database."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from shoal.network.endpoint import Endpoint, PublishedPort
from shoal.network.store import NetworkRecord, NetworkStore

RECORD = NetworkRecord("bridge", "n" * 64, "bridge", 5, "172.17.0.1/16", True, "fd00::1/64")
ENDPOINT = Endpoint(
    network="bridge",
    network_id="n" * 64,
    container_id="c" * 64,
    endpoint_id="e" * 64,
    ip="172.17.0.2",
    prefix=16,
    gateway="172.17.0.1",
    mac="02:42:ac:11:00:02",
    mtu=1500,
    veth="vecccccccee",
    ports=(PublishedPort("tcp", 80, "0.0.0.0", 8080), PublishedPort("udp", 53, "127.0.0.1", 5353)),
    ip6="fd00::2",
    prefix6=64,
    gateway6="fd00::1",
    link_local=("169.254.8.8/16", "fe80::8/64"),
)


def test_store_after_reopening_has_everything(tmp_path: Path) -> None:
    """What one daemon wrote, in Python's default or in autocommit mode, the next one reads."""
    for isolation_level in ("", None):
        path = tmp_path / f"{isolation_level}.db"
        first = sqlite3.connect(path, isolation_level=isolation_level)
        store = NetworkStore(first)
        store.save_network(RECORD)
        store.save_endpoint(ENDPOINT)
        first.close()
        second = sqlite3.connect(path)
        store = NetworkStore(second)
        assert store.network("bridge") == RECORD
        assert store.endpoints("bridge") == [ENDPOINT]
        second.close()


def test_store_delete_endpoint_forgets_one_of_one_network() -> None:
    """The same container's endpoint in another network stays."""
    database = sqlite3.connect(":memory:")
    store = NetworkStore(database)
    store.save_endpoint(ENDPOINT)
    store.delete_endpoint("other", "c" * 64)
    assert len(store.endpoints("bridge")) == 1
    store.delete_endpoint("bridge", "c" * 64)
    store.delete_endpoint("bridge", "c" * 64)
    assert store.endpoints("bridge") == []
    database.close()


def test_store_unknown_network_is_none() -> None:
    """Before the first start there is nothing."""
    database = sqlite3.connect(":memory:")
    assert NetworkStore(database).network("bridge") is None
    database.close()


def test_store_of_a_database_from_before_ipv6_goes_on() -> None:
    """Its networks and endpoints are read as they were, and can be written."""
    database = sqlite3.connect(":memory:")
    columns = "name TEXT PRIMARY KEY, id TEXT, driver TEXT, created_ns INTEGER, address TEXT, set_ip_forward INTEGER"
    database.execute(f"CREATE TABLE network_networks ({columns})")
    database.execute("INSERT INTO network_networks VALUES ('net', 'i', 'bridge', 5, '10.0.0.1/24', 0)")
    columns = "network, container_id, endpoint_id, ip, prefix, gateway, mac, mtu, veth, ports"
    database.execute(f"CREATE TABLE network_endpoints ({columns}, PRIMARY KEY (network, container_id))")
    row = ("net", "c", "e", "10.0.0.2", 24, "10.0.0.1", "02:42:0a:00:00:02", 1500, "ve", "[]")
    database.execute(f"INSERT INTO network_endpoints VALUES ({', '.join('?' * len(row))})", row)
    store = NetworkStore(database)
    record, (endpoint,) = store.network("net"), store.endpoints("net")
    assert record == NetworkRecord("net", "i", "bridge", 5, "10.0.0.1/24")
    assert (endpoint.ip, endpoint.ip6) == ("10.0.0.2", "")
    store.save_network(RECORD)
    store.save_endpoint(ENDPOINT)
    assert NetworkStore(database).endpoints("bridge") == [ENDPOINT]
    database.close()


def test_store_host_changes_are_kept_in_order_until_forgotten() -> None:
    """They are undone from the last to the first."""
    database = sqlite3.connect(":memory:")
    store = NetworkStore(database)
    store.save_host_changes({"conf/eth0/accept_ra": "2", "conf/all/forwarding": "1"})
    assert store.host_changes() == [("conf/eth0/accept_ra", "2"), ("conf/all/forwarding", "1")]
    store.save_host_changes({})
    assert store.host_changes() == []
    database.close()
