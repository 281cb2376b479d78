"""Looking at the path to a container's port, in the kernel. Blocking; nothing is changed.

One TCP connection to the container is tried, and closed at once.
"""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from shoal.errors import SyscallError
from shoal.linux.namespaces import CLONE_NEWNET, namespace_fd, open_namespace, setns
from shoal.linux.netlink import Netlink
from shoal.linux.rtnetlink import Route
from shoal.network.endpoint import ANY_ADDRESS, ANY_ADDRESS6, PublishedPort
from shoal.network.firewall.foreign import Drop, Family, Packet, find_drop, find_legacy_drop, has_foreign_matches
from shoal.network.firewall.ruleset import (
    PUBLISHED6_ANY,
    PUBLISHED6_AT,
    PUBLISHED_ANY,
    PUBLISHED_AT,
    Publication,
    map_of,
)
from shoal.network.ipv6_host import reaches_loopback
from shoal.network.listeners import read_listeners
from shoal.network.port_question import Asked, Inside, Outside, place

_PROBE_S, _PROGRAM_S = 1.0, 10
_FORWARDING = "3"
_UNICAST = 1  # RTN_UNICAST
_NUMBERS = {"6": "tcp", "17": "udp", "132": "sctp"}
_MAPS = (PUBLISHED_ANY, PUBLISHED_AT, PUBLISHED6_ANY, PUBLISHED6_AT)
Ruleset = Sequence[Mapping[str, Any]]


def look_inside(asked: Asked, pid: int) -> Inside:
    """What the network namespace of the container's first process has. Raises: SyscallError, OSError (it has gone)."""
    listeners = tuple(read_listeners(str(pid)))
    nowhere = ANY_ADDRESS6 if asked.is_ipv6 else ANY_ADDRESS
    with _netlink_of(pid) as inner:
        links = {link.index: link for link in inner.link_list()}
        holder = next((one.index for one in inner.addr_list() if one.address == asked.ip), None)
        by_mac = next((link for link in links.values() if asked.mac and link.mac == asked.mac), None)
        link = links.get(holder) if holder is not None else by_mac
        gateways = tuple(route.gateway or nowhere for route in _default_routes(inner, asked))
    if link is None:
        return Inside(listeners, has_interface=False, has_address=False, is_up=False, default_gateways=gateways)
    return Inside(listeners, True, holder is not None, link.is_up, gateways, link.mac)


def look_outside(asked: Asked, ruleset: Ruleset, table: str) -> Outside:
    """What this thread's namespace, the host's, has. `ruleset` is all of nftables, `table` is ours.

    Raises: SyscallError.
    """
    with Netlink() as netlink:
        links = {link.name: link for link in netlink.link_list()}
        indexes = {link.index: link.name for link in links.values()}
        addresses = [one for one in netlink.addr_list() if one.family == _family(asked)]
        routes = _default_routes(netlink, asked)
    bridge, veth = links.get(asked.bridge), links.get(asked.veth)
    state = "forwarding"
    if veth is None:
        state = "gone"
    elif bridge is not None and veth.master != bridge.index:
        state = "unplugged"
    elif not veth.is_up:
        state = "down"
    elif _read(f"/sys/class/net/{asked.veth}/brport/state") not in ("", _FORWARDING):
        state = "blocked"
    uplinks = sorted({indexes[route.index] for route in routes if route.index in indexes})
    still = [name for name in (asked.bridge, *uplinks) if _sysctl(f"ipv4/conf/{name}/forwarding") == "0"]
    return Outside(
        has_bridge=bridge is not None,
        bridge_up=bridge is not None and bridge.is_up,
        bridge_addresses=tuple(one.address for one in addresses if bridge and one.index == bridge.index),
        veth=state,
        source=_source_to(asked),
        addresses=tuple(one.address for one in addresses),
        ip_forward=_sysctl("ipv6/conf/all/forwarding" if asked.is_ipv6 else "ipv4/ip_forward") != "0",
        # For IPv6 there is one switch for all interfaces.
        not_forwarding="" if asked.is_ipv6 else next(iter(still), ""),
        reaches_loopback=_reaches_loopback(asked),
        has_table=_has_table(ruleset, table, "publish6" if asked.is_ipv6 else "publish"),
        targets=_targets(ruleset, table, asked.here),
        drop=_find_drop(asked, ruleset, table, uplinks),
        answer=_answer(asked),
    )


@contextlib.contextmanager
def _netlink_of(pid: int) -> Any:
    """A connection in the namespace of `pid`. The thread goes there and comes back."""
    with open_namespace("/proc/thread-self/ns/net") as home, namespace_fd(pid, "net") as there:
        setns(there, CLONE_NEWNET)
        try:
            inner = Netlink()
        finally:
            setns(home, CLONE_NEWNET)
    with inner:
        yield inner


def _read(path: str) -> str:
    try:
        with open(path, encoding="ascii") as file:
            return file.read().strip()
    except OSError:
        return ""


def _sysctl(key: str) -> str:
    return _read(f"/proc/sys/net/{key}")


def _family(asked: Asked) -> socket.AddressFamily:
    return socket.AF_INET6 if asked.is_ipv6 else socket.AF_INET


def _default_routes(netlink: Netlink, asked: Asked) -> list[Route]:
    """Those of the path's family; IPv6 has one that refuses, of no interface's, where there is no other."""
    routes = [route for route in netlink.route_list() if route.family == _family(asked) and route.prefix == 0]
    return [route for route in routes if route.type == _UNICAST]


def _reaches_loopback(asked: Asked) -> bool:
    if asked.is_ipv6:
        return reaches_loopback()
    return "1" in (_sysctl(f"ipv4/conf/{asked.bridge}/route_localnet"), _sysctl("ipv4/conf/all/route_localnet"))


def _source_to(asked: Asked) -> str:
    """The host's own address that it would talk to the container from; "" without a route. Nothing is sent."""
    with socket.socket(_family(asked), socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as probe:
        try:
            probe.connect((asked.ip, 9))
            return str(probe.getsockname()[0])
        except OSError:
            return ""


def _answer(asked: Asked) -> str:
    if asked.protocol != "tcp":
        return ""
    try:
        socket.create_connection((asked.ip, asked.port), timeout=_PROBE_S).close()
    except ConnectionRefusedError:
        return "refused"
    except OSError:
        return "none"
    return "yes"


def _has_table(ruleset: Ruleset, table: str, chain: str) -> bool:
    """Whether our table is there with the rules that look the maps up."""
    return any((rule := entry.get("rule")) and (rule["table"], rule["chain"]) == (table, chain) for entry in ruleset)


def _targets(ruleset: Ruleset, table: str, ports: Sequence[PublishedPort]) -> dict[PublishedPort, str]:
    """Where the maps lead each published port that they have."""
    known: dict[tuple[str, ...], str] = {}
    for entry in ruleset:
        found = entry.get("map", {})
        if found.get("table") != table or found.get("name") not in _MAPS:
            continue
        for key, value in found.get("elem", ()):
            protocol, *rest = map(str, key["concat"])
            address, number = value["concat"]
            known[found["name"], _NUMBERS.get(protocol, protocol), *rest] = place(address, number)
    targets = {}
    for port in ports:
        name = map_of(Publication(port, ""))
        address = () if port.host_ip in (ANY_ADDRESS, ANY_ADDRESS6) else (port.host_ip,)
        target = known.get((name, port.protocol, *address, str(port.host_port)))
        if target:
            targets[port] = target
    return targets


def _find_drop(asked: Asked, ruleset: Ruleset, table: str, uplinks: Sequence[str]) -> Drop | None:
    """The foreign rule that stops a client of another machine."""
    came_in = uplinks[0] if len(uplinks) == 1 else None
    family: Family = "ip6" if asked.is_ipv6 else "ip"
    for port in (port for port in asked.here if port.guarded):
        arriving = Packet(port.protocol, port.host_port, None, came_in, None, translated=False, family=family)
        if (found := _find_filter_drop(arriving, ruleset, table, "input")) is not None:
            return replace(found, of_host=True)
    for port in asked.here:
        arriving = Packet(port.protocol, port.host_port, None, came_in, None, translated=False, family=family)
        if (found := find_drop(ruleset, "prerouting", arriving, table)) is not None:
            return replace(found, before_translation=True)
    asking = Packet(asked.protocol, asked.port, asked.ip, came_in, asked.bridge, family=family)
    answering = Packet(
        *(asked.protocol, None, None, asked.bridge, came_in),
        state="established",
        source=asked.ip,
        source_port=asked.port,
        family=family,
    )
    return _find_filter_drop(asking, ruleset, table, "forward") or _of_answers(
        _find_filter_drop(answering, ruleset, table, "forward")
    )


def _of_answers(drop: Drop | None) -> Drop | None:
    return replace(drop, of_answers=True) if drop else None


def _find_filter_drop(packet: Packet, ruleset: Ruleset, table: str, hook: str) -> Drop | None:
    readable, family = [*ruleset], packet.family
    program = "ip6tables" if family == "ip6" else "iptables"
    if has_foreign_matches(ruleset, family, "filter") and (listing := _listing(f"{program}-nft")):
        if (found := find_legacy_drop(listing, hook.upper(), packet, program)) is not None:
            return found
        readable = [entry for entry in ruleset if not _is_of(entry, family, "filter")]
    if (found := find_drop(readable, hook, packet, table)) is not None:
        return found
    # Only asking where the old filter table exists: the program would create it.
    if "filter" in _read(f"/proc/thread-self/net/{family}_tables_names").split():
        return find_legacy_drop(_listing(f"{program}-legacy"), hook.upper(), packet, f"{program}-legacy")
    return None


def _is_of(entry: Mapping[str, Any], family: str, table: str) -> bool:
    return any(thing.get("family") == family and thing.get("table") == table for thing in entry.values())


def _listing(program: str) -> str:
    path = f"/usr/sbin/{program}"
    if not os.access(path, os.X_OK):
        return ""
    try:
        done = subprocess.run([path, "-w", "5", "-S"], capture_output=True, text=True, timeout=_PROGRAM_S, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise SyscallError("execve", path, getattr(error, "errno", 0) or 0) from None
    return done.stdout if done.returncode == 0 else ""
