"""The text of a daemon's nftables table. Pure: what is wanted in, nft commands out.

One table per daemon, two maps, so that publishing a port is adding an element and no rule:

    published_at    protocol . host address . port  →  container address . port     -p 127.0.0.1:8080:80
    published_any   protocol . port                 →  container address . port     -p 8080:80

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

from shoal.network.endpoint import ANY_ADDRESS, PublishedPort

PUBLISHED_AT, PUBLISHED_ANY = "published_at", "published_any"


@dataclass(frozen=True, slots=True)
class BridgedSubnet:
    """One bridge that the table serves. `internal`: nothing passes between it and other networks.

    `masquerade`: its containers seem to be the host to whom they talk to outside.
    """

    bridge: str
    subnet: str
    internal: bool = False
    masquerade: bool = True


@dataclass(frozen=True, slots=True)
class Publication:
    """A published port and the address of the container it leads to."""

    port: PublishedPort
    container_ip: str


def render_table(table: str, networks: Iterable[BridgedSubnet], publications: Iterable[Publication]) -> str:
    """Commands that put the whole table in place of whatever had its name, in one transaction."""
    networks, publications = list(networks), list(publications)
    guarded = [publication for publication in publications if publication.port.guarded]
    return (
        # `add` first, because deleting what isn't there would fail the transaction.
        f"add table inet {table}\ndelete table inet {table}\ntable inet {table} {{\n"
        + _maps()
        + (_guarded_chains() if guarded else _publish_chains("publish"))
        + _postrouting(networks)
        + _guard(networks)
        + _forward(networks)
        + "}\n"
        + _elements(table, publications)
        + "".join(f"add element inet {table} {_guard_of(entry)} {{ {_key(entry)} }}\n" for entry in guarded)
    )


def render_permits_forgotten(table: str) -> str:
    """Commands after which every client of a guarded port asks the host's firewall anew."""
    return f"flush set inet {table} permitted\n"


def map_of(publication: Publication) -> str:
    """The map that a published port belongs into."""
    return PUBLISHED_ANY if publication.port.host_ip == ANY_ADDRESS else PUBLISHED_AT


def _elements(table: str, publications: Iterable[Publication]) -> str:
    return "".join(
        f"add element inet {table} {map_of(publication)} {{ {_key(publication)} : {_target(publication)} }}\n"
        for publication in publications
    )


def render_destroyed(table: str) -> str:
    """Commands after which there is no such table, whether there was one or not."""
    return f"add table inet {table}\ndelete table inet {table}\n"


def _maps() -> str:
    target = "ipv4_addr . inet_service"
    return (
        f"  map published_at {{ type inet_proto . ipv4_addr . inet_service : {target}; }}\n"
        f"  map published_any {{ type inet_proto . inet_service : {target}; }}\n"
    )


def _guarded_chains() -> str:
    # `permitted` is kept short, and forgotten when a firewall changes: what others come to deny is denied soon.
    # The end of input is behind the chains of others (iptables 0, firewalld 10), and before conntrack keeps the flow:
    # dropped there, the client's next try is a new one.
    return """\
  set guarded_at { type inet_proto . ipv4_addr . inet_service; }
  set guarded_any { type inet_proto . inet_service; }
  set permitted { type inet_proto . ipv4_addr . inet_service; flags dynamic,timeout; timeout 10m; size 65536; }
  chain arriving {
    meta l4proto . ip saddr . th dport @permitted goto publish
    meta l4proto . ip daddr . th dport @guarded_at return
    meta l4proto . th dport @guarded_any return
    goto publish
  }
  chain permit {
    ct state new update @permitted { meta l4proto . ip saddr . th dport } drop
  }
  chain input_end {
    type filter hook input priority 10000; policy accept;
    ct state != new accept
    meta l4proto . ip daddr . th dport @guarded_at jump permit
    meta l4proto . th dport @guarded_any jump permit
  }
""" + _publish_chains("arriving")


def _guard_of(publication: Publication) -> str:
    return "guarded_any" if publication.port.host_ip == ANY_ADDRESS else "guarded_at"


def _publish_chains(arriving: str) -> str:
    # The prerouting hook leaves 127.0.0.0/8 alone: a packet from the wire with such a destination would otherwise be
    # translated before the kernel can call it martian, and reach a port that is published to loopback only. What
    # the host sends to its own loopback passes the output hook.
    return f"""\
  chain publish {{
    dnat ip to meta l4proto . ip daddr . th dport map @published_at
    dnat ip to meta l4proto . th dport map @published_any
  }}
  chain prerouting {{
    type nat hook prerouting priority -100; policy accept;
    meta l4proto {{ tcp, udp, sctp }} ip daddr != 127.0.0.0/8 fib daddr type local jump {arriving}
  }}
  chain output {{
    type nat hook output priority -100; policy accept;
    meta nfproto ipv4 meta l4proto {{ tcp, udp, sctp }} fib daddr type local jump publish
  }}
"""


def _postrouting(networks: list[BridgedSubnet]) -> str:
    rules = ""
    for network in networks:
        if network.masquerade and not network.internal:
            rules += f'    ip saddr {network.subnet} oifname != "{network.bridge}" masquerade\n'
        rules += (
            f'    ip saddr {{ {network.subnet}, 127.0.0.0/8 }} oifname "{network.bridge}" ct status dnat masquerade\n'
        )
    return f"  chain postrouting {{\n    type nat hook postrouting priority 100; policy accept;\n{rules}  }}\n"


def _guard(networks: list[BridgedSubnet]) -> str:
    # route_localnet makes the kernel accept 127.0.0.0/8 on the bridge, in both directions: without this rule a
    # container could talk to whatever listens on the host's loopback, or seem to be the host itself.
    # And a container sends from addresses only to which the host would answer through the bridge: else it could pass
    # for a machine of the LAN, to the host and beyond. rp_filter of the bridge alone would not do, the kernel takes the
    # greater value of it and `all`, and 2 is looser than 1.
    rules = "".join(
        f'    iifname "{network.bridge}" ip daddr 127.0.0.0/8 drop\n'
        f'    iifname "{network.bridge}" ip saddr 127.0.0.0/8 drop\n'
        f'    iifname "{network.bridge}" meta nfproto ipv4 fib saddr . iif oif missing drop\n'
        for network in networks
    )
    return f"  chain guard {{\n    type filter hook prerouting priority -300; policy accept;\n{rules}  }}\n"


def _forward(networks: list[BridgedSubnet]) -> str:
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
            "    drop\n"
            "  }\n"
        )
    return chains + f"  chain forward {{\n    type filter hook forward priority 0; policy accept;\n{jumps}  }}\n"


def _key(publication: Publication) -> str:
    port = publication.port
    if port.host_ip == ANY_ADDRESS:
        return f"{port.protocol} . {port.host_port}"
    return f"{port.protocol} . {port.host_ip} . {port.host_port}"


def _target(publication: Publication) -> str:
    return f"{publication.container_ip} . {publication.port.container_port}"
