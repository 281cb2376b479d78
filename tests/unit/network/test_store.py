"""shoal.network.store: networks and endpoints survive in the database."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from shoal.network.endpoint import Endpoint, PublishedPort
from shoal.network.store import NetworkRecord, NetworkStore

RECORD = NetworkRecord("bridge", "n" * 64, "bridge", 5, "172.17.0.1/16", True)
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
