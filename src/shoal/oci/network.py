"""What a container's own side of a network is: the data that the launch plan's ConfigureInterface step needs.

Pure. Made by network/ in shoald (which wires the host's side), carried in the runtime's launch request.
"""

from __future__ import annotations

import msgspec


class InterfaceConfig(msgspec.Struct, frozen=True, kw_only=True):
    """One interface inside a container, already moved there by the host, still down and without addresses."""

    name: str = "eth0"
    address: str | None = None
    """With its prefix, "172.17.0.2/16", or "fd00::2/64" in a network without IPv4; None leaves it unconfigured."""
    gateway: str | None = None
    gateway_mac: str | None = None
    """The gateway's, where the host knows it for good: the container needs no ARP to reach it."""
    address6: str | None = None
    """With its prefix, "fd00::2/64"; None where `address` is all."""
    gateway6: str | None = None
    mac: str | None = None
    """Already set by the host when it made the veth pair; here for inspection."""
    mtu: int | None = None
