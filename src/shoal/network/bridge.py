"""The bridge driver: containers on one Linux bridge behind NAT, ports published through the firewall's map.

In shoald. Decisions, reservations and the database belong to the event loop's thread; whatever asks the kernel runs in
the worker thread of the daemon's `BridgeHost`.

What is on the host for one network, and goes with `stop(remove=True)`: the bridge, its place in the daemon's nftables
table, two accepts in DOCKER-USER where Docker drops forwarded packets, ip_forward if this daemon switched it on.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from ipaddress import IPv4Interface, IPv6Interface
from typing import TYPE_CHECKING

from shoal.errors import Conflict, Forbidden, Internal, ShoalError
from shoal.network.bridge_addresses import AddressPools
from shoal.network.bridge_config import ISOLATED, ROUTED, BridgeConfig
from shoal.network.bridge_device import BridgeDevice
from shoal.network.bridge_host import BridgeHost, HostKernel
from shoal.network.bridge_setup import BridgeSetup, Known, bridge_mac, publications_of
from shoal.network.driver import NOTHING_ASKED, EndpointRequest
from shoal.network.endpoint import Endpoint, NetworkInfo, PublishedPort, default_mac
from shoal.network.firewall.conntrack import forget_udp_flows
from shoal.network.instance import veth_name
from shoal.network.ipam import parse_mac
from shoal.network.ipv6_host import apply, forwarding_changes, has_other_bridges6, take_back
from shoal.network.port_placement import Publishing
from shoal.network.ports import PortRequest, PortReservations, kept_ports
from shoal.network.store import NetworkRecord, NetworkStore

if TYPE_CHECKING:
    import sqlite3


class BridgeNetwork:
    """A network of the driver "bridge"; see `PublishingNetwork` for the contract."""

    def __init__(
        self,
        config: BridgeConfig,
        database: sqlite3.Connection,
        *,
        host: BridgeHost | None = None,
        ports: PortReservations | None = None,
        new_id: Callable[[], str] = lambda: secrets.token_hex(32),
        clock_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self._config = config
        self._store = NetworkStore(database)
        self._new_id = new_id
        self._clock_ns = clock_ns
        # With none given, this network is the only one of its daemon.
        self._owns_host = host is None
        self._host = host or BridgeHost(config.table, ports)
        self._ports = self._host.ports
        self._device: BridgeDevice | None = None
        self._record = self._store.network(config.name) or NetworkRecord(
            config.name, config.id or new_id(), "bridge", config.created_ns or clock_ns()
        )
        self._endpoints: dict[str, Endpoint] = {}
        self._pools: AddressPools | None = None
        self._setup = BridgeSetup(config, owns_table=self._owns_host)
        self._publishing = Publishing(
            config.name,
            config.host_ip,
            routed=config.gateway_mode == ROUTED,
            routed6=config.gateway_mode6 == ROUTED,
        )

    @property
    def name(self) -> str:
        """The name that clients use."""
        return self._config.name

    # -- life of the network ----------------------------------------------------------------------------------

    async def claim(self) -> None:
        """Before the first start. Raises: Forbidden when the bridge's name is another interface's, SyscallError."""
        bridge = self._config.bridge
        if await self._host.run(lambda kernel: any(link.name == bridge for link in kernel.netlink.link_list())):
            raise Forbidden(
                f"cannot create network {self._config.name}: the host has an interface {bridge} already",
                fix=f"choose another name, or remove it: ip link show {bridge}",
            )

    async def start(self) -> list[str]:
        """Make bridge, table and reservations what they should be; what was repaired or is degraded.

        Raises: Unavailable (no libnftables, no free subnet), Conflict (the bridge's name is taken), SyscallError.
        """
        remembered = self._store.endpoints(self._config.name)
        known = Known(
            self._record,
            remembered,
            self._store.subnets(besides=self._config.name),
            self._store.subnets6(besides=self._config.name),
        )
        device, addresses, notes = await self._host.run(
            lambda kernel: self._setup.start_device(kernel, self._device, known)
        )
        self._device = device
        self._record = replace(self._record, address=str(addresses.ipv4 or ""), address6=str(addresses.ipv6 or ""))
        self._store.save_network(self._record)
        self._pools = AddressPools(self._config, addresses)
        self._endpoints = {}
        for endpoint in remembered:
            notes += self._take_back(endpoint)
        endpoints = list(self._endpoints.values())
        switched, warnings = await self._host.run(
            lambda kernel: self._setup.start_firewall(kernel, addresses, endpoints)
        )
        if switched:
            self._record = replace(self._record, set_ip_forward=True)
            self._store.save_network(self._record)
        warnings += await self._forward_ipv6()
        if self._owns_host:
            warnings += await self._host.bring_up()
        return notes + warnings

    async def _forward_ipv6(self) -> list[str]:
        """Have the host forward IPv6 where this network needs it; a warning if nobody may switch it on."""
        if self._config.ipv6 is None or self._config.internal:
            return []
        changes = await self._host.run(lambda _: forwarding_changes())
        if not changes:
            return []
        if not self._config.ipv6.ip_forward:
            return [f"net.ipv6.conf.all.forwarding is off: network {self._config.name} leads nowhere by IPv6"]
        # First written down: a daemon that dies in between still knows what to take back.
        self._store.save_host_changes(changes)
        await self._host.run(lambda _: apply(changes))
        return []

    async def mend(self) -> list[str]:
        """As `BridgeHost.mend`."""
        return await self._host.mend()

    async def watch(self, report: Callable[[str], None]) -> None:
        """As `BridgeHost.watch`."""
        await self._host.watch(report)

    async def stop(self, *, remove: bool) -> None:
        """Let go; with `remove` also take bridge, table and accepts from the host, and forget all endpoints.

        Harmless when repeated, and without a `start` before it removes what a killed daemon left.
        Raises: SyscallError, NftError; whatever can be removed is removed first.
        """
        try:
            if remove:
                endpoints = list(self._endpoints.values())
                await self._host.run(lambda kernel: self._setup.remove(kernel, self._device, self._record, endpoints))
                for container_id in list(self._endpoints):
                    self._store.delete_endpoint(self._config.name, container_id)
                self._endpoints.clear()
                self._record = replace(self._record, set_ip_forward=False)
                self._store.save_network(self._record)
                await self._stop_forwarding_ipv6()
        finally:
            device, self._device = self._device, None
            if device is not None:
                await self._host.run(lambda _: device.close())
            if self._owns_host:
                await self._host.close()

    async def _stop_forwarding_ipv6(self) -> None:
        """Take back what this daemon changed of the host's IPv6, once no network needs it."""
        changes = self._store.host_changes() if self._config.ipv6 else []
        if changes and not await self._host.run(lambda kernel: has_other_bridges6(kernel.netlink)):
            await self._host.run(lambda _: take_back(changes))
            self._store.save_host_changes({})

    # -- life of an endpoint ----------------------------------------------------------------------------------

    async def allocate(self, container_id: str, request: EndpointRequest = NOTHING_ASKED) -> Endpoint:
        """Reserve an address and host ports; written to the database.

        Raises: Internal (a port is taken), Unavailable (no address left), InvalidArgument, Forbidden, Conflict.
        """
        pools = self._pools
        if pools is None:
            raise Internal(f"the network {self._config.name} has not been started")
        if container_id in self._endpoints:
            raise Conflict(f"endpoint with name {container_id[:12]} already exists in network {self._config.name}")
        wanted_mac = parse_mac(request.mac) if request.mac else None
        ip, ip6 = pools.take(request.ip, request.ip6)
        try:
            wanted, opened = self._place(request.ports, ip, ip6)
            published = self._ports.reserve(wanted, ip, ip6)
        except ShoalError:
            pools.give_back(ip, ip6)
            raise
        endpoint_id, veth = self._new_names(container_id)
        (prefix, prefix6), (gateway, gateway6) = pools.prefixes, pools.gateways
        endpoint = Endpoint(
            network=self._config.name,
            network_id=self._record.id,
            container_id=container_id,
            endpoint_id=endpoint_id,
            ip=ip,
            prefix=prefix,
            gateway=gateway if self._config.gateway_mode != ISOLATED else "",
            mac=wanted_mac or default_mac(ip or ip6),
            mtu=self._config.mtu,
            veth=veth,
            ports=(*published, *opened),
            gateway_mac=self._gateway_mac(pools),
            ip6=ip6,
            prefix6=prefix6,
            gateway6=gateway6 if self._config.gateway_mode6 != ISOLATED else "",
            link_local=request.link_local,
        )
        self._endpoints[container_id] = endpoint
        self._store.save_endpoint(endpoint)
        return endpoint

    def _gateway_mac(self, pools: AddressPools) -> str:
        """The bridge's own, where it is the bridge that has the gateway's address, and shoal that made the bridge."""
        has_address = self._config.has_address or (not self._config.ipv4 and self._config.gateway_mode6 != ISOLATED)
        return bridge_mac(pools.addresses) if has_address and not self._config.adopted else ""

    def _place(self, ports: Sequence[PortRequest], ip: str, ip6: str) -> tuple[list[PortRequest], list[PublishedPort]]:
        """As Publishing.place."""
        return self._publishing.place(() if self._config.internal else ports, has_ipv4=bool(ip), has_ipv6=bool(ip6))

    async def connect(self, endpoint: Endpoint, pid: int, interface: str = "eth0") -> None:
        """Make the veth pair with its peer in the network namespace of `pid`, and let the ports lead to it.

        Raises: SyscallError (ESRCH: the process has gone), NftError.
        """
        device = self._running()

        def work(kernel: HostKernel) -> None:
            kernel.guard.add(self._setup.claims_of(endpoint))
            device.connect(endpoint, pid, interface, isolated=not self._config.icc)
            kernel.table.add(publications_of(endpoint))
            forget_udp_flows(endpoint)

        await self._host.run(work)

    async def plug(self, endpoint: Endpoint, pid: int) -> None:
        """As `connect`, for a container that runs: with its address, under the next free name. Raises: as `connect`."""
        device = self._running()

        def work(kernel: HostKernel) -> None:
            kernel.guard.add(self._setup.claims_of(endpoint))
            device.plug(endpoint, pid, isolated=not self._config.icc)
            kernel.table.add(publications_of(endpoint))

        await self._host.run(work)

    async def unplug(self, container_id: str, pid: int) -> None:  # noqa: ARG002 - the contract's
        """Take the interface away from a running container; harmless when it has none. Raises: SyscallError."""
        endpoint = self._endpoints.get(container_id)
        if endpoint is not None:
            device = self._running()
            await self._host.run(lambda _: device.unplug(endpoint))

    async def route(self, container_id: str, pid: int, *, ipv6: bool = False) -> None:
        """Make this network the way outside of a running container that is in it. Raises: SyscallError."""
        endpoint = self._endpoints[container_id]
        device = self._running()
        await self._host.run(lambda _: device.route(endpoint.gateway6 if ipv6 else endpoint.gateway, pid))

    async def publish(
        self,
        container_id: str,
        ports: Sequence[PortRequest],
        *,
        closing: Collection[PublishedPort] = (),
        also: Callable[[], None] = lambda: None,
    ) -> None:
        """Publish exactly these ports of a container that is in the network; those that it has stay as they are.

        Raises: Internal (taken), NftError; then nothing has changed.
        """
        before = self._endpoints[container_id]
        requests, routed = self._place(ports, before.ip, before.ip6)
        kept, wanted = kept_ports(before.ports, requests, closing)
        kept += [port for port in routed if port in before.ports]
        new = [port for port in routed if port not in before.ports]
        opened = (*self._ports.reserve(wanted, before.ip, before.ip6), *new)
        after = replace(before, ports=(*kept, *opened))
        gone = replace(before, ports=tuple(port for port in before.ports if port not in kept))
        device = self._running()

        def open_ports(kernel: HostKernel) -> None:
            if after.ports and not before.ports:
                device.let_meet_itself(before, isolated=not self._config.icc)
            kernel.table.add(publications_of(replace(after, ports=opened)))

        try:
            await self._host.run(open_ports)
            self._store.save_endpoint(after, also)
        except BaseException:
            await self._host.run(lambda kernel: kernel.table.remove(publications_of(replace(after, ports=opened))))
            self._ports.release(opened)
            raise
        self._endpoints[container_id] = after

        def close_ports(kernel: HostKernel) -> None:
            kernel.table.remove(publications_of(gone))
            # What clients send from now on belongs to what is published now.
            forget_udp_flows(replace(after, ports=(*opened, *gone.ports)))

        try:
            await self._host.run(close_ports)
        finally:
            self._ports.release(gone.ports)

    async def release(self, container_id: str) -> None:
        """Close the published ports, free the address, forget the endpoint. Raises: NftError, SyscallError."""
        endpoint = self._endpoints.pop(container_id, None)
        if endpoint is None:
            return
        self._store.delete_endpoint(self._config.name, container_id)
        try:
            if self._device is not None:
                device = self._device
                # Two containers with one MAC, which is allowed, have one link-local address.
                same = [other for other in self._endpoints.values() if other.mac == endpoint.mac]
                held = {claim for other in same for claim in self._setup.claims_of(other)}
                given_up = [claim for claim in self._setup.claims_of(endpoint) if claim not in held]

                def work(kernel: HostKernel) -> None:
                    kernel.table.remove(publications_of(endpoint))
                    kernel.guard.remove(given_up)
                    device.disconnect(endpoint)

                await self._host.run(work)
        finally:
            # Only now may the address and the ports go to another container: no element leads there any more.
            self._ports.release(endpoint.ports)
            if self._pools is not None:
                self._pools.give_back(endpoint.ip, endpoint.ip6)

    def endpoint(self, container_id: str) -> Endpoint | None:
        """The container's endpoint, if it has one here."""
        return self._endpoints.get(container_id)

    def inspect(self) -> NetworkInfo:
        """The network as it is now, with the options that Docker shows for it."""
        options = self._config.options
        if self._config.is_default:
            options = {
                "com.docker.network.bridge.default_bridge": "true",
                "com.docker.network.bridge.enable_icc": "true",
                "com.docker.network.bridge.enable_ip_masquerade": "true",
                "com.docker.network.bridge.host_binding_ipv4": "0.0.0.0",
                "com.docker.network.bridge.name": self._config.bridge,
                "com.docker.network.driver.mtu": str(self._config.mtu),
            }
        address, address6 = self._address(), self._address6()
        return NetworkInfo(
            name=self._config.name,
            id=self._record.id,
            driver="bridge",
            created_ns=self._record.created_ns,
            subnet=str(address.network) if address else "",
            gateway=str(address.ip) if address and self._config.gateway_mode != ISOLATED else "",
            subnet6=str(address6.network) if address6 else "",
            gateway6=str(address6.ip) if address6 and self._config.gateway_mode6 != ISOLATED else "",
            bridge=self._config.bridge,
            mtu=self._config.mtu,
            options=options,
            endpoints=tuple(self._endpoints.values()),
        )

    # -- in the event loop's thread ---------------------------------------------------------------------------

    def _address(self) -> IPv4Interface | None:
        """The gateway: what it is, or was when the network last worked, or is to be; None before one is chosen."""
        if self._pools is not None:
            return self._pools.addresses.ipv4
        text = self._record.address or self._config.bip
        return IPv4Interface(text) if text else None

    def _address6(self) -> IPv6Interface | None:
        """The same for IPv6, without which it is None too."""
        if self._config.ipv6 is None:
            return None
        if self._pools is not None:
            return self._pools.addresses.ipv6
        text = self._record.address6 or self._config.ipv6.address
        return IPv6Interface(text) if text else None

    def _running(self) -> BridgeDevice:
        if self._device is None:
            raise Internal(f"the network {self._config.name} has not been started")
        return self._device

    def _new_names(self, container_id: str) -> tuple[str, str]:
        """A new endpoint's id, and a veth name that no other endpoint has."""
        taken = {endpoint.veth for endpoint in self._endpoints.values()}
        while True:
            endpoint_id = self._new_id()
            veth = veth_name(container_id, endpoint_id)
            if veth not in taken:
                return endpoint_id, veth

    def _take_back(self, endpoint: Endpoint) -> list[str]:
        """Reserve again what a remembered endpoint holds; sentences about what it lost."""
        assert self._pools is not None
        try:
            endpoint = self._pools.take_again(endpoint)
        except ShoalError as error:
            self._store.delete_endpoint(self._config.name, endpoint.container_id)
            address = endpoint.addresses[0]
            return [f"dropped the endpoint of container {endpoint.container_id[:12]}: {address}: {error}"]
        self._endpoints[endpoint.container_id] = endpoint
        return [
            f"port {port.host_ip}:{port.host_port}/{port.protocol} of container {endpoint.container_id[:12]} was bound"
            " by another process while shoald was down; new connections still go to the container"
            for port in self._ports.hold_again([port for port in endpoint.ports if port.host_port])
        ]
