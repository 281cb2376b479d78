"""The text of a daemon's nftables table. Pure: what is wanted in, nft commands out.

One table per daemon, two maps, so that publishing a port is adding an element and no rule:

    published_at    protocol . host address . port  →  container address . port     -p 127.0.0.1:8080:80
    published_any   protocol . port                 →  container address . port     -p 8080:80

and for IPv6 `published6_at` and `published6_any`, with all that follows, as soon as one of the networks has it. In a
routed network nothing is translated: clients ask for the container itself, and `opened` has what they may ask for.

Reading order of a packet for a published port:
    from another machine   prerouting (DNAT) → forward (accepted because it was translated)
    from the host itself   output (DNAT, 127.0.0.0/8 too) → postrouting (loopback source masqueraded)
    from a container       prerouting (DNAT) → forward, or bridged → postrouting (masqueraded, or the answer would
                           go straight back to the sender, who doesn't know it)

A guarded port (see docs/ports.md) asks the host's own firewall first, whatever that is made of: the first packet of a
client is not translated, so that it passes the input hook as one for a program of the host would. If nobody there
drops it, its client is written down in `permitted`, and what the client sends again is translated.
    first packet           prerouting (left alone) → input, rules of others → input_end (client permitted; dropped)
    sent again             prerouting (DNAT) → forward
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from shoal.network.endpoint import ANY_ADDRESS, ANY_ADDRESS6, PublishedPort

PUBLISHED_AT, PUBLISHED_ANY = "published_at", "published_any"
PUBLISHED6_AT, PUBLISHED6_ANY = "published6_at", "published6_any"


@dataclass(frozen=True, slots=True)
class BridgedSubnet:
    """One bridge that the table serves. `internal`: nothing passes between it and other networks.

    `masquerade`: its containers seem to be the host to whom they talk to outside. `mode`: "nat", "nat-unprotected"
    (others may route to its containers' own addresses), "routed" (to what they publish) or "isolated". `has_address`:
    the bridge has one in the subnet. `mode6` is the mode of IPv6, which a network with a `subnet6` has.
    """

    bridge: str
    subnet: str
    internal: bool = False
    masquerade: bool = True
    mode: str = "nat"
    has_address: bool = True
    subnet6: str = ""
    mode6: str = "nat"


@dataclass(frozen=True, slots=True)
class Publication:
    """A published port and the address of the container it leads to."""

    port: PublishedPort
    container_ip: str

    @property
    def is_opened(self) -> bool:
        """Whether clients ask for the container itself."""
        return self.port.host_port == 0


@dataclass(frozen=True, slots=True)
class _Family:
    """The words of IPv4 or IPv6 in a rule, and what a name of this table has where the other family has none."""

    ip: str
    address: str  # the type of one
    suffix: str
    loopback: str
    icmp: str

    def subnet(self, network: BridgedSubnet) -> str:
        """The network's subnet of this family, "" for none."""
        return network.subnet6 if self.suffix else network.subnet

    def is_routed_by_host(self, network: BridgedSubnet) -> bool:
        """Whether the host has a route into the network's subnet of this family."""
        return network.mode6 != "isolated" if self.suffix else network.has_address

    def mode(self, network: BridgedSubnet) -> str:
        """The network's mode for this family."""
        return network.mode6 if self.suffix else network.mode


_IPV4 = _Family("ip", "ipv4_addr", "", "127.0.0.0/8", "icmp")
_IPV6 = _Family("ip6", "ipv6_addr", "6", "::1", "icmpv6")


def render_table(
    table: str,
    networks: Iterable[BridgedSubnet],
    publications: Iterable[Publication],
    *,
    reaches_loopback6: bool = True,
) -> str:
    """Commands that put the whole table in place of whatever had its name, in one transaction.

    `reaches_loopback6`: what the host sends to ::1 can be translated; see `ipv6_host.reaches_loopback`.
    """
    networks, publications = list(networks), list(publications)
    families = _families(networks)
    guarded = [publication for publication in publications if publication.port.guarded]
    return (
        # `add` first, because deleting what isn't there would fail the transaction.
        f"add table inet {table}\ndelete table inet {table}\ntable inet {table} {{\n"
        + "".join(_maps(family) for family in families)
        + "".join(_opened_set(family, networks) for family in families)
        + "".join(_publish_chain(family) for family in families)
        + ("".join(_guarded_chains(family) for family in families) + _input_end(families) if guarded else "")
        + _translation_hooks(families, bool(guarded), reaches_loopback6=reaches_loopback6)
        + _postrouting(networks, families)
        + _guard(networks, families)
        + _forward(networks, families)
        + "}\n"
        + _elements(table, publications)
        + "".join(f"add element inet {table} {_guard_of(entry)} {{ {_key(entry)} }}\n" for entry in guarded)
    )


def render_permits_forgotten(table: str, networks: Iterable[BridgedSubnet]) -> str:
    """Commands after which every client of a guarded port asks the host's firewall anew."""
    return "".join(f"flush set inet {table} permitted{family.suffix}\n" for family in _families(networks))


def map_of(publication: Publication) -> str:
    """The map that a published port belongs into."""
    port = publication.port
    if port.is_ipv6:
        return PUBLISHED6_ANY if port.host_ip == ANY_ADDRESS6 else PUBLISHED6_AT
    return PUBLISHED_ANY if port.host_ip == ANY_ADDRESS else PUBLISHED_AT


def _elements(table: str, publications: Iterable[Publication]) -> str:
    text = ""
    for publication in publications:
        if publication.is_opened:
            port = publication.port
            name = "opened6" if port.is_ipv6 else "opened"
            element = f"{port.protocol} . {publication.container_ip} . {port.container_port}"
        else:
            name, element = map_of(publication), f"{_key(publication)} : {_target(publication)}"
        text += f"add element inet {table} {name} {{ {element} }}\n"
    return text


def render_destroyed(table: str) -> str:
    """Commands after which there is no such table, whether there was one or not."""
    return f"add table inet {table}\ndelete table inet {table}\n"


def _families(networks: Iterable[BridgedSubnet]) -> list[_Family]:
    return [_IPV4, *([_IPV6] if any(network.subnet6 for network in networks) else [])]


def _maps(family: _Family) -> str:
    address, number = family.address, family.suffix
    target = f"{address} . inet_service"
    return (
        f"  map published{number}_at {{ type inet_proto . {address} . inet_service : {target}; }}\n"
        f"  map published{number}_any {{ type inet_proto . inet_service : {target}; }}\n"
    )


def _opened_set(family: _Family, networks: list[BridgedSubnet]) -> str:
    if not any(family.mode(network) == "routed" for network in networks):
        return ""
    return f"  set opened{family.suffix} {{ type inet_proto . {family.address} . inet_service; }}\n"


def _guarded_chains(family: _Family) -> str:
    # `permitted` is kept short, and forgotten when a firewall changes: what others come to deny is denied soon.
    ip, address, number = family.ip, family.address, family.suffix
    return f"""\
  set guarded{number}_at {{ type inet_proto . {address} . inet_service; }}
  set guarded{number}_any {{ type inet_proto . inet_service; }}
  set permitted{number} {{
    type inet_proto . {address} . inet_service; flags dynamic,timeout; timeout 10m; size 65536;
  }}
  chain arriving{number} {{
    meta l4proto . {ip} saddr . th dport @permitted{number} goto publish{number}
    meta l4proto . {ip} daddr . th dport @guarded{number}_at return
    meta l4proto . th dport @guarded{number}_any return
    goto publish{number}
  }}
  chain permit{number} {{
    ct state new update @permitted{number} {{ meta l4proto . {ip} saddr . th dport }} drop
  }}
"""


def _input_end(families: list[_Family]) -> str:
    # The end of input is behind the chains of others (iptables 0, firewalld 10), and before conntrack keeps the flow:
    # dropped there, the client's next try is a new one.
    rules = "".join(
        f"    meta l4proto . {family.ip} daddr . th dport @guarded{family.suffix}_at jump permit{family.suffix}\n"
        f"    {_only(family)}meta l4proto . th dport @guarded{family.suffix}_any jump permit{family.suffix}\n"
        for family in families
    )
    head = "    type filter hook input priority 10000; policy accept;\n    ct state != new accept\n"
    return f"  chain input_end {{\n{head}{rules}  }}\n"


def _only(family: _Family) -> str:
    return f"meta nfproto ipv{family.suffix or 4} "


def _guard_of(publication: Publication) -> str:
    return map_of(publication).replace("published", "guarded")


def _publish_chain(family: _Family) -> str:
    ip, number = family.ip, family.suffix
    return f"""\
  chain publish{number} {{
    dnat {ip} to meta l4proto . {ip} daddr . th dport map @published{number}_at
    dnat {ip} to meta l4proto . th dport map @published{number}_any
  }}
"""


def _translation_hooks(families: list[_Family], has_guarded: bool, *, reaches_loopback6: bool) -> str:
    # The prerouting hook leaves loopback addresses alone: a packet from the wire with such a destination would
    # otherwise be translated before the kernel can call it martian, and reach a port that is published to loopback
    # only. What the host sends to its own loopback passes the output hook.
    arriving = "arriving" if has_guarded else "publish"
    protocols = "meta l4proto { tcp, udp, sctp }"
    incoming = outgoing = ""
    for family in families:
        chain = family.suffix
        incoming += (
            f"    {protocols} {family.ip} daddr != {family.loopback} fib daddr type local jump {arriving}{chain}\n"
        )
        own = f"{family.ip} daddr != {family.loopback} " if family is _IPV6 and not reaches_loopback6 else ""
        outgoing += f"    {_only(family)}{protocols} {own}fib daddr type local jump publish{chain}\n"
    return (
        "  chain prerouting {\n    type nat hook prerouting priority -100; policy accept;\n" + incoming + "  }\n"
        "  chain output {\n    type nat hook output priority -100; policy accept;\n" + outgoing + "  }\n"
    )


def _postrouting(networks: list[BridgedSubnet], families: list[_Family]) -> str:
    rules = ""
    for network in networks:
        for family in families:
            subnet, ip = family.subnet(network), family.ip
            if not subnet or family.mode(network) == "routed":
                continue
            if network.masquerade and not network.internal:
                rules += f'    {ip} saddr {subnet} oifname != "{network.bridge}" masquerade\n'
            sources = f"{{ {subnet}, {family.loopback} }}"
            rules += f'    {ip} saddr {sources} oifname "{network.bridge}" ct status dnat masquerade\n'
    return f"  chain postrouting {{\n    type nat hook postrouting priority 100; policy accept;\n{rules}  }}\n"


def _guard(networks: list[BridgedSubnet], families: list[_Family]) -> str:
    # route_localnet makes the kernel accept 127.0.0.0/8 on the bridge, in both directions: without this rule a
    # container could talk to whatever listens on the host's loopback, or seem to be the host itself.
    # And a container sends from addresses only to which the host would answer through the bridge: else it could pass
    # for a machine of the LAN, to the host and beyond. rp_filter of the bridge alone would not do, the kernel takes the
    # greater value of it and `all`, and 2 is looser than 1. With IPv6 there is no such filter at all; neighbours that
    # look for each other have no address yet, or a link's own, which leads nowhere else.
    rules = ""
    for network in networks:
        for family in families:
            if not family.subnet(network):
                continue
            own = "ip6 saddr != { ::, fe80::/10 } " if family is _IPV6 else _only(family)
            rules += (
                f'    iifname "{network.bridge}" {family.ip} daddr {family.loopback} drop\n'
                f'    iifname "{network.bridge}" {family.ip} saddr {family.loopback} drop\n'
            )
            # What stays on the bridge is the address guard's affair; iptables may have bridged packets pass here too.
            if family.is_routed_by_host(network):
                leaving = "fib daddr . iif oif missing"
                rules += f'    iifname "{network.bridge}" {own}fib saddr . iif oif missing {leaving} drop\n'
    return f"  chain guard {{\n    type filter hook prerouting priority -300; policy accept;\n{rules}  }}\n"


def _forward(networks: list[BridgedSubnet], families: list[_Family]) -> str:
    # Who routes to a container's own address from another machine or network, past the published ports, is turned away.
    jumps = "".join(
        f'    iifname "{network.bridge}" oifname != "{network.bridge}" drop\n'
        for network in networks
        if network.internal
    )
    jumps += "".join(f'    oifname "{network.bridge}" jump inbound_{index}\n' for index, network in enumerate(networks))
    chains = ""
    for index, network in enumerate(networks):
        chains += (
            f"  chain inbound_{index} {{\n"
            "    ct state established,related accept\n"
            f'    iifname "{network.bridge}" accept\n'
            "    ct status dnat accept\n"
            + "".join(_let_in(family, family.mode(network)) for family in families if not network.internal)
            + "    drop\n"
            "  }\n"
        )
    return chains + f"  chain forward {{\n    type filter hook forward priority 0; policy accept;\n{jumps}  }}\n"


def _let_in(family: _Family, mode: str) -> str:
    """What may come to containers' own addresses from elsewhere."""
    if mode == "nat-unprotected":
        return f"    {_only(family)}accept\n"
    if mode == "routed":
        opened = f"meta l4proto . {family.ip} daddr . th dport @opened{family.suffix}"
        return f"    {opened} accept\n    {_only(family)}meta l4proto {family.icmp} accept\n"
    return ""


def _key(publication: Publication) -> str:
    port = publication.port
    if port.host_ip in (ANY_ADDRESS, ANY_ADDRESS6):
        return f"{port.protocol} . {port.host_port}"
    return f"{port.protocol} . {port.host_ip} . {port.host_port}"


def _target(publication: Publication) -> str:
    return f"{publication.container_ip} . {publication.port.container_port}"
