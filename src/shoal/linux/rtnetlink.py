"""The messages of rtnetlink: their numbers, how requests are packed and replies read; no socket here.

For netlink.py, in whatever process that runs: keeps the supervisor's import allow-list. Sources: rtnetlink(7),
netlink(7), and the kernel headers named at each group of constants.
"""

from __future__ import annotations

import _socket as socket  # `socket` itself takes two milliseconds to import
import errno
from struct import calcsize, pack, unpack_from

from shoal.errors import SyscallError, errno_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

# linux/netlink.h
NLMSG_ERROR, NLMSG_DONE = 2, 3
NLM_F_REQUEST, NLM_F_ACK, NLM_F_DUMP = 0x1, 0x4, 0x300
NLM_F_DUMP_INTR, NLM_F_ACK_TLVS = 0x10, 0x200
NLM_F_REPLACE, NLM_F_EXCL, NLM_F_CREATE = 0x100, 0x200, 0x400
NLMSGERR_ATTR_MSG = 1
NLA_F_NESTED = 0x8000
NLA_TYPE_MASK = 0x3FFF

# linux/rtnetlink.h
RTM_NEWLINK, RTM_DELLINK, RTM_GETLINK = 16, 17, 18
RTM_NEWADDR, RTM_DELADDR, RTM_GETADDR = 20, 21, 22
RTM_NEWROUTE, RTM_DELROUTE, RTM_GETROUTE = 24, 25, 26
RTM_NEWNEIGH, RTM_DELNEIGH = 28, 29
NAMES = {
    RTM_NEWLINK: "RTM_NEWLINK",
    RTM_DELLINK: "RTM_DELLINK",
    RTM_GETLINK: "RTM_GETLINK",
    RTM_NEWADDR: "RTM_NEWADDR",
    RTM_DELADDR: "RTM_DELADDR",
    RTM_GETADDR: "RTM_GETADDR",
    RTM_NEWROUTE: "RTM_NEWROUTE",
    RTM_DELROUTE: "RTM_DELROUTE",
    RTM_GETROUTE: "RTM_GETROUTE",
    RTM_NEWNEIGH: "RTM_NEWNEIGH",
    RTM_DELNEIGH: "RTM_DELNEIGH",
}
RT_TABLE_MAIN, RT_TABLE_LOCAL, RTPROT_BOOT, RTN_UNICAST, RTN_LOCAL = 254, 255, 3, 1, 2
RT_SCOPE_UNIVERSE, RT_SCOPE_LINK, RT_SCOPE_NOWHERE = 0, 253, 255
RTA_DST, RTA_OIF, RTA_GATEWAY, RTA_PRIORITY, RTA_TABLE = 1, 4, 5, 6, 15

# linux/if_link.h, linux/if_addr.h, linux/veth.h
IFLA_ADDRESS, IFLA_IFNAME, IFLA_MTU, IFLA_MASTER, IFLA_LINKINFO = 1, 3, 4, 10, 18
IFLA_NET_NS_PID, IFLA_IFALIAS, IFLA_AF_SPEC, IFLA_GROUP, IFLA_NET_NS_FD = 19, 20, 26, 27, 28
IFLA_INFO_KIND, IFLA_INFO_DATA, IFLA_INFO_SLAVE_KIND, IFLA_INFO_SLAVE_DATA = 1, 2, 4, 5
VETH_INFO_PEER = 1
IFLA_BRPORT_STATE, IFLA_BRPORT_MODE, IFLA_BRPORT_ISOLATED, IFLA_BRPORT_LOCKED = 1, 4, 33, 39
BR_STATE_FORWARDING = 3
IFLA_INET6_ADDR_GEN_MODE, IN6_ADDR_GEN_MODE_NONE = 8, 1
IFA_ADDRESS, IFA_LOCAL, IFA_BROADCAST = 1, 2, 4
IFA_F_NODAD = 0x02
IFF_UP = 0x1

# linux/neighbour.h
AF_BRIDGE, NTF_MASTER, NTF_STICKY = 7, 0x04, 0x40
NUD_NOARP, NUD_PERMANENT = 0x40, 0x80
NDA_DST, NDA_LLADDR = 1, 2

_LAST_PRIORITY = 0x7FFFFFFF

IFINFOMSG = "BxHiII"  # family, type, index, flags, change
IFADDRMSG = "BBBBI"  # family, prefix, flags, scope, index
NDMSG = "BxxxiHBB"  # family, index, state, flags, type
RTMSG = "BBBBBBBBI"  # family, dst_len, src_len, tos, table, protocol, scope, type, flags


class Link:
    """One interface as the kernel reports it; `kind` is "" for hardware and for loopback."""

    __slots__ = ("alias", "flags", "index", "kind", "mac", "master", "mtu", "name")

    def __init__(
        self, index: int, name: str, kind: str, flags: int, mtu: int, mac: str, master: int, alias: str = ""
    ) -> None:
        self.index = index
        self.name = name
        self.kind = kind
        self.flags = flags
        self.mtu = mtu
        self.mac = mac
        self.master = master  # index of the bridge that it is a port of, 0 for none
        self.alias = alias

    @property
    def is_up(self) -> bool:
        """Whether the interface is administratively up."""
        return bool(self.flags & IFF_UP)


class Address:
    """One address of one interface: `address`/`prefix` on the link with `index`."""

    __slots__ = ("address", "family", "index", "prefix")

    def __init__(self, index: int, family: int, address: str, prefix: int) -> None:
        self.index = index
        self.family = family
        self.address = address
        self.prefix = prefix


class Route:
    """One route: `destination`/`prefix` ("0.0.0.0"/0 or "::"/0 for the default) by `gateway` ("" if direct)."""

    __slots__ = ("destination", "family", "gateway", "index", "prefix", "table", "type")

    def __init__(
        self, family: int, destination: str, prefix: int, gateway: str, index: int, table: int, type: int
    ) -> None:
        self.family = family
        self.destination = destination
        self.prefix = prefix
        self.gateway = gateway
        self.index = index
        self.table = table
        self.type = type


class Request:
    """One message of a batch; `object` is what it is about, for the error, of which an `optional` one has none."""

    __slots__ = ("body", "flags", "kind", "object", "optional")

    def __init__(self, kind: int, flags: int, object: str, body: bytes, *, optional: bool = False) -> None:
        self.kind = kind
        self.flags = flags
        self.object = object
        self.body = body
        self.optional = optional


# -- building ---------------------------------------------------------------------------------------------------


def message(request: Request, flags: int, sequence: int) -> bytes:
    """One message, padded to four bytes; its length excludes the padding."""
    length = 16 + len(request.body)
    header = pack("IHHII", length, request.kind, flags | request.flags, sequence, 0)
    return header + request.body + bytes(-length & 3)


def attribute(kind: int, payload: bytes) -> bytes:
    """One attribute, padded to four bytes."""
    length = 4 + len(payload)
    return pack("HH", length, kind) + payload + bytes(-length & 3)


def nested(kind: int, payload: bytes) -> bytes:
    """An attribute that holds attributes."""
    return attribute(kind | NLA_F_NESTED, payload)


def string(kind: int, text: str) -> bytes:
    """An attribute that holds a NUL-terminated text."""
    return attribute(kind, text.encode() + b"\0")


def u32(kind: int, number: int) -> bytes:
    """An attribute that holds a number in the machine's byte order."""
    return attribute(kind, pack("I", number))


def common_attributes(name: str | None, *, mac: str | None, mtu: int | None) -> bytes:
    """The attributes that every kind of interface has; what is None is left out."""
    body = b"" if name is None else string(IFLA_IFNAME, name)
    if mac is not None:
        body += attribute(IFLA_ADDRESS, bytes.fromhex(mac.replace(":", "")))
    if mtu is not None:
        body += u32(IFLA_MTU, mtu)
    return body


def pack_address(address: str) -> tuple[int, bytes]:
    """Family and bytes of an IP address. Raises: SyscallError (EINVAL)."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        return family, socket.inet_pton(family, address)
    except OSError:
        raise SyscallError("inet_pton", address, errno.EINVAL) from None


# -- requests -----------------------------------------------------------------------------------------------------


def add_bridge(name: str, *, mac: str | None, mtu: int | None) -> Request:
    """Create a bridge, down."""
    body = pack(IFINFOMSG, 0, 0, 0, 0, 0) + common_attributes(name, mac=mac, mtu=mtu)
    body += nested(IFLA_LINKINFO, string(IFLA_INFO_KIND, "bridge"))
    return Request(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, name, body)


def add_veth(name: str, own: bytes, peer_name: str, peer: bytes, *, up: bool) -> Request:
    """Create a veth pair; `own` and `peer` are the attributes of its ends."""
    flags = IFF_UP if up else 0
    pair = nested(VETH_INFO_PEER, pack(IFINFOMSG, 0, 0, 0, 0, 0) + peer)
    info = string(IFLA_INFO_KIND, "veth") + nested(IFLA_INFO_DATA, pair)
    body = pack(IFINFOMSG, 0, 0, 0, flags, flags) + own + nested(IFLA_LINKINFO, info)
    return Request(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, f"{name}, peer {peer_name}", body)


def set_port(name: str, *, hairpin: bool | None = None, isolated: bool = False, forwarding: bool = False) -> Request:
    """Let a bridge's port send back what came in by it, or forward at once; the latter needs a carrier.

    Isolated ports get nothing from each other (Linux 4.18). Who sends into a port from a MAC that is not pinned to it
    (`pin_mac`) is not heard (5.18; older kernels pass over what they do not know).
    """
    port = attribute(IFLA_BRPORT_STATE, bytes([BR_STATE_FORWARDING])) if forwarding else b""
    if hairpin is not None:
        port += attribute(IFLA_BRPORT_MODE, bytes([hairpin])) + attribute(IFLA_BRPORT_LOCKED, b"\1")
    if isolated:
        port += attribute(IFLA_BRPORT_ISOLATED, b"\1")
    info = string(IFLA_INFO_SLAVE_KIND, "bridge") + nested(IFLA_INFO_SLAVE_DATA, port)
    body = pack(IFINFOMSG, 0, 0, 0, 0, 0) + string(IFLA_IFNAME, name) + nested(IFLA_LINKINFO, info)
    return Request(RTM_NEWLINK, 0, name, body)


def set_link(index: int, words: str, *, up: bool | None = None, attributes: bytes = b"") -> Request:
    """Change an interface; one with index 0 is named by an IFLA_IFNAME among the attributes."""
    flags, change = (0, 0) if up is None else (IFF_UP if up else 0, IFF_UP)
    return Request(RTM_NEWLINK, 0, words, pack(IFINFOMSG, 0, 0, index, flags, change) + attributes)


def set_no_link_local(name: str) -> Request:
    """Let an interface make no IPv6 link-local address when it comes up."""
    mode = attribute(IFLA_INET6_ADDR_GEN_MODE, bytes([IN6_ADDR_GEN_MODE_NONE]))
    body = pack(IFINFOMSG, 0, 0, 0, 0, 0) + string(IFLA_IFNAME, name)
    body += nested(IFLA_AF_SPEC, nested(socket.AF_INET6, mode))
    # A kernel without IPv6 refuses, and needs nothing either.
    return Request(RTM_NEWLINK, 0, name, body, optional=True)


def set_up(name: str) -> Request:
    """Bring up an interface."""
    return Request(RTM_NEWLINK, 0, name, pack(IFINFOMSG, 0, 0, 0, IFF_UP, IFF_UP) + string(IFLA_IFNAME, name))


def delete_link(index: int, words: str) -> Request:
    """Delete an interface."""
    return Request(RTM_DELLINK, 0, words, pack(IFINFOMSG, 0, 0, index, 0, 0))


def get_link(link: str | int) -> Request:
    """Ask for one interface by index or name."""
    body = pack(IFINFOMSG, 0, 0, link if isinstance(link, int) else 0, 0, 0)
    if isinstance(link, str):
        body += string(IFLA_IFNAME, link)
    return Request(RTM_GETLINK, 0, str(link), body)


def change_address(kind: int, index: int, address: str, prefix: int, words: str) -> Request:
    """Add (RTM_NEWADDR) or take (RTM_DELADDR) an address. Raises: SyscallError (EINVAL)."""
    family, packed = pack_address(address)
    flags = IFA_F_NODAD if family == socket.AF_INET6 else 0
    body = pack(IFADDRMSG, family, prefix, flags, 0, index)
    body += attribute(IFA_LOCAL, packed) + attribute(IFA_ADDRESS, packed)
    if family == socket.AF_INET and prefix < 31 and kind == RTM_NEWADDR:
        number = int.from_bytes(packed, "big") | (0xFFFFFFFF >> prefix)
        body += attribute(IFA_BROADCAST, number.to_bytes(4, "big"))
    # Only on creation: in a deletion the same bit as EXCL would mean NLM_F_BULK.
    create = NLM_F_CREATE | NLM_F_EXCL if kind == RTM_NEWADDR else 0
    return Request(kind, create, f"{address}/{prefix} on {words}", body)


def change_route(kind: int, destination: str, prefix: int, gateway: str | None, index: int | None) -> Request:
    """Add (RTM_NEWROUTE) or remove (RTM_DELROUTE) a route of the main table; the gateway 0.0.0.0, or ::, is none.

    Raises: SyscallError (EINVAL).
    """
    family, packed = pack_address(destination)
    gateway = None if gateway in ("0.0.0.0", "::") else gateway
    if kind == RTM_NEWROUTE:
        create = NLM_F_CREATE | NLM_F_EXCL
        scope = RT_SCOPE_UNIVERSE if gateway or family == socket.AF_INET6 else RT_SCOPE_LINK
        body = pack(RTMSG, family, prefix, 0, 0, RT_TABLE_MAIN, RTPROT_BOOT, scope, RTN_UNICAST, 0)
    else:
        create = 0
        body = pack(RTMSG, family, prefix, 0, 0, RT_TABLE_MAIN, 0, RT_SCOPE_NOWHERE, 0, 0)  # whoever made it
    if prefix:
        body += attribute(RTA_DST, packed)
    if gateway:
        body += attribute(RTA_GATEWAY, pack_address(gateway)[1])
    if index is not None:
        body += u32(RTA_OIF, index)
    words = f"{destination}/{prefix}" + (f" via {gateway}" if gateway else "")
    return Request(kind, create, words, body)


def add_local_route(address: str, index: int) -> Request:
    """Let the kernel take what comes in by an interface for `address`, IPv6, as its own, behind all other routes."""
    _, packed = pack_address(address)
    body = pack(RTMSG, socket.AF_INET6, 128, 0, 0, RT_TABLE_LOCAL, RTPROT_BOOT, RT_SCOPE_UNIVERSE, RTN_LOCAL, 0)
    body += attribute(RTA_DST, packed) + u32(RTA_OIF, index) + u32(RTA_PRIORITY, _LAST_PRIORITY)
    # Neither EXCL nor REPLACE: it stands beside those of other interfaces.
    return Request(RTM_NEWROUTE, NLM_F_CREATE, f"{address}/128 in the table local", body)


def pin_mac(index: int, mac: str, words: str) -> Request:
    """Let a bridge send what is for a MAC to one port, whatever it has learnt before or will see.

    Static, although that makes the kernel walk over all ports (0.8 ms for a thousand): a port without carrier, as one
    is before its container brings up its end, takes no other entry.
    """
    # Sticky (4.20), or a late packet of the MAC's former owner would take even a static entry back.
    body = pack(NDMSG, AF_BRIDGE, index, NUD_NOARP, NTF_MASTER | NTF_STICKY, 0)
    body += attribute(NDA_LLADDR, bytes.fromhex(mac.replace(":", "")))
    return Request(RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_REPLACE, f"{mac} on {words}", body)


def pin_neighbour(index: int, address: str, mac: str, words: str) -> Request:
    """Let an interface know the MAC of an address without asking for it, for good."""
    family, packed = pack_address(address)
    body = pack(NDMSG, family, index, NUD_PERMANENT, 0, 0) + attribute(NDA_DST, packed)
    body += attribute(NDA_LLADDR, bytes.fromhex(mac.replace(":", "")))
    return Request(RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_REPLACE, f"{address} on {words}", body)


def delete_neighbour(index: int, address: str, words: str) -> Request:
    """Let an interface forget the MAC of an address."""
    family, packed = pack_address(address)
    body = pack(NDMSG, family, index, 0, 0, 0) + attribute(NDA_DST, packed)
    return Request(RTM_DELNEIGH, 0, f"{address} on {words}", body)


def everything(gateway: str) -> str:
    """The destination of a default route in the gateway's family."""
    return "::" if ":" in gateway else "0.0.0.0"


ALL_LINKS = Request(RTM_GETLINK, 0, "", pack(IFINFOMSG, 0, 0, 0, 0, 0))
ALL_ADDRESSES = Request(RTM_GETADDR, 0, "", pack(IFADDRMSG, 0, 0, 0, 0, 0))
ALL_ROUTES = Request(RTM_GETROUTE, 0, "", pack(RTMSG, 0, 0, 0, 0, 0, 0, 0, 0, 0))


# -- parsing ----------------------------------------------------------------------------------------------------


def messages(datagram: bytes) -> Iterator[tuple[int, int, int, bytes]]:
    """The (type, flags, sequence, payload) of each message of a datagram; stops at a malformed one."""
    offset = 0
    while offset + 16 <= len(datagram):
        length, kind, flags, sequence, _ = unpack_from("IHHII", datagram, offset)
        if length < 16:
            return
        yield kind, flags, sequence, datagram[offset + 16 : offset + length]
        offset += (length + 3) & ~3


def attributes(payload: bytes, offset: int) -> dict[int, bytes]:
    """The attributes from `offset` on, by number without flag bits; stops at a malformed one."""
    found: dict[int, bytes] = {}
    while offset + 4 <= len(payload):
        length, kind = unpack_from("HH", payload, offset)
        if length < 4:
            break
        found[kind & NLA_TYPE_MASK] = payload[offset + 4 : offset + length]
        offset += (length + 3) & ~3
    return found


def parse_error(request: Request, flags: int, payload: bytes) -> SyscallError | None:
    """The error of an acknowledgement, with the kernel's own sentence if it sent one; None for success."""
    (code,) = unpack_from("i", payload, 0)
    if code == 0 or request.optional:
        return None
    error = SyscallError(NAMES[request.kind], request.object, -code)
    if flags & NLM_F_ACK_TLVS:
        sentence = attributes(payload, 4 + 16).get(NLMSGERR_ATTR_MSG, b"").rstrip(b"\0")
        if sentence:
            error.why = f"{errno_text(-code)} ({sentence.decode('utf-8', 'replace')})"
    return error


def _text(payload: bytes) -> str:
    return payload.rstrip(b"\0").decode("utf-8", "replace")


def parse_link(payload: bytes) -> Link:
    """The interface of an RTM_NEWLINK."""
    _, _, index, flags, _ = unpack_from(IFINFOMSG, payload, 0)
    found = attributes(payload, calcsize(IFINFOMSG))
    info = attributes(found.get(IFLA_LINKINFO, b""), 0)
    (mtu,) = unpack_from("I", found.get(IFLA_MTU, bytes(4)), 0)
    (master,) = unpack_from("I", found.get(IFLA_MASTER, bytes(4)), 0)
    mac = found.get(IFLA_ADDRESS, b"").hex(":")
    name, kind = _text(found.get(IFLA_IFNAME, b"")), _text(info.get(IFLA_INFO_KIND, b""))
    return Link(index, name, kind, flags, mtu, mac, master, _text(found.get(IFLA_IFALIAS, b"")))


def parse_address(payload: bytes) -> Address:
    """The address of an RTM_NEWADDR."""
    family, prefix, _, _, index = unpack_from(IFADDRMSG, payload, 0)
    found = attributes(payload, calcsize(IFADDRMSG))
    # On a point-to-point link IFA_ADDRESS is the other end's, so the local one goes first.
    packed = found.get(IFA_LOCAL) or found.get(IFA_ADDRESS) or b""
    return Address(index, family, _unpack_address(family, packed), prefix)


def parse_route(payload: bytes) -> Route:
    """The route of an RTM_NEWROUTE."""
    family, prefix, _, _, table, _, _, route_type, _ = unpack_from(RTMSG, payload, 0)
    found = attributes(payload, calcsize(RTMSG))
    (index,) = unpack_from("I", found.get(RTA_OIF, bytes(4)), 0)
    (table,) = unpack_from("I", found.get(RTA_TABLE, pack("I", table)), 0)
    everything = bytes(16 if family == socket.AF_INET6 else 4)
    destination = _unpack_address(family, found.get(RTA_DST, everything))
    gateway = _unpack_address(family, found.get(RTA_GATEWAY, b""))
    return Route(family, destination, prefix, gateway, index, table, route_type)


def _unpack_address(family: int, packed: bytes) -> str:
    if family not in (socket.AF_INET, socket.AF_INET6) or len(packed) not in (4, 16):
        return ""
    return socket.inet_ntop(family, packed)
