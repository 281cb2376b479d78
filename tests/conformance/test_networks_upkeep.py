"""What shoald's networks are on the host: chosen from pools, mended after a kill, gone without a trace."""

from __future__ import annotations

import concurrent.futures
import contextlib
import http.client
import json
import subprocess
import threading
import time
from pathlib import Path

import pytest

from shoal.network.instance import table_name
from tests.conformance.commands import run
from tests.engines.engine import Engine
from tests.engines.shoald import Shoald

DELAYS_MS = (0, 1, 3, 6, 12, 25)


def bridges(network_ids: list[str]) -> set[str]:
    """Those of the networks' bridges that the host has."""
    return {id for id in network_ids if Path(f"/sys/class/net/br-{id[:12]}").exists()}


def own_networks(engine: Engine) -> list[str]:
    """The ids of users' networks, as shoald tells them."""
    listed = engine.request("GET", "/networks").json
    return [network["Id"] for network in listed if network["Name"] not in ("bridge", "host", "none")]


def kill_during(engine: Engine, delay_ms: int, method: str, target: str, body: object = None) -> None:
    """A request, and the daemon's death so long after it was sent; started again afterwards."""

    def ask() -> None:
        with contextlib.suppress(OSError, http.client.HTTPException, ValueError):
            engine.request(method, target, body)

    asking = threading.Thread(target=ask)
    asking.start()
    time.sleep(delay_ms / 1000)  # the moment of the kill is what the case is about
    engine.kill9()
    asking.join()
    engine.start()


@pytest.mark.parametrize("delay_ms", DELAYS_MS)
def test_kill_while_networks_are_made_and_removed(shoald: Engine, delay_ms: int) -> None:
    """A network is either there and works, or is not known and has no bridge."""
    kill_during(shoald, delay_ms, "POST", "/networks/create", {"Name": "net"})
    known = own_networks(shoald)
    assert bridges(known) == set(known)
    if known:
        assert "eth0" in run(shoald, "--network", "net", script="ip addr")
    else:
        shoald.ok("network", "create", "net")
        known = own_networks(shoald)
    kill_during(shoald, delay_ms, "DELETE", "/networks/net")
    left = own_networks(shoald)
    assert bridges(known) == set(left)
    if left:
        assert "eth0" in run(shoald, "--network", "net", script="ip addr")


@pytest.mark.parametrize("delay_ms", DELAYS_MS)
def test_kill_while_a_container_joins_and_leaves(shoald: Engine, delay_ms: int) -> None:
    """It can be told the same again, and has then one interface more, or less, with the addresses of both families."""
    shoald.ok("network", "create", "--ipv6", "net")
    shoald.ok("run", "-d", "--name", "box", "busybox", "sleep", "1000")
    kill_during(shoald, delay_ms, "POST", "/networks/net/connect", {"Container": "box"})
    shoald.docker("network", "connect", "net", "box")
    assert shoald.ok("exec", "box", "ls", "/sys/class/net").split() == ["eth0", "eth1", "lo"]
    (place,) = shoald.request("GET", "/networks/net").json["Containers"].values()
    addresses = shoald.ok("exec", "box", "ip", "addr", "show", "eth1")
    assert f"inet {place['IPv4Address']}" in addresses
    assert f"inet6 {place['IPv6Address']}" in addresses
    kill_during(shoald, delay_ms, "POST", "/networks/net/disconnect", {"Container": "box"})
    shoald.docker("network", "disconnect", "net", "box")
    assert len(shoald.ok("exec", "box", "ls", "/sys/class/net").split()) == 2
    shoald.ok("rm", "-f", "box")
    shoald.ok("network", "rm", "net")


def test_many_containers_leave_nothing_in_their_network(shoald: Engine) -> None:
    """Two hundred, sixteen at a time, with published ports: no interface, address, port, map element or veth stays."""
    shoald.ok("network", "create", "--subnet", "10.242.0.0/24", "net")
    (id,) = own_networks(shoald)
    host = {"NetworkMode": "net", "PortBindings": {"80/tcp": [{}]}}
    body = {"Image": "busybox", "Cmd": ["sleep", "1000"], "HostConfig": host}

    def one(_: int) -> None:
        made = shoald.request("POST", "/containers/create", body).json["Id"]
        assert shoald.request("POST", f"/containers/{made}/start").status == 204
        assert shoald.request("DELETE", f"/containers/{made}?force=1").status == 204

    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        list(pool.map(one, range(200)))
    assert shoald.request("GET", f"/networks/{id}").json["Containers"] == {}
    ruleset = subprocess.run(["nft", "-j", "list", "table", "inet", table_name(shoald.exec_root)], capture_output=True)
    maps = [entry["map"] for entry in json.loads(ruleset.stdout)["nftables"] if "map" in entry]
    assert {known["name"] for known in maps} >= {"published_any", "published_at"}
    assert not any(known.get("elem") for known in maps)
    guard = subprocess.run(["nft", "list", "set", "bridge", table_name(shoald.exec_root), "pairs"], capture_output=True)
    assert b"ether_addr" in guard.stdout
    assert b"elements" not in guard.stdout
    deadline = time.monotonic() + 10
    while list(Path(f"/sys/class/net/br-{id[:12]}/brif").iterdir()) and time.monotonic() < deadline:
        time.sleep(0.05)  # the kernel takes interfaces down a moment after their namespaces
    assert list(Path(f"/sys/class/net/br-{id[:12]}/brif").iterdir()) == []
    assert "inet 10.242.0.2/24" in run(shoald, "--network", "net", script="ip -4 addr show eth0")


def test_subnets_come_from_the_daemons_pools() -> None:
    """One after the other; when all are in use, the refusal says what to do."""
    engine = Shoald("--default-address-pool", "base=10.243.0.0/22,size=24")
    try:
        engine.start()
        engine.import_busybox()
        for name in ("one", "two", "three"):
            engine.ok("network", "create", name)
        form = "{{range .IPAM.Config}}{{.Subnet}}{{end}}"
        subnets = engine.ok("network", "inspect", "-f", form, "bridge", "one", "two", "three").split()
        assert subnets == [f"10.243.{third}.0/24" for third in range(4)]
        answer = engine.request("POST", "/networks/create", {"Name": "four"})
        assert "could not find an available, non-overlapping IPv4 address pool" in answer.json["message"]
        assert "docker network prune" in answer.json["fix"]
        engine.ok("network", "rm", "two")
        engine.ok("network", "create", "four")
    finally:
        engine.clear()
        engine.close()
