"""The drivers macvlan and ipvlan: containers' interfaces sit on one of the host's, and are machines of its LAN.

In shoald. Nothing of an endpoint is on the host: its interface is in the container's namespace and dies with it. No
firewall of ours is in between, and no ports are published. Decisions and the database belong to the event loop's
thread; whatever asks the kernel runs in the worker thread of the daemon's `BridgeHost`.
"""

from __future__ import annotations

import errno
import secrets
from collections.abc import Callable
from dataclasses import replace
from ipaddress import IPv4Interface, IPv4Network, IPv6Interface, IPv6Network
from typing import TYPE_CHECKING

from shoal.errors import Conflict, Internal, InvalidArgument, ShoalError, SyscallError
from shoal.linux.link_kinds import add_ipvlan, add_macvlan
from shoal.linux.namespaces import open_namespace
from shoal.linux.netlink import Netlink
from shoal.network.bridge_addresses import AddressPools, BridgeAddresses
from shoal.network.bridge_host import BridgeHost, HostKernel
from shoal.network.container_side import free_name, holder_of, inside, lead_outside, ready_for_ipv6
from shoal.network.driver import NOTHING_ASKED, EndpointRequest
from shoal.network.endpoint import ANY_ADDRESS, ANY_ADDRESS6, Endpoint, NetworkInfo, default_mac
from shoal.network.host_claims import host_claims, host_claims6, pool_choice
from shoal.network.ipam import first_gateway, parse_mac, pick_pool
from shoal.network.ipam6 import first_gateway6, pick_subnet6
from shoal.network.ipv6_host import check_ipv6
from shoal.network.parents import Parents, check_kind
from shoal.network.stacked_options import StackedConfig
from shoal.network.store import NetworkRecord, NetworkStore

if TYPE_CHECKING:
    import sqlite3


class StackedNetwork:
    """A network of the driver "macvlan" or "ipvlan"; see `LinkedNetwork` for the contract."""

    def __init__(
        self,
        config: StackedConfig,
        database: sqlite3.Connection,
        host: BridgeHost,
        parents: Parents,
        *,
        new_id: Callable[[], str] = lambda: secrets.token_hex(32),
    ) -> None:
        self._config = config
        self._store = NetworkStore(database)
        self._host = host
        self._parents = parents
        self._new_id = new_id
        self._parent = config.parent or f"dm-{config.id[:12]}"
        self._record = self._store.network(config.name) or NetworkRecord(
            config.name, config.id, config.kind, config.created_ns
        )
        self._endpoints: dict[str, Endpoint] = {}
        self._pools: AddressPools | None = None

    @property
    def name(self) -> str:
        """The name that clients use."""
        return self._config.name

    # -- life of the network ----------------------------------------------------------------------------------

    async def claim(self) -> None:
        """Before the first start. Raises: Unsupported when the kernel has no such interfaces."""
        await self._host.run(lambda kernel: check_kind(kernel.netlink, self._config.kind))

    async def start(self) -> list[str]:
        """Have the parent be there, and reserve what endpoints hold; sentences about what they lost.

        Raises: InvalidArgument, Forbidden, Unsupported (the parent), Unavailable (no free subnet), SyscallError.
        """
        others, others6 = self._store.subnets(besides=self.name), self._store.subnets6(besides=self.name)
        addresses = await self._host.run(lambda kernel: self._start_on(kernel, others, others6))
        self._record = replace(self._record, address=str(addresses.ipv4), address6=str(addresses.ipv6 or ""))
        self._store.save_network(self._record)
        self._pools = AddressPools(self._config, addresses)
        self._endpoints = {}
        notes = []
        for endpoint in self._store.endpoints(self.name):
            try:
                self._pools.take_again(endpoint)
                self._endpoints[endpoint.container_id] = endpoint
            except ShoalError as error:
                self._store.delete_endpoint(self.name, endpoint.container_id)
                notes.append(f"dropped the endpoint of container {endpoint.container_id[:12]}: {endpoint.ip}: {error}")
        return notes

    async def stop(self, *, remove: bool) -> None:
        """Let go; with `remove` the parent goes if it was made for this network, and the endpoints are forgotten."""
        if remove:
            await self._host.run(lambda kernel: self._parents.let_go(kernel.netlink, self._parent, self.name))
            for container_id in list(self._endpoints):
                await self.release(container_id)

    # -- life of an endpoint ----------------------------------------------------------------------------------

    async def allocate(self, container_id: str, request: EndpointRequest = NOTHING_ASKED) -> Endpoint:
        """Reserve an address; written to the database. Ports are discarded, as by Docker.

        Raises: Unavailable (no address left), InvalidArgument, Forbidden, Conflict.
        """
        pools = self._pools
        if pools is None:
            raise Internal(f"the network {self.name} has not been started")
        if container_id in self._endpoints:
            raise Conflict(f"endpoint with name {container_id[:12]} already exists in network {self.name}")
        asked_mac = self._asked_mac(request.mac)
        ip, ip6 = pools.take(request.ip, request.ip6)
        mac = asked_mac or ("" if self._config.has_mac_of_parent else default_mac(ip))
        (prefix, prefix6), (gateway, gateway6) = pools.prefixes, pools.gateways
        endpoint = Endpoint(
            network=self.name,
            network_id=self._record.id,
            container_id=container_id,
            endpoint_id=self._new_id(),
            ip=ip,
            prefix=prefix,
            gateway=self._gateway(gateway),
            ip6=ip6,
            prefix6=prefix6,
            gateway6=self._gateway(gateway6),
            mac=mac,
            mtu=self._config.mtu,
            link_local=request.link_local,
        )
        self._endpoints[container_id] = endpoint
        self._store.save_endpoint(endpoint)
        return endpoint

    def _asked_mac(self, text: str) -> str:
        if text and self._config.kind == "ipvlan":
            raise InvalidArgument(
                "ipvlan interfaces do not support custom mac address assignment", why="they have their parent's"
            )
        return parse_mac(text) if text else ""

    def _gateway(self, address: str) -> str:
        if address and self._config.is_routed:
            return ANY_ADDRESS6 if ":" in address else ANY_ADDRESS
        return "" if self._config.internal else address

    async def connect(self, endpoint: Endpoint, pid: int, interface: str = "eth0") -> None:
        """Make the interface in the network namespace of `pid`.

        Raises: SyscallError (ENOENT, ESRCH: the process has gone; ENODEV: the parent has), Conflict (the parent is in
        use).
        """

        def work(kernel: HostKernel) -> None:
            with inside(pid) as inner:
                self._add_interface(kernel.netlink, inner, endpoint, pid, interface)

        await self._host.run(work)

    async def plug(self, endpoint: Endpoint, pid: int) -> None:
        """As `connect`, for a container that runs: with its address, under the next free name. Raises: as `connect`."""

        def work(kernel: HostKernel) -> None:
            with inside(pid) as inner:
                name = free_name(inner)
                self._add_interface(kernel.netlink, inner, endpoint, pid, name)
                address, address6 = endpoint.placed
                inner.configure_interface(name, address, None, address6=address6)

        await self._host.run(work)

    async def unplug(self, container_id: str, pid: int) -> None:
        """Take the interface away from a running container; harmless when it has none. Raises: SyscallError."""
        endpoint = self._endpoints.get(container_id)
        if endpoint is not None:
            await self._host.run(lambda _: _remove_interface(endpoint, pid))

    async def route(self, container_id: str, pid: int, *, ipv6: bool = False) -> None:
        """Make this network the way outside of a running container that is in it. Raises: SyscallError."""
        endpoint = self._endpoints[container_id]
        gateway = endpoint.gateway6 if ipv6 else endpoint.gateway

        def work(_: HostKernel) -> None:
            with inside(pid) as inner:
                lead_outside(inner, gateway, holder_of(inner, endpoint.ip))

        await self._host.run(work)

    async def release(self, container_id: str) -> None:
        """Free the address, forget the endpoint; harmless when there is none."""
        endpoint = self._endpoints.pop(container_id, None)
        if endpoint is None:
            return
        self._store.delete_endpoint(self.name, container_id)
        if self._pools is not None:
            self._pools.give_back(endpoint.ip, endpoint.ip6)

    def endpoint(self, container_id: str) -> Endpoint | None:
        """The container's endpoint, if it has one here."""
        return self._endpoints.get(container_id)

    def inspect(self) -> NetworkInfo:
        """The network as it is now."""
        config = self._config
        text, text6 = (
            self._record.address or config.gateway,
            self._record.address6 or (config.ipv6 and config.ipv6.address),
        )
        address, address6 = IPv4Interface(text) if text else None, IPv6Interface(text6) if text6 else None
        return NetworkInfo(
            name=self.name,
            id=self._record.id,
            driver=self._config.kind,
            created_ns=self._record.created_ns,
            subnet=str(address.network) if address else "",
            gateway=str(address.ip) if address else "",
            subnet6=str(address6.network) if address6 else "",
            gateway6=str(address6.ip) if address6 else "",
            mtu=self._config.mtu,
            options=self._config.options,
            endpoints=tuple(self._endpoints.values()),
        )

    # -- in the worker thread ---------------------------------------------------------------------------------

    def _start_on(self, kernel: HostKernel, others: list[IPv4Network], others6: list[IPv6Network]) -> BridgeAddresses:
        """The gateways with their prefixes, once the parent is there. `others` are other networks' subnets."""
        config, netlink = self._config, kernel.netlink
        self._parents.hold(netlink, self._parent, self.name, exclusive=config.is_exclusive)
        known, known6 = config.gateway or self._record.address, self._record.address6
        with pool_choice():
            if known:
                ipv4 = IPv4Interface(known)
            else:
                ipv4 = first_gateway(pick_pool([*host_claims(netlink), *others], config.pools))
            if config.ipv6 is None:
                return BridgeAddresses(ipv4)
            check_ipv6()
            if config.ipv6.address or known6:
                return BridgeAddresses(ipv4, IPv6Interface(config.ipv6.address or known6))
            subnet6 = pick_subnet6([*host_claims6(netlink), *others6], config.ipv6.pools)
            return BridgeAddresses(ipv4, first_gateway6(subnet6))

    def _add_interface(self, netlink: Netlink, inner: Netlink, endpoint: Endpoint, pid: int, name: str) -> None:
        config, parent = self._config, netlink.link_get(self._parent).index
        # The kernel makes none elsewhere under a name that the host itself has (Linux 6.1), which likely has an eth0.
        made = f"shoal-{pid}"
        if config.kind == "macvlan":
            mac = endpoint.mac or None
            request = add_macvlan(made, parent, mode=config.mode, pid=pid, mac=mac, mtu=config.mtu)
        else:
            request = add_ipvlan(made, parent, mode=config.mode, flag=config.flag, pid=pid, mtu=config.mtu)
        try:
            netlink.link_add(request)
            inner.link_set(made, name=name)
            if config.is_exclusive and endpoint.mac:
                # Made with its parent's; given another one, it gives it to its parent, until it goes.
                inner.link_set(name, mac=endpoint.mac)
            if endpoint.ip6:
                with open_namespace("/proc/thread-self/ns/net") as home:
                    ready_for_ipv6(pid, home, name)
        except SyscallError as error:
            if error.errno == errno.EBUSY or (error.errno == errno.EINVAL and config.is_exclusive):
                raise Conflict(
                    f"the interface {self._parent} takes no {config.kind} of mode {config.mode}",
                    why="it is a port of a bridge, or serves interfaces of another kind or mode",
                    fix=f"see what it is used for: ip -d link show {self._parent}",
                ) from None
            raise


def _remove_interface(endpoint: Endpoint, pid: int) -> None:
    try:
        with inside(pid) as inner:
            index = holder_of(inner, endpoint.ip)
            if index is not None:
                inner.link_del(index)
    except SyscallError as error:
        if error.errno not in (errno.ENOENT, errno.ENODEV):  # the container has gone, or the interface has
            raise
