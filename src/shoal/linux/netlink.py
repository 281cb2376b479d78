"""Raw rtnetlink: links, addresses and routes of the network namespace that the socket was opened in.

Used by shoald (veth, bridge) and by the child between clone and exec (its own interface), so this module keeps
the supervisor's import allow-list, imports nothing lazily, and formats errors without codecs that need files.
Why own code: pyroute2, the field's library, costs 327 ms and 36 MB to import, and shoald must stay small and the
supervisor smaller still; the dozen messages that a container needs fit in one file.

    caller                                      kernel
      │ one sendmsg: N requests, each NLM_F_ACK    │   executed in order, under the rtnl lock, before sendmsg returns
      │ ─────────────────────────────────────────▶ │
      │ ◀─ NLMSG_ERROR × N (0 = acknowledged)      │   or, for a dump: parts with NLM_F_MULTI … NLMSG_DONE

Invariants: a socket keeps its namespace whatever setns(2) its thread does later; one `Netlink` belongs to one
thread at a time. Not here: deleting links on a hot path. That blocks 16 ms, so let the namespace die instead.
"""

from __future__ import annotations

import errno
import os
import socket
from struct import calcsize, pack, unpack_from

from shoal.errors import SyscallError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

# linux/netlink.h
_NLMSG_ERROR, _NLMSG_DONE = 2, 3
_NLM_F_REQUEST, _NLM_F_ACK, _NLM_F_DUMP = 0x1, 0x4, 0x300
_NLM_F_DUMP_INTR, _NLM_F_ACK_TLVS = 0x10, 0x200
_NLM_F_EXCL, _NLM_F_CREATE = 0x200, 0x400
_SOL_NETLINK, _NETLINK_CAP_ACK, _NETLINK_EXT_ACK = 270, 10, 11
_NLMSGERR_ATTR_MSG = 1
_NLA_F_NESTED = 0x8000
_NLA_TYPE_MASK = 0x3FFF

# linux/rtnetlink.h
_RTM_NEWLINK, _RTM_DELLINK, _RTM_GETLINK = 16, 17, 18
_RTM_NEWADDR, _RTM_DELADDR, _RTM_GETADDR = 20, 21, 22
_RTM_NEWROUTE, _RTM_DELROUTE, _RTM_GETROUTE = 24, 25, 26
_NAMES = {
    _RTM_NEWLINK: "RTM_NEWLINK",
    _RTM_DELLINK: "RTM_DELLINK",
    _RTM_GETLINK: "RTM_GETLINK",
    _RTM_NEWADDR: "RTM_NEWADDR",
    _RTM_DELADDR: "RTM_DELADDR",
    _RTM_GETADDR: "RTM_GETADDR",
    _RTM_NEWROUTE: "RTM_NEWROUTE",
    _RTM_DELROUTE: "RTM_DELROUTE",
    _RTM_GETROUTE: "RTM_GETROUTE",
}
_RT_TABLE_MAIN, _RTPROT_BOOT, _RT_SCOPE_UNIVERSE, _RTN_UNICAST = 254, 3, 0, 1
_RTA_DST, _RTA_OIF, _RTA_GATEWAY, _RTA_TABLE = 1, 4, 5, 15

# linux/if_link.h, linux/if_addr.h, linux/veth.h
_IFLA_ADDRESS, _IFLA_IFNAME, _IFLA_MTU, _IFLA_MASTER, _IFLA_LINKINFO = 1, 3, 4, 10, 18
_IFLA_NET_NS_PID, _IFLA_AF_SPEC, _IFLA_NET_NS_FD = 19, 26, 28
_IFLA_INFO_KIND, _IFLA_INFO_DATA, _IFLA_INFO_SLAVE_KIND, _IFLA_INFO_SLAVE_DATA = 1, 2, 4, 5
_VETH_INFO_PEER = 1
_IFLA_BRPORT_MODE = 4
_IFLA_INET6_ADDR_GEN_MODE, _IN6_ADDR_GEN_MODE_NONE = 8, 1
_IFA_ADDRESS, _IFA_LOCAL, _IFA_BROADCAST, _IFA_FLAGS = 1, 2, 4, 8
_IFA_F_NODAD = 0x02
IFF_UP = 0x1
_ALL_FLAGS = 0xFFFFFFFF

_IFINFOMSG = "BxHiII"  # family, type, index, flags, change
_IFADDRMSG = "BBBBI"  # family, prefix, flags, scope, index
_RTMSG = "BBBBBBBBI"  # family, dst_len, src_len, tos, table, protocol, scope, type, flags
_RECEIVE_SIZE = 65536
_DUMP_ATTEMPTS = 8


class Link:
    """One interface as the kernel reports it; `kind` is "" for hardware and for loopback."""

    __slots__ = ("flags", "index", "kind", "mac", "master", "mtu", "name")

    def __init__(self, index: int, name: str, kind: str, flags: int, mtu: int, mac: str, master: int) -> None:
        self.index = index
        self.name = name
        self.kind = kind
        self.flags = flags
        self.mtu = mtu
        self.mac = mac
        self.master = master  # index of the bridge that it is a port of, 0 for none

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


class _Request:
    """One message of a batch, with the words for its error."""

    __slots__ = ("body", "flags", "kind", "object")

    def __init__(self, kind: int, flags: int, object: str, body: bytes) -> None:
        self.kind = kind
        self.flags = flags
        self.object = object
        self.body = body


class Netlink:
    """A connection to the kernel's rtnetlink, bound to the caller's present network namespace.

    Owns one close-on-exec socket; a context manager. Every method blocks until the kernel has done it (tens of
    microseconds, longer while another process holds the rtnl lock) and needs CAP_NET_ADMIN unless it only reads.
    Source: rtnetlink(7), netlink(7).
    """

    __slots__ = ("_sequence", "_socket")

    def __init__(self) -> None:
        """Raises: SyscallError when the namespace has no netlink or the process is out of descriptors."""
        try:
            self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, 0)
        except OSError as error:
            raise SyscallError("socket", "AF_NETLINK", error.errno or errno.EIO) from None
        # EXT_ACK (4.12) brings the kernel's own sentence, CAP_ACK keeps our request out of the reply.
        for option in (_NETLINK_EXT_ACK, _NETLINK_CAP_ACK):
            try:
                self._socket.setsockopt(_SOL_NETLINK, option, 1)
            except OSError:
                pass  # an older kernel: errors come without a sentence
        self._socket.bind((0, 0))
        self._sequence = 0

    def close(self) -> None:
        """Close the socket; harmless when repeated."""
        self._socket.close()

    def __enter__(self) -> Netlink:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # -- links ------------------------------------------------------------------------------------------------

    def link_add_bridge(self, name: str, *, mac: str | None = None, mtu: int | None = None) -> None:
        """Create the bridge `name`, down, without ports.

        With `mac` given the bridge keeps it; else it takes the lowest of its ports', which changes as they come
        and go. Raises: SyscallError (EEXIST: the name is taken).
        """
        body = pack(_IFINFOMSG, 0, 0, 0, 0, 0) + _common_attributes(name, mac=mac, mtu=mtu)
        body += _nested(_IFLA_LINKINFO, _string(_IFLA_INFO_KIND, "bridge"))
        self._transact(_Request(_RTM_NEWLINK, _NLM_F_CREATE | _NLM_F_EXCL, name, body))

    def link_add_veth(
        self,
        name: str,
        peer_name: str,
        *,
        peer_netns_pid: int | None = None,
        peer_netns_fd: int | None = None,
        peer_mac: str | None = None,
        mtu: int | None = None,
        mac: str | None = None,
        master: str | int | None = None,
        hairpin: bool = False,
        up: bool = True,
    ) -> None:
        """Create a veth pair: `name` here (port of `master`, up), `peer_name` in the given namespace, down.

        The peer can't be brought up here: the kernel refuses IFF_UP on it at creation (ENOTCONN), its owner does
        that. `hairpin` lets the bridge send a frame back out of the port that it came in by: needed where a
        container reaches itself through a published port while bridge-nf-call-iptables is on.
        Raises: SyscallError (EEXIST: a name is taken; ESRCH, EBADF: the namespace is gone; ENODEV: no master).
        """
        peer = pack(_IFINFOMSG, 0, 0, 0, 0, 0) + _common_attributes(peer_name, mac=peer_mac, mtu=mtu)
        if peer_netns_fd is not None:
            peer += _u32(_IFLA_NET_NS_FD, peer_netns_fd)
        elif peer_netns_pid is not None:
            peer += _u32(_IFLA_NET_NS_PID, peer_netns_pid)
        flags = IFF_UP if up else 0
        body = pack(_IFINFOMSG, 0, 0, 0, flags, flags) + _common_attributes(name, mac=mac, mtu=mtu)
        if master is not None:
            body += _u32(_IFLA_MASTER, self._index(master))
        info = _string(_IFLA_INFO_KIND, "veth") + _nested(_IFLA_INFO_DATA, _nested(_VETH_INFO_PEER, peer))
        body += _nested(_IFLA_LINKINFO, info)
        requests = [_Request(_RTM_NEWLINK, _NLM_F_CREATE | _NLM_F_EXCL, f"{name}, peer {peer_name}", body)]
        if hairpin:
            # A port's own settings are ignored in the message that creates it, so they follow in the same sendmsg.
            requests.append(_Request(_RTM_NEWLINK, 0, name, _hairpin_body(name)))
        self._transact(*requests)

    def link_set(
        self,
        link: str | int,
        *,
        up: bool | None = None,
        name: str | None = None,
        master: str | int | None = None,
        mtu: int | None = None,
        mac: str | None = None,
        netns_pid: int | None = None,
        netns_fd: int | None = None,
    ) -> None:
        """Change what is given of an interface, all in one request. `master=0` takes it out of its bridge.

        Raises: SyscallError (ENODEV: no such link; EBUSY: renaming one that is up on an old kernel).
        """
        flags, change = (0, 0) if up is None else (IFF_UP if up else 0, IFF_UP)
        body = pack(_IFINFOMSG, 0, 0, self._index(link), flags, change)
        body += _common_attributes(name, mac=mac, mtu=mtu)
        if master is not None:
            body += _u32(_IFLA_MASTER, self._index(master) if master else 0)
        if netns_fd is not None:
            body += _u32(_IFLA_NET_NS_FD, netns_fd)
        elif netns_pid is not None:
            body += _u32(_IFLA_NET_NS_PID, netns_pid)
        self._transact(_Request(_RTM_NEWLINK, 0, str(link), body))

    def link_del(self, link: str | int) -> None:
        """Delete an interface (of a veth pair: both ends). Blocks about 16 ms; not for a hot path.

        Raises: SyscallError (ENODEV: no such link).
        """
        body = pack(_IFINFOMSG, 0, 0, self._index(link), 0, 0)
        self._transact(_Request(_RTM_DELLINK, 0, str(link), body))

    def link_get(self, link: str | int) -> Link:
        """The named interface as it is now.

        Raises: SyscallError (ENODEV: no such link).
        """
        index = link if isinstance(link, int) else 0
        body = pack(_IFINFOMSG, 0, 0, index, 0, 0)
        if isinstance(link, str):
            body += _string(_IFLA_IFNAME, link)
        for payload in self._exchange(_Request(_RTM_GETLINK, 0, str(link), body), _RTM_NEWLINK):
            return _parse_link(payload)
        raise SyscallError("RTM_GETLINK", str(link), errno.ENODEV)

    def link_list(self) -> list[Link]:
        """All interfaces of the namespace."""
        body = pack(_IFINFOMSG, 0, 0, 0, 0, 0)
        return [_parse_link(payload) for payload in self._dump(_RTM_GETLINK, _RTM_NEWLINK, body)]

    # -- addresses --------------------------------------------------------------------------------------------

    def addr_add(self, link: str | int, address: str, prefix: int) -> None:
        """Give the interface an address, IPv4 with the subnet's broadcast address, IPv6 without DAD.

        Raises: SyscallError (EEXIST: it has that one; ENODEV: no such link; EINVAL: not an address).
        """
        self._transact(self._address_request(_RTM_NEWADDR, link, address, prefix))

    def addr_del(self, link: str | int, address: str, prefix: int) -> None:
        """Take an address from the interface.

        Raises: SyscallError (EADDRNOTAVAIL: it has no such one; ENODEV: no such link).
        """
        self._transact(self._address_request(_RTM_DELADDR, link, address, prefix))

    def addr_list(self, link: str | int | None = None) -> list[Address]:
        """All addresses of the namespace, or those of one interface."""
        wanted = None if link is None else self._index(link)
        body = pack(_IFADDRMSG, 0, 0, 0, 0, 0)
        found = [_parse_address(payload) for payload in self._dump(_RTM_GETADDR, _RTM_NEWADDR, body)]
        return [address for address in found if wanted is None or address.index == wanted]

    # -- routes -----------------------------------------------------------------------------------------------

    def route_add(
        self, destination: str, prefix: int, *, gateway: str | None = None, link: str | int | None = None
    ) -> None:
        """Add a route in the main table.

        Raises: SyscallError (EEXIST: there is one; ENETUNREACH: the gateway isn't on a connected subnet).
        """
        self._transact(self._route_request(_RTM_NEWROUTE, destination, prefix, gateway, link))

    def route_add_default(self, gateway: str, link: str | int | None = None) -> None:
        """Add the default route of the gateway's address family.

        Raises: SyscallError (EEXIST, ENETUNREACH).
        """
        self.route_add("::" if ":" in gateway else "0.0.0.0", 0, gateway=gateway, link=link)

    def route_del(
        self, destination: str, prefix: int, *, gateway: str | None = None, link: str | int | None = None
    ) -> None:
        """Remove a route from the main table.

        Raises: SyscallError (ESRCH: there is none).
        """
        self._transact(self._route_request(_RTM_DELROUTE, destination, prefix, gateway, link))

    def route_list(self) -> list[Route]:
        """All routes of all tables, the kernel's local and broadcast ones too."""
        found = self._dump(_RTM_GETROUTE, _RTM_NEWROUTE, pack(_RTMSG, 0, 0, 0, 0, 0, 0, 0, 0, 0))
        return [_parse_route(payload) for payload in found]

    # -- the container's side, in one go ----------------------------------------------------------------------

    def configure_interface(self, name: str, address: str | None, gateway: str | None) -> None:
        """Bring up loopback and `name`, with `address` ("172.17.0.2/16") and a default route by `gateway`.

        Two system calls in all, for the child inside its new namespace.
        Raises: SyscallError of the first request that failed.
        """
        up = pack(_IFINFOMSG, 0, 0, 1, IFF_UP, IFF_UP)  # loopback is always the first of a namespace
        requests = [_Request(_RTM_NEWLINK, 0, "lo", up)]
        if address is not None:
            index = self._index(name)
            host, _, prefix = address.partition("/")
            requests.append(self._address_request(_RTM_NEWADDR, index, host, int(prefix)))
            requests.append(_Request(_RTM_NEWLINK, 0, name, pack(_IFINFOMSG, 0, 0, index, IFF_UP, IFF_UP)))
            if gateway:
                everything = "::" if ":" in gateway else "0.0.0.0"
                requests.append(self._route_request(_RTM_NEWROUTE, everything, 0, gateway, index))
        self._transact(*requests)

    # -- messages ---------------------------------------------------------------------------------------------

    def _index(self, link: str | int) -> int:
        return link if isinstance(link, int) else self.link_get(link).index

    def _address_request(self, kind: int, link: str | int, address: str, prefix: int) -> _Request:
        family, packed = _pack_address(address)
        flags = _IFA_F_NODAD if family == socket.AF_INET6 else 0
        body = pack(_IFADDRMSG, family, prefix, flags, 0, self._index(link))
        body += _attribute(_IFA_LOCAL, packed) + _attribute(_IFA_ADDRESS, packed)
        if family == socket.AF_INET and prefix < 31 and kind == _RTM_NEWADDR:
            number = int.from_bytes(packed, "big") | (0xFFFFFFFF >> prefix)
            body += _attribute(_IFA_BROADCAST, number.to_bytes(4, "big"))
        # Only on creation: in a deletion the same bit as EXCL would mean NLM_F_BULK.
        create = _NLM_F_CREATE | _NLM_F_EXCL if kind == _RTM_NEWADDR else 0
        return _Request(kind, create, f"{address}/{prefix} on {link}", body)

    def _route_request(
        self, kind: int, destination: str, prefix: int, gateway: str | None, link: str | int | None
    ) -> _Request:
        family, packed = _pack_address(destination)
        scope = _RT_SCOPE_UNIVERSE if gateway or family == socket.AF_INET6 else 253  # RT_SCOPE_LINK
        if kind == _RTM_DELROUTE:
            scope = 255  # RT_SCOPE_NOWHERE: any
        protocol = 0 if kind == _RTM_DELROUTE else _RTPROT_BOOT
        route_type = 0 if kind == _RTM_DELROUTE else _RTN_UNICAST
        body = pack(_RTMSG, family, prefix, 0, 0, _RT_TABLE_MAIN, protocol, scope, route_type, 0)
        if prefix:
            body += _attribute(_RTA_DST, packed)
        if gateway:
            body += _attribute(_RTA_GATEWAY, _pack_address(gateway)[1])
        if link is not None:
            body += _u32(_RTA_OIF, self._index(link))
        words = f"{destination}/{prefix}" + (f" via {gateway}" if gateway else "")
        return _Request(kind, _NLM_F_CREATE | _NLM_F_EXCL if kind == _RTM_NEWROUTE else 0, words, body)

    # -- transport --------------------------------------------------------------------------------------------

    def _transact(self, *requests: _Request) -> None:
        """Send all requests at once, take all acknowledgements, raise for the first that failed."""
        pending: dict[int, _Request] = {}
        datagram = b""
        for request in requests:
            self._sequence += 1
            pending[self._sequence] = request
            datagram += _message(request, _NLM_F_REQUEST | _NLM_F_ACK, self._sequence)
        self._send(datagram, requests[0].object)
        failure: SyscallError | None = None
        while pending:
            for kind, flags, sequence, payload in _messages(self._receive()):
                if kind != _NLMSG_ERROR or sequence not in pending:
                    continue  # a reply to an earlier call that gave up
                error = _parse_error(pending.pop(sequence), flags, payload)
                failure = failure or error
        if failure is not None:
            raise failure

    def _exchange(self, request: _Request, answer: int) -> list[bytes]:
        """Send one request; the payloads of its answers. Raises: SyscallError."""
        self._sequence += 1
        self._send(_message(request, _NLM_F_REQUEST | _NLM_F_ACK, self._sequence), request.object)
        found: list[bytes] = []
        while True:
            for kind, flags, sequence, payload in _messages(self._receive()):
                if sequence != self._sequence:
                    continue
                if kind == answer:
                    found.append(payload)
                elif kind == _NLMSG_ERROR:
                    error = _parse_error(request, flags, payload)
                    if error is not None:
                        raise error
                    return found

    def _dump(self, kind: int, answer: int, body: bytes) -> list[bytes]:
        """The payloads of a whole dump; taken anew when the table changed meanwhile."""
        for _ in range(_DUMP_ATTEMPTS):
            found, interrupted = self._dump_once(_Request(kind, 0, "", body), answer)
            if not interrupted:
                return found
        return found  # a table that never rests: the last view is as good as any

    def _dump_once(self, request: _Request, answer: int) -> tuple[list[bytes], bool]:
        self._sequence += 1
        self._send(_message(request, _NLM_F_REQUEST | _NLM_F_DUMP, self._sequence), request.object)
        found: list[bytes] = []
        interrupted = False
        while True:
            for kind, flags, sequence, payload in _messages(self._receive()):
                if sequence != self._sequence:
                    continue
                interrupted = interrupted or bool(flags & _NLM_F_DUMP_INTR)
                if kind == answer:
                    found.append(payload)
                elif kind == _NLMSG_DONE:
                    return found, interrupted
                elif kind == _NLMSG_ERROR:
                    error = _parse_error(request, flags, payload)
                    if error is not None:
                        raise error

    def _send(self, datagram: bytes, object: str) -> None:
        try:
            self._socket.send(datagram)
        except OSError as error:
            raise SyscallError("sendmsg", f"netlink: {object}", error.errno or errno.EIO) from None

    def _receive(self) -> bytes:
        try:
            return self._socket.recv(_RECEIVE_SIZE)
        except OSError as error:
            raise SyscallError("recvmsg", "netlink", error.errno or errno.EIO) from None


# -- building ---------------------------------------------------------------------------------------------------


def _message(request: _Request, flags: int, sequence: int) -> bytes:
    length = 16 + len(request.body)
    header = pack("IHHII", length, request.kind, flags | request.flags, sequence, 0)
    return header + request.body + bytes(-length & 3)


def _attribute(kind: int, payload: bytes) -> bytes:
    length = 4 + len(payload)
    return pack("HH", length, kind) + payload + bytes(-length & 3)


def _nested(kind: int, payload: bytes) -> bytes:
    return _attribute(kind | _NLA_F_NESTED, payload)


def _string(kind: int, text: str) -> bytes:
    return _attribute(kind, text.encode() + b"\0")


def _u32(kind: int, number: int) -> bytes:
    return _attribute(kind, pack("I", number))


def _common_attributes(name: str | None, *, mac: str | None, mtu: int | None) -> bytes:
    body = b"" if name is None else _string(_IFLA_IFNAME, name)
    if mac is not None:
        body += _attribute(_IFLA_ADDRESS, bytes.fromhex(mac.replace(":", "")))
    if mtu is not None:
        body += _u32(_IFLA_MTU, mtu)
    return body


def _hairpin_body(name: str) -> bytes:
    port = _attribute(_IFLA_BRPORT_MODE, b"\1")
    info = _string(_IFLA_INFO_SLAVE_KIND, "bridge") + _nested(_IFLA_INFO_SLAVE_DATA, port)
    return pack(_IFINFOMSG, 0, 0, 0, 0, 0) + _string(_IFLA_IFNAME, name) + _nested(_IFLA_LINKINFO, info)


def _pack_address(address: str) -> tuple[int, bytes]:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        return family, socket.inet_pton(family, address)
    except OSError:
        raise SyscallError("inet_pton", address, errno.EINVAL) from None


# -- parsing ----------------------------------------------------------------------------------------------------


def _messages(datagram: bytes) -> Iterator[tuple[int, int, int, bytes]]:
    """The (type, flags, sequence, payload) of each message of a datagram; stops at a malformed one."""
    offset = 0
    while offset + 16 <= len(datagram):
        length, kind, flags, sequence, _ = unpack_from("IHHII", datagram, offset)
        if length < 16:
            return
        yield kind, flags, sequence, datagram[offset + 16 : offset + length]
        offset += (length + 3) & ~3


def _attributes(payload: bytes, offset: int) -> dict[int, bytes]:
    found: dict[int, bytes] = {}
    while offset + 4 <= len(payload):
        length, kind = unpack_from("HH", payload, offset)
        if length < 4:
            break
        found[kind & _NLA_TYPE_MASK] = payload[offset + 4 : offset + length]
        offset += (length + 3) & ~3
    return found


def _parse_error(request: _Request, flags: int, payload: bytes) -> SyscallError | None:
    """The error of an acknowledgement, with the kernel's own sentence if it sent one; None for success."""
    (code,) = unpack_from("i", payload, 0)
    if code == 0:
        return None
    error = SyscallError(_NAMES[request.kind], request.object, -code)
    if flags & _NLM_F_ACK_TLVS:
        sentence = _attributes(payload, 4 + 16).get(_NLMSGERR_ATTR_MSG, b"").rstrip(b"\0")
        if sentence:
            error.why = f"{os.strerror(-code)} ({sentence.decode('utf-8', 'replace')})"
    return error


def _text(payload: bytes) -> str:
    return payload.rstrip(b"\0").decode("utf-8", "replace")


def _parse_link(payload: bytes) -> Link:
    _, _, index, flags, _ = unpack_from(_IFINFOMSG, payload, 0)
    found = _attributes(payload, calcsize(_IFINFOMSG))
    info = _attributes(found.get(_IFLA_LINKINFO, b""), 0)
    (mtu,) = unpack_from("I", found.get(_IFLA_MTU, bytes(4)), 0)
    (master,) = unpack_from("I", found.get(_IFLA_MASTER, bytes(4)), 0)
    mac = found.get(_IFLA_ADDRESS, b"").hex(":")
    return Link(
        index, _text(found.get(_IFLA_IFNAME, b"")), _text(info.get(_IFLA_INFO_KIND, b"")), flags, mtu, mac, master
    )


def _parse_address(payload: bytes) -> Address:
    family, prefix, _, _, index = unpack_from(_IFADDRMSG, payload, 0)
    found = _attributes(payload, calcsize(_IFADDRMSG))
    # On a point-to-point link IFA_ADDRESS is the other end's, so the local one goes first.
    packed = found.get(_IFA_LOCAL) or found.get(_IFA_ADDRESS) or b""
    return Address(index, family, _unpack_address(family, packed), prefix)


def _parse_route(payload: bytes) -> Route:
    family, prefix, _, _, table, _, _, route_type, _ = unpack_from(_RTMSG, payload, 0)
    found = _attributes(payload, calcsize(_RTMSG))
    (index,) = unpack_from("I", found.get(_RTA_OIF, bytes(4)), 0)
    (table,) = unpack_from("I", found.get(_RTA_TABLE, pack("I", table)), 0)
    everything = bytes(16 if family == socket.AF_INET6 else 4)
    destination = _unpack_address(family, found.get(_RTA_DST, everything))
    gateway = _unpack_address(family, found.get(_RTA_GATEWAY, b""))
    return Route(family, destination, prefix, gateway, index, table, route_type)


def _unpack_address(family: int, packed: bytes) -> str:
    if family not in (socket.AF_INET, socket.AF_INET6) or len(packed) not in (4, 16):
        return ""
    return socket.inet_ntop(family, packed)
