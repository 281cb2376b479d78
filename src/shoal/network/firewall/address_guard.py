"""No container sends from the address of another one of its network, or of the gateway: a table of the family bridge.

The ports of bridges are locked to the MACs of their containers (`rtnetlink.set_port`), so that here it is enough to
know which MAC an address goes with. A frame from a container's port is dropped when the address that it claims is
`owned` and the pair of its MAC and that address is not known: as sender of IP or of ARP, as target of a neighbour
advertisement. Addresses that nobody owns pass, such as a floating one that containers hand to each other.

Ports are told from those of other bridges by their device group, in whose upper half is the daemon and in whose lower
half the network. So neither networks nor containers are rules here; a container is some elements of the sets.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from shoal.network.firewall.elements import NFPROTO_BRIDGE, Element, SetElements
from shoal.network.firewall.nftables import Nftables, NftError
from shoal.network.firewall.publications import pack_address

_DAEMON = 0xFFFF0000
_CLAIMS_A_MESSAGE = 500


@dataclass(frozen=True, slots=True)
class Claim:
    """An address of a network whose ports are in `group`, and the MAC that alone may use it; "" for none of theirs."""

    group: int
    address: str
    mac: str = ""


class AddressGuard:
    """The table `name` of the family bridge, for the one thread that owns `nft`. Blocking.

    Knows what it should hold, so that it can mend itself when somebody flushed the whole ruleset.
    """

    def __init__(self, nft: Nftables, name: str, group: int) -> None:
        """`group` is the upper half of the daemon's device groups."""
        self._nft = nft
        self._name = name
        self._group = group
        self._elements = SetElements(name, NFPROTO_BRIDGE)
        self._claims: dict[Claim, None] = {}
        self._is_up = False
        self._is_whole = False  # all elements have arrived in the table

    def bring_up(self) -> str:
        """Make the table what it is to be, in one transaction; a warning where the kernel has no such tables.

        Raises: NftError.
        """
        try:
            self._render()
        except NftError as error:
            if not error.unsupported:
                raise
            return (
                "containers can claim each other's addresses: the kernel has no nftables for bridges"
                " (CONFIG_NF_TABLES_BRIDGE; modprobe nf_tables_bridge)"
            )
        self._is_up = True
        return ""

    def add(self, claims: Sequence[Claim]) -> None:
        """Guard more addresses. Raises: NftError."""
        self._claims.update(dict.fromkeys(claims))
        self._change(self._elements.add, claims)

    def remove(self, claims: Iterable[Claim]) -> None:
        """Guard them no longer; harmless for those that aren't. Raises: NftError."""
        known = [claim for claim in claims if claim in self._claims]
        for claim in known:
            del self._claims[claim]
        self._change(self._elements.remove, known)

    def _change(self, change: Callable[[Iterable[Element]], None], claims: Iterable[Claim]) -> None:
        if self._is_up:
            try:
                change(element for claim in claims for element in elements_of(claim))
            except NftError:
                self._render()  # flushed, or not as we left it

    def mend(self) -> bool:
        """Put the table back if it is gone, or not whole; whether it was. Raises: NftError."""
        if not self._is_up or (self._is_whole and self._exists()):
            return False
        self._render()
        return True

    def _exists(self) -> bool:
        try:
            return "@pairs6" in self._nft.run(f"list chain bridge {self._name} guard")
        except NftError as error:
            if error.missing:
                return False
            raise

    def _render(self) -> None:
        self._is_whole = False
        self._nft.run(render_guard(self._name, self._group))
        claims = list(self._claims)
        for start in range(0, len(claims), _CLAIMS_A_MESSAGE):
            some = claims[start : start + _CLAIMS_A_MESSAGE]
            self._elements.add(element for claim in some for element in elements_of(claim))
        self._is_whole = True

    def destroy(self) -> None:
        """Take the table away; harmless when there is none. Raises: NftError."""
        self._claims.clear()
        self._is_up = False
        try:
            self._nft.run(f"add table bridge {self._name}\ndelete table bridge {self._name}\n")
        except NftError as error:
            if not error.unsupported:
                raise

    def close(self) -> None:
        """Let go of the kernel; the table stays."""
        self._elements.close()


def render_guard(name: str, group: int) -> str:
    """Commands that put the table, without elements, in place of whatever had its name.

    Frames with a VLAN tag of number 0 are dropped, because their receiver reads them as if they had none. Of ARP only
    what is for Ethernet: the kernel takes other hardware types that nft's `arp saddr` does not look at.
    """
    port = "meta iifgroup ."
    return f"""\
add table bridge {name}
delete table bridge {name}
table bridge {name} {{
  set owned {{ type devgroup . ipv4_addr; }}
  set pairs {{ type devgroup . ether_addr . ipv4_addr; }}
  set owned6 {{ type devgroup . ipv6_addr; }}
  set pairs6 {{ type devgroup . ether_addr . ipv6_addr; }}
  set told6 {{ typeof meta iifgroup . @th,64,128; }}
  set tellers6 {{ typeof meta iifgroup . ether saddr . @th,64,128; }}
  chain guard {{
    type filter hook prerouting priority -300; policy accept;
    meta iifgroup & {_DAEMON} != {group} accept
    ether type 8021ad drop
    vlan id 0 drop
    {port} ip saddr @owned {port} ether saddr . ip saddr != @pairs drop
    arp htype != 1 drop
    {port} arp saddr ip @owned {port} ether saddr . arp saddr ip != @pairs drop
    {port} ip6 saddr @owned6 {port} ether saddr . ip6 saddr != @pairs6 drop
    icmpv6 type nd-neighbor-advert {port} @th,64,128 @told6 {port} ether saddr . @th,64,128 != @tellers6 drop
  }}
}}
"""


def elements_of(claim: Claim) -> list[Element]:
    """The elements that guard one address."""
    group, address = struct.pack("=I", claim.group), pack_address(claim.address)
    owned, pairs = (("owned6", "told6"), ("pairs6", "tellers6")) if ":" in claim.address else (("owned",), ("pairs",))
    elements = [Element(name, group + address) for name in owned]
    if claim.mac:
        mac = bytes.fromhex(claim.mac.replace(":", "")) + bytes(2)
        elements += [Element(name, group + mac + address) for name in pairs]
    return elements
