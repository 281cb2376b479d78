"""Gives a container's interface to its guest: a bridge in the container's own network namespace joins it with a tap.

    host's bridge ── veth ── eth0 ── bridge ── tap ── QEMU ── the guest's eth0, with the MAC that eth0 had

Addresses, routes and names are the guest's affair then. Everything here goes with the network namespace.
"""

from __future__ import annotations

import fcntl
import os
import struct

from shoal.errors import SyscallError, Unsupported
from shoal.linux.fd import Fd
from shoal.linux.netlink import Netlink
from shoal.supervisor.machine.places import BRIDGE, TAP

# include/uapi/linux/if_tun.h
_TUNSETIFF = 0x400454CA
_BRIDGEABLE = ("veth",)
_IFF_TAP, _IFF_NO_PI, _IFF_VNET_HDR = 0x0002, 0x1000, 0x4000


def take_over(name: str, number: int) -> tuple[Fd, str, int]:
    """(a tap's descriptor, the MAC that the guest is to have, the MTU) for the interface `name`.

    Raises: SyscallError; Unsupported for one that cannot be a bridge's port.
    """
    bridge, tap_name = f"{BRIDGE}{number}", f"{TAP}{number}"
    tap = _open_tap(tap_name)
    with Netlink() as netlink:
        # Not the guest's: shoald's resolver listens there.
        netlink.configure_interface("lo", None, None)
        link = netlink.link_get(name)
        if link.kind not in _BRIDGEABLE:
            raise Unsupported(
                f"a virtual machine cannot be in a network of the driver {link.kind}",
                why="such an interface takes frames for its own address only, and not the guest's",
                fix="use a network of the driver bridge",
            )
        # Frames for the guest's MAC must not seem to be for the host's end of the pair.
        netlink.link_set(name, mac=_other_mac())
        netlink.link_add_bridge(bridge, mac=_other_mac(), mtu=link.mtu)
        netlink.link_set(tap_name, mtu=link.mtu, master=bridge)
        netlink.link_set(name, master=bridge)
        # The port of a container that publishes ports sends it its own broadcasts back: the bridge must not learn from
        # them that the guest is out there, or no answer reaches it.
        netlink.bridge_pin_mac(tap_name, link.mac)
        for each in (bridge, tap_name, name):
            netlink.link_up_quietly(each)
    return tap, link.mac, link.mtu


def _open_tap(name: str) -> Fd:
    try:
        tap = Fd(os.open("/dev/net/tun", os.O_RDWR | os.O_CLOEXEC | os.O_NONBLOCK))
        request = struct.pack("16sH22x", name.encode(), _IFF_TAP | _IFF_NO_PI | _IFF_VNET_HDR)
        fcntl.ioctl(tap.fileno(), _TUNSETIFF, request)
    except OSError as error:
        raise SyscallError("open", "/dev/net/tun", error.errno or 0, fix="modprobe tun") from None
    return tap


def _other_mac() -> str:
    """A random one of a machine of nobody's (locally administered, unicast)."""
    first, *others = os.urandom(6)
    return ":".join(f"{byte:02x}" for byte in (first & 0xFC | 0x02, *others))
