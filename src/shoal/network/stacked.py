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
from ipaddress import IPv4Interface, IPv4Network
from typing import TYPE_CHECKING

from shoal.errors import Conflict, Internal, InvalidArgument, ShoalError, SyscallError
from shoal.linux.link_kinds import add_ipvlan, add_macvlan
from shoal.linux.netlink import Netlink
from shoal.network.bridge_host import BridgeHost, HostKernel
from shoal.network.container_side import free_name, holder_of, inside, lead_outside
from shoal.network.driver import NOTHING_ASKED, EndpointRequest
from shoal.network.endpoint import ANY_ADDRESS, Endpoint, NetworkInfo, default_mac
from shoal.network.host_claims import host_claims, pool_choice
from shoal.network.ipam import Pool, parse_mac, pick_pool
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
        self._pool: Pool | None = None

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
        others = self._store.subnets(besides=self.name)
        address = await self._host.run(lambda kernel: self._start_on(kernel, others))
        self._record = replace(self._record, address=str(address))
        self._store.save_network(self._record)
        addressing = self._config.addressing
        self._pool = Pool(address.network, address.ip, within=addressing.ip_range, reserved=addressing.reserved)
        self._endpoints = {}
        notes = []
        for endpoint in self._store.endpoints(self.name):
            try:
                self._pool.reserve(endpoint.ip)
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
        if self._pool is None:
            raise Internal(f"the network {self.name} has not been started")
        if container_id in self._endpoints:
            raise Conflict(f"endpoint with name {container_id[:12]} already exists in network {self.name}")
        asked_mac = self._asked_mac(request.mac)
        address = self._pool.reserve(request.ip) if request.ip else self._pool.allocate()
        mac = "" if self._config.has_mac_of_parent else asked_mac or default_mac(address)
        endpoint = Endpoint(
            network=self.name,
            network_id=self._record.id,
            container_id=container_id,
            endpoint_id=self._new_id(),
            ip=address,
            prefix=self._pool.subnet.prefixlen,
            gateway=self._gateway(self._pool),
            mac=mac,
            mtu=self._config.mtu,
        )
        self._endpoints[container_id] = endpoint
        self._store.save_endpoint(endpoint)
        return endpoint

    def _asked_mac(self, text: str) -> str:
        if text and self._config.has_mac_of_parent:
            raise InvalidArgument(
                f"{self._config.kind} interfaces do not support custom mac address assignment",
                why=f"in the mode {self._config.mode} they have their parent's",
            )
        return parse_mac(text) if text else ""

    def _gateway(self, pool: Pool) -> str:
        if self._config.is_routed:
            return ANY_ADDRESS
        return "" if self._config.internal else str(pool.gateway)

    async def connect(self, endpoint: Endpoint, pid: int, interface: str = "eth0") -> None:
        """Make the interface in the network namespace of `pid`.

        Raises: SyscallError (ESRCH: the process has gone; ENODEV: the parent has), Conflict (the parent is in use).
        """
        await self._host.run(lambda kernel: self._add_interface(kernel.netlink, endpoint, pid, interface))

    async def plug(self, endpoint: Endpoint, pid: int) -> None:
        """As `connect`, for a container that runs: with its address, under the next free name. Raises: as `connect`."""

        def work(kernel: HostKernel) -> None:
            with inside(pid) as inner:
                name = free_name(inner)
                self._add_interface(kernel.netlink, endpoint, pid, name)
                inner.configure_interface(name, f"{endpoint.ip}/{endpoint.prefix}", None)

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
        if self._pool is not None:
            self._pool.release(endpoint.ip)

    def endpoint(self, container_id: str) -> Endpoint | None:
        """The container's endpoint, if it has one here."""
        return self._endpoints.get(container_id)

    def inspect(self) -> NetworkInfo:
        """The network as it is now."""
        text = self._record.address or self._config.addressing.gateway
        address = IPv4Interface(text) if text else None
        return NetworkInfo(
            name=self.name,
            id=self._record.id,
            driver=self._config.kind,
            created_ns=self._record.created_ns,
            subnet=str(address.network) if address else "",
            gateway=str(address.ip) if address else "",
            mtu=self._config.mtu,
            options=self._config.options,
            endpoints=tuple(self._endpoints.values()),
        )

    # -- in the worker thread ---------------------------------------------------------------------------------

    def _start_on(self, kernel: HostKernel, others: list[IPv4Network]) -> IPv4Interface:
        """The gateway with its prefix, once the parent is there. `others` are other networks' subnets."""
        self._parents.hold(kernel.netlink, self._parent, self.name, exclusive=self._config.is_exclusive)
        known = self._config.addressing.gateway or self._record.address
        if known:
            return IPv4Interface(known)
        with pool_choice():
            subnet = pick_pool([*host_claims(kernel.netlink), *others], self._config.pools)
        return IPv4Interface((subnet.network_address + 1, subnet.prefixlen))

    def _add_interface(self, netlink: Netlink, endpoint: Endpoint, pid: int, name: str) -> None:
        config, parent = self._config, netlink.link_get(self._parent).index
        if config.kind == "macvlan":
            mac = endpoint.mac or None
            request = add_macvlan(name, parent, mode=config.mode, pid=pid, mac=mac, mtu=config.mtu)
        else:
            request = add_ipvlan(name, parent, mode=config.mode, flag=config.flag, pid=pid, mtu=config.mtu)
        try:
            netlink.link_add(request)
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
