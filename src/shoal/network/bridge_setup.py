"""Making a bridge network on the host, and taking it away: device, addresses, firewall, forwarding. Blocking.

All of it runs in the worker thread of the daemon's `BridgeHost`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from ipaddress import IPv4Interface, IPv4Network, IPv6Interface, IPv6Network

from shoal.errors import ShoalError
from shoal.network.bridge_addresses import BridgeAddresses, adopted_addresses, choose_address
from shoal.network.bridge_config import ISOLATED, BridgeConfig
from shoal.network.bridge_device import BridgeAddress, BridgeDevice, read_ip_forward, write_ip_forward
from shoal.network.bridge_host import HostKernel
from shoal.network.endpoint import Endpoint, default_mac
from shoal.network.firewall.address_guard import Claim
from shoal.network.firewall.docker_user import ForwardException
from shoal.network.firewall.ruleset import BridgedSubnet, Publication
from shoal.network.host_claims import pool_choice
from shoal.network.instance import network_group
from shoal.network.ipam import first_gateway, parse_bip, pick_pool
from shoal.network.ipam6 import first_gateway6, link_local, pick_subnet6
from shoal.network.ipv6_host import check_ipv6
from shoal.network.store import NetworkRecord


@dataclass(frozen=True, slots=True)
class Known:
    """What the database has of a network that starts: itself, its endpoints, the subnets of the other networks."""

    record: NetworkRecord
    endpoints: list[Endpoint]
    others: list[IPv4Network]
    others6: list[IPv6Network]


class BridgeSetup:
    """`owns_table`: no other network is in the daemon's firewall table."""

    def __init__(self, config: BridgeConfig, *, owns_table: bool) -> None:
        self._config = config
        self._owns_table = owns_table
        self._group = network_group(config.table, config.bridge)

    def start_device(
        self, kernel: HostKernel, device: BridgeDevice | None, known: Known
    ) -> tuple[BridgeDevice, BridgeAddresses, list[str]]:
        """The bridge, up, with its network's gateways, and what was repaired.

        Raises: Unavailable (no IPv6, no free subnet), Conflict (the bridge's name is taken), SyscallError.
        """
        config = self._config
        if config.ipv6 is not None:
            check_ipv6()
        bridge = device or self._device(kernel)
        try:
            with pool_choice():
                if config.adopted:
                    return bridge, adopted_addresses(bridge.adopt(), config), []
                addresses, notes = self._choose_addresses(bridge, known)
                notes += bridge.ensure(
                    self._own_addresses(addresses),
                    bridge_mac(addresses),
                    loopback6=addresses.ipv6 is not None and config.gateway_mode6 != ISOLATED,
                )
        except BaseException:
            if device is None:
                bridge.close()
            raise
        return bridge, addresses, notes

    def _choose_addresses(self, bridge: BridgeDevice, known: Known) -> tuple[BridgeAddresses, list[str]]:
        """The network's gateways: those asked for, or those it had, or in free subnets; and notes."""
        config, record = self._config, known.record
        # After a reboot: without the bridge no container of it can be alive.
        endpoints = known.endpoints if bridge.find() is not None else []
        claimed = bridge.claimed()
        ipv4, notes = (
            (None, list[str]())
            if not config.ipv4
            else choose_address(
                parse_bip(config.bip) if config.bip else None,
                IPv4Interface(record.address) if record.address else None,
                claimed,
                lambda: first_gateway(pick_pool([*claimed, *known.others], config.pools)),
                in_use=any(endpoint.ip for endpoint in endpoints),
            )
        )
        if config.ipv6 is None:
            return BridgeAddresses(ipv4), notes
        asked, pools = config.ipv6.address, config.ipv6.pools
        claimed6 = bridge.claimed6()
        ipv6, more = choose_address(
            IPv6Interface(asked) if asked else None,
            IPv6Interface(record.address6) if record.address6 else None,
            claimed6,
            lambda: first_gateway6(pick_subnet6([*claimed6, *known.others6], pools)),
            in_use=any(endpoint.ip6 for endpoint in endpoints),
        )
        return BridgeAddresses(ipv4, ipv6), notes + more

    def _own_addresses(self, addresses: BridgeAddresses) -> list[BridgeAddress]:
        """The gateways that the bridge itself is."""
        own: list[BridgeAddress] = [addresses.ipv4] if addresses.ipv4 and self._config.has_address else []
        if addresses.ipv6 is not None and self._config.gateway_mode6 != ISOLATED:
            own.append(addresses.ipv6)
        return own

    def start_firewall(
        self, kernel: HostKernel, addresses: BridgeAddresses, endpoints: Collection[Endpoint]
    ) -> tuple[bool, list[str]]:
        """Join the table; whether ip_forward had to be switched on, and warnings. Raises: NftError, SyscallError."""
        config = self._config
        network = BridgedSubnet(
            config.bridge,
            str(addresses.ipv4.network) if addresses.ipv4 else "",
            config.internal,
            config.masquerade,
            config.gateway_mode,
            has_address=config.has_address,
            subnet6=str(addresses.ipv6.network) if addresses.ipv6 else "",
            mode6=config.gateway_mode6,
        )
        kernel.table.join(network, [entry for endpoint in endpoints for entry in publications_of(endpoint)])
        kernel.guard.add(
            [*self._gateways(addresses), *(claim for known in endpoints for claim in self.claims_of(known))]
        )
        switched = config.ip_forward and not read_ip_forward()
        if switched:
            write_ip_forward(enabled=True)
        warnings = []
        for family in self._families():
            exception = ForwardException(kernel.nft, config.bridge, family)
            warnings.append(kernel.exceptions.setdefault((config.bridge, family), exception).ensure())
        return switched, list(filter(None, warnings))

    def remove(
        self, kernel: HostKernel, device: BridgeDevice | None, record: NetworkRecord, endpoints: Collection[Endpoint]
    ) -> None:
        """Take everything of the network from the host, also what a killed daemon left.

        Raises: SyscallError, NftError; whatever can be removed is removed first.
        """
        name = self._config.bridge
        bridge = device or self._device(kernel)
        publications = [entry for endpoint in endpoints for entry in publications_of(endpoint)]
        claims = [*self._known_gateways(record), *(claim for known in endpoints for claim in self.claims_of(known))]
        failure: ShoalError | None = None
        for step in (
            *(self._exception(kernel, family).remove for family in self._families()),
            kernel.destroy if self._owns_table else lambda: kernel.table.leave(name, publications),
            lambda: kernel.guard.remove(claims),
            (lambda: None) if self._config.adopted else bridge.remove,
            _reset_ip_forward(kernel, record),
        ):
            try:
                step()
            except ShoalError as error:
                failure = failure or error
        if device is None:
            bridge.close()
        if failure is not None:
            raise failure

    def _device(self, kernel: HostKernel) -> BridgeDevice:
        config = self._config
        return BridgeDevice(kernel.netlink, config.bridge, config.mtu, group=self._group)

    def _gateways(self, addresses: BridgeAddresses) -> list[Claim]:
        """The bridge's own addresses, which no container may use."""
        own = [str(address.ip) for address in self._own_addresses(addresses)]
        if any(":" in address for address in own) and not self._config.adopted:
            own.append(link_local(bridge_mac(addresses)))
        return [Claim(self._group, address) for address in own]

    def _known_gateways(self, record: NetworkRecord) -> list[Claim]:
        ipv4 = IPv4Interface(record.address) if record.address else None
        ipv6 = IPv6Interface(record.address6) if record.address6 else None
        return self._gateways(BridgeAddresses(ipv4, ipv6))

    def claims_of(self, endpoint: Endpoint) -> list[Claim]:
        """The addresses that only this endpoint may use, its link's own among them."""
        addresses = [*endpoint.addresses, *([link_local(endpoint.mac)] if endpoint.ip6 else [])]
        addresses += [address.partition("/")[0] for address in endpoint.link_local]
        return [Claim(self._group, address, endpoint.mac) for address in addresses]

    def _families(self) -> tuple[str, ...]:
        return ("ip", "ip6") if self._config.ipv6 else ("ip",)

    def _exception(self, kernel: HostKernel, family: str) -> ForwardException:
        bridge = self._config.bridge
        known = kernel.exceptions.pop((bridge, family), None)
        return known or ForwardException(kernel.nft, bridge, family)


def bridge_mac(addresses: BridgeAddresses) -> str:
    """The MAC of a bridge that shoal makes: that of its gateway."""
    gateway = addresses.ipv4 or addresses.ipv6
    assert gateway is not None  # a network has one of the families
    return default_mac(str(gateway.ip))


def publications_of(endpoint: Endpoint) -> list[Publication]:
    """The endpoint's published ports, and where in the container they lead."""
    return [Publication(port, endpoint.ip6 if port.is_ipv6 else endpoint.ip) for port in endpoint.ports]


def _reset_ip_forward(kernel: HostKernel, record: NetworkRecord) -> Callable[[], None]:
    def reset() -> None:
        # Another bridge means another engine that came later and relies on what it found.
        others = any(link.kind == "bridge" for link in kernel.netlink.link_list())
        if record.set_ip_forward and not others:
            write_ip_forward(enabled=False)

    return reset
