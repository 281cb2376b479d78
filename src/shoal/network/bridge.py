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
from dataclasses import dataclass, field, replace
from ipaddress import IPv4Interface, IPv4Network
from typing import TYPE_CHECKING

from shoal.errors import Conflict, Forbidden, Internal, ShoalError
from shoal.network.bridge_device import BridgeDevice, read_ip_forward, write_ip_forward
from shoal.network.bridge_host import BridgeHost, HostKernel
from shoal.network.driver import NOTHING_ASKED, EndpointRequest
from shoal.network.endpoint import ANY_ADDRESS, Endpoint, NetworkInfo, PublishedPort, default_mac
from shoal.network.firewall.conntrack import forget_udp_flows
from shoal.network.firewall.docker_user import ForwardException
from shoal.network.firewall.ruleset import BridgedSubnet, Publication
from shoal.network.host_claims import pool_choice
from shoal.network.instance import bridge_name, table_name, veth_name
from shoal.network.ipam import DEFAULT_POOLS, Pool, parse_bip, parse_mac, pick_pool
from shoal.network.ports import PortRequest, PortReservations, kept_ports
from shoal.network.store import NetworkRecord, NetworkStore

if TYPE_CHECKING:
    import sqlite3


@dataclass(frozen=True, slots=True)
class BridgeConfig:
    """What a bridge network is to be; `bip` is the bridge's address with its prefix, None to choose a free subnet.

    `ip_range` bounds the addresses that are handed out, `reserved` are never. `internal`: no way out of it;
    `icc`: its containers reach each other; `masquerade`: to the outside they seem to be the host. `host_ip` is where
    ports are published that name no address. `adopted`: the bridge is the operator's, who made it and keeps it.
    `options` is what inspections show. `id` and `created_ns` are those of a network that a user made; without them they
    are chosen at its first start.
    """

    bridge: str
    table: str
    name: str = "bridge"
    bip: str | None = None
    mtu: int = 1500
    ip_forward: bool = True
    pools: tuple[tuple[str, int], ...] = DEFAULT_POOLS
    ip_range: str | None = None
    reserved: tuple[str, ...] = ()
    internal: bool = False
    icc: bool = True
    masquerade: bool = True
    host_ip: str = ANY_ADDRESS
    adopted: bool = False
    options: dict[str, str] = field(default_factory=dict)
    id: str = ""
    created_ns: int = 0

    @property
    def is_default(self) -> bool:
        """Whether this is the network of containers that name none."""
        return self.name == "bridge"

    @classmethod
    def for_daemon(cls, exec_root: str, *, bip: str | None = None, ip_forward: bool = True) -> BridgeConfig:
        """The default bridge of the daemon with this exec root. Raises: InvalidArgument (malformed bip)."""
        if bip is not None:
            parse_bip(bip)
        return cls(bridge_name(exec_root), table_name(exec_root), bip=bip, ip_forward=ip_forward)


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
        self._pool: Pool | None = None

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
        others = self._store.subnets(besides=self._config.name)
        device, address, notes = await self._host.run(lambda kernel: self._start_device(kernel, remembered, others))
        self._device = device
        self._record = replace(self._record, address=str(address))
        self._store.save_network(self._record)
        self._pool = Pool(address.network, address.ip, within=self._config.ip_range, reserved=self._config.reserved)
        self._endpoints = {}
        for endpoint in remembered:
            notes += self._take_back(endpoint)
        switched, warnings = await self._host.run(lambda kernel: self._start_firewall(kernel, address))
        if switched:
            self._record = replace(self._record, set_ip_forward=True)
            self._store.save_network(self._record)
        if self._owns_host:
            await self._host.bring_up()
        return notes + warnings

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
                await self._host.run(self._remove_from_host)
                for container_id in list(self._endpoints):
                    self._store.delete_endpoint(self._config.name, container_id)
                self._endpoints.clear()
                self._record = replace(self._record, set_ip_forward=False)
                self._store.save_network(self._record)
        finally:
            device, self._device = self._device, None
            if device is not None:
                await self._host.run(lambda _: device.close())
            if self._owns_host:
                await self._host.close()

    # -- life of an endpoint ----------------------------------------------------------------------------------

    async def allocate(self, container_id: str, request: EndpointRequest = NOTHING_ASKED) -> Endpoint:
        """Reserve an address and host ports; written to the database.

        Raises: Internal (a port is taken), Unavailable (no address left), InvalidArgument, Forbidden, Conflict.
        """
        if self._pool is None:
            raise Internal(f"the network {self._config.name} has not been started")
        if container_id in self._endpoints:
            raise Conflict(f"endpoint with name {container_id[:12]} already exists in network {self._config.name}")
        wanted_mac = parse_mac(request.mac) if request.mac else None
        address = self._pool.reserve(request.ip) if request.ip else self._pool.allocate()
        try:
            published = self._ports.reserve(self._placed(() if self._config.internal else request.ports), address)
        except ShoalError:
            self._pool.release(address)
            raise
        endpoint_id, veth = self._new_names(container_id)
        endpoint = Endpoint(
            network=self._config.name,
            network_id=self._record.id,
            container_id=container_id,
            endpoint_id=endpoint_id,
            ip=address,
            prefix=self._pool.subnet.prefixlen,
            gateway=str(self._pool.gateway),
            mac=wanted_mac or default_mac(address),
            mtu=self._config.mtu,
            veth=veth,
            ports=published,
            gateway_mac="" if self._config.adopted else default_mac(str(self._pool.gateway)),
        )
        self._endpoints[container_id] = endpoint
        self._store.save_endpoint(endpoint)
        return endpoint

    async def connect(self, endpoint: Endpoint, pid: int, interface: str = "eth0") -> None:
        """Make the veth pair with its peer in the network namespace of `pid`, and let the ports lead to it.

        Raises: SyscallError (ESRCH: the process has gone), NftError.
        """
        device = self._running()

        def work(kernel: HostKernel) -> None:
            device.connect(endpoint, pid, interface, isolated=not self._config.icc)
            kernel.table.add(_publications(endpoint))
            forget_udp_flows(endpoint)

        await self._host.run(work)

    async def plug(self, endpoint: Endpoint, pid: int) -> None:
        """As `connect`, for a container that runs: with its address, under the next free name. Raises: as `connect`."""
        device = self._running()

        def work(kernel: HostKernel) -> None:
            device.plug(endpoint, pid, isolated=not self._config.icc)
            kernel.table.add(_publications(endpoint))

        await self._host.run(work)

    async def unplug(self, container_id: str, pid: int) -> None:  # noqa: ARG002 - the contract's
        """Take the interface away from a running container; harmless when it has none. Raises: SyscallError."""
        endpoint = self._endpoints.get(container_id)
        if endpoint is not None:
            device = self._running()
            await self._host.run(lambda _: device.unplug(endpoint))

    async def route(self, container_id: str, pid: int) -> None:
        """Make this network the way outside of a running container that is in it. Raises: SyscallError."""
        endpoint = self._endpoints[container_id]
        device = self._running()
        await self._host.run(lambda _: device.route(endpoint, pid))

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
        kept, wanted = kept_ports(before.ports, self._placed(() if self._config.internal else ports), closing)
        opened = self._ports.reserve(wanted, before.ip)
        after = replace(before, ports=(*kept, *opened))
        gone = replace(before, ports=tuple(port for port in before.ports if port not in kept))
        device = self._running()

        def open_ports(kernel: HostKernel) -> None:
            if after.ports and not before.ports:
                device.let_meet_itself(before, isolated=not self._config.icc)
            kernel.table.add(_publications(replace(after, ports=opened)))

        try:
            await self._host.run(open_ports)
            self._store.save_endpoint(after, also)
        except BaseException:
            await self._host.run(lambda kernel: kernel.table.remove(_publications(replace(after, ports=opened))))
            self._ports.release(opened)
            raise
        self._endpoints[container_id] = after

        def close_ports(kernel: HostKernel) -> None:
            kernel.table.remove(_publications(gone))
            # What clients send from now on belongs to what is published now.
            forget_udp_flows(replace(after, ports=(*opened, *gone.ports)))

        try:
            await self._host.run(close_ports)
        finally:
            self._ports.release(gone.ports)

    def _placed(self, ports: Sequence[PortRequest]) -> Sequence[PortRequest]:
        """The requests with the network's own host address where they name none."""
        if self._config.host_ip == ANY_ADDRESS:
            return ports
        return [replace(port, host_ip=self._config.host_ip) if port.host_ip == ANY_ADDRESS else port for port in ports]

    async def release(self, container_id: str) -> None:
        """Close the published ports, free the address, forget the endpoint. Raises: NftError, SyscallError."""
        endpoint = self._endpoints.pop(container_id, None)
        if endpoint is None:
            return
        self._store.delete_endpoint(self._config.name, container_id)
        try:
            if self._device is not None:
                device = self._device

                def work(kernel: HostKernel) -> None:
                    kernel.table.remove(_publications(endpoint))
                    device.disconnect(endpoint)

                await self._host.run(work)
        finally:
            # Only now may the address and the ports go to another container: no element leads there any more.
            self._ports.release(endpoint.ports)
            if self._pool is not None:
                self._pool.release(endpoint.ip)

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
        address = self._address()
        return NetworkInfo(
            name=self._config.name,
            id=self._record.id,
            driver="bridge",
            created_ns=self._record.created_ns,
            subnet=str(address.network) if address else "",
            gateway=str(address.ip) if address else "",
            bridge=self._config.bridge,
            mtu=self._config.mtu,
            options=options,
            endpoints=tuple(self._endpoints.values()),
        )

    # -- in the event loop's thread ---------------------------------------------------------------------------

    def _address(self) -> IPv4Interface | None:
        """The bridge's address: what it has, or had when it last worked, or is to get; None before one is chosen."""
        if self._pool is not None:
            return IPv4Interface((self._pool.gateway, self._pool.subnet.prefixlen))
        text = self._record.address or self._config.bip
        return IPv4Interface(text) if text else None

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
        assert self._pool is not None
        try:
            self._pool.reserve(endpoint.ip)
        except ShoalError as error:
            self._store.delete_endpoint(self._config.name, endpoint.container_id)
            return [f"dropped the endpoint of container {endpoint.container_id[:12]}: {endpoint.ip}: {error}"]
        self._endpoints[endpoint.container_id] = endpoint
        return [
            f"port {port.host_ip}:{port.host_port}/{port.protocol} of container {endpoint.container_id[:12]} was bound"
            " by another process while shoald was down; new connections still go to the container"
            for port in self._ports.hold_again(endpoint.ports)
        ]

    # -- in the worker thread ---------------------------------------------------------------------------------

    def _start_device(
        self, kernel: HostKernel, remembered: list[Endpoint], others: list[IPv4Network]
    ) -> tuple[BridgeDevice, IPv4Interface, list[str]]:
        device = self._device or BridgeDevice(kernel.netlink, self._config.bridge, self._config.mtu)
        try:
            with pool_choice():
                if self._config.adopted:
                    return device, device.adopt(), []
                address, notes = self._choose_address(device, remembered, others)
                notes += device.ensure(address)
        except BaseException:
            if self._device is None:
                device.close()
            raise
        return device, address, notes

    def _choose_address(
        self, device: BridgeDevice, remembered: list[Endpoint], others: list[IPv4Network]
    ) -> tuple[IPv4Interface, list[str]]:
        """The bridge's address: `bip`, or the one it had, or one in a free subnet. `others` are other networks'."""
        wanted = parse_bip(self._config.bip) if self._config.bip else None
        before = IPv4Interface(self._record.address) if self._record.address else None
        if device.find() is None:
            remembered = []  # after a reboot: without the bridge no container of it can be alive
        if before is not None and remembered and wanted not in (None, before):
            return before, [f"--bip {wanted} waits until no container of {before.network} is left"]
        claimed = device.claimed()
        if wanted is not None:
            return wanted, [] if before == wanted else _overlaps(wanted.network, claimed)
        if before is not None:
            taken = any(before.network.overlaps(claim) for claim in claimed if claim.prefixlen > 0)
            if remembered or not taken:
                return before, []
        subnet = pick_pool([*claimed, *others], self._config.pools)
        return IPv4Interface((subnet.network_address + 1, subnet.prefixlen)), []

    def _start_firewall(self, kernel: HostKernel, address: IPv4Interface) -> tuple[bool, list[str]]:
        """Join the table; whether ip_forward had to be switched on, and warnings."""
        config = self._config
        network = BridgedSubnet(config.bridge, str(address.network), config.internal, config.masquerade)
        publications = [entry for endpoint in self._endpoints.values() for entry in _publications(endpoint)]
        kernel.table.join(network, publications)
        switched = config.ip_forward and not read_ip_forward()
        if switched:
            write_ip_forward(enabled=True)
        exception = kernel.exceptions.setdefault(config.bridge, ForwardException(kernel.nft, config.bridge))
        warning = exception.ensure()
        return switched, [warning] if warning else []

    def _remove_from_host(self, kernel: HostKernel) -> None:
        bridge = self._config.bridge
        device = self._device or BridgeDevice(kernel.netlink, bridge, self._config.mtu)
        failure: ShoalError | None = None
        for step in (
            (kernel.exceptions.pop(bridge, None) or ForwardException(kernel.nft, bridge)).remove,
            kernel.table.destroy if self._owns_host else lambda: kernel.table.leave(bridge),
            (lambda: None) if self._config.adopted else device.remove,
            self._reset_ip_forward(kernel),
        ):
            try:
                step()
            except ShoalError as error:
                failure = failure or error
        if self._device is None:
            device.close()
        if failure is not None:
            raise failure

    def _reset_ip_forward(self, kernel: HostKernel) -> Callable[[], None]:
        def reset() -> None:
            # Another bridge means another engine that came later and relies on what it found.
            others = any(link.kind == "bridge" for link in kernel.netlink.link_list())
            if self._record.set_ip_forward and not others:
                write_ip_forward(enabled=False)

        return reset


def _publications(endpoint: Endpoint) -> list[Publication]:
    return [Publication(port, endpoint.ip) for port in endpoint.ports]


def _overlaps(subnet: IPv4Network, claimed: Collection[IPv4Network]) -> list[str]:
    """A sentence about what the host would no longer reach through this subnet."""
    lost = next((claim for claim in claimed if claim.prefixlen > 0 and claim.overlaps(subnet)), None)
    return (
        [f"the subnet {subnet} overlaps with {lost}, which the host uses: part of it is out of reach"] if lost else []
    )
