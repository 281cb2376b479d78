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

import _socket as socket  # `socket` itself takes two milliseconds to import
import errno
import time

from shoal.errors import SyscallError
from shoal.linux.rtnetlink import (
    ALL_ADDRESSES,
    ALL_LINKS,
    ALL_ROUTES,
    IFLA_GROUP,
    IFLA_MASTER,
    IFLA_NET_NS_FD,
    IFLA_NET_NS_PID,
    NLM_F_ACK,
    NLM_F_DUMP,
    NLM_F_DUMP_INTR,
    NLM_F_REQUEST,
    NLMSG_DONE,
    NLMSG_ERROR,
    RTM_DELADDR,
    RTM_DELROUTE,
    RTM_NEWADDR,
    RTM_NEWLINK,
    RTM_NEWROUTE,
    Address,
    Link,
    Request,
    Route,
    add_bridge,
    add_local_route,
    add_veth,
    change_address,
    change_route,
    common_attributes,
    delete_link,
    delete_neighbour,
    everything,
    get_link,
    message,
    messages,
    parse_address,
    parse_error,
    parse_link,
    parse_route,
    pin_mac,
    pin_neighbour,
    set_link,
    set_no_link_local,
    set_port,
    set_up,
    u32,
)

__all__ = ["Address", "Link", "Netlink", "Route"]

_SOL_NETLINK, _NETLINK_CAP_ACK, _NETLINK_EXT_ACK = 270, 10, 11
_RECEIVE_SIZE = 65536
_DUMP_ATTEMPTS = 8
_FORWARDING_ATTEMPTS, _FORWARDING_RETRY_S = 20, 0.001
_LOOPBACK = 1  # always the first interface of a namespace


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

    def __exit__(self, *_: object) -> None:
        self.close()

    # -- links ------------------------------------------------------------------------------------------------

    def link_add_bridge(self, name: str, *, mac: str | None = None, mtu: int | None = None) -> None:
        """Create the bridge `name`, down, without ports.

        With `mac` given the bridge keeps it; else it takes the lowest of its ports', which changes as they come
        and go. Raises: SyscallError (EEXIST: the name is taken).
        """
        self._transact(add_bridge(name, mac=mac, mtu=mtu))

    def link_add(self, *requests: Request) -> None:
        """Create an interface of another kind, by the requests of link_kinds.py.

        Raises: SyscallError (EOPNOTSUPP: the kernel has no such kind; EEXIST: the name is taken).
        """
        self._transact(*requests)

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
        group: int | None = None,
        up: bool = True,
    ) -> None:
        """Create a veth pair: `name` here (port of `master`, up), `peer_name` in the given namespace, down.

        `group` is the device group of `name`.

        The peer can't be brought up here: the kernel refuses IFF_UP on it at creation (ENOTCONN). And
        IFLA_TARGET_NETNSID, which looks like a way to do it from here, moves the link of that name, ours, over there.
        Raises: SyscallError (EEXIST: a name is taken; ESRCH, EBADF: the namespace is gone; ENODEV: no master).
        """
        own = common_attributes(name, mac=mac, mtu=mtu)
        if master is not None:
            own += u32(IFLA_MASTER, self._index(master))
        if group is not None:
            own += u32(IFLA_GROUP, group)
        peer = common_attributes(peer_name, mac=peer_mac, mtu=mtu) + _namespace(peer_netns_pid, peer_netns_fd)
        self._transact(add_veth(name, own, peer_name, peer, up=up))

    def link_up_quietly(self, name: str) -> None:
        """Bring up an interface that gets no link-local IPv6 address.

        For ports of a bridge: the neighbour discovery of each is flooded to all others, and a thousand that start
        together spend more time on that than on starting. Raises: SyscallError (ENODEV: no such link).
        """
        self._transact(set_no_link_local(name), set_up(name))

    def bridge_port_up(self, port: str, *, hairpin: bool = False, isolated: bool = False) -> int:
        """Bring up a bridge's port that has a carrier (its peer is up), so that it forwards; its index.

        Left to itself the kernel lets a port forward a moment after its carrier came, by a work queue that waits for
        the rtnl lock: what the other end sends meanwhile would be lost. `hairpin` lets the bridge send a frame back
        out of the port that it came in by: needed where a container reaches itself through a published port while
        bridge-nf-call-iptables is on. Quiet as `link_up_quietly`.
        Raises: SyscallError (ENODEV: no such link).
        """
        self._transact(set_no_link_local(port), set_port(port, hairpin=hairpin, isolated=isolated), set_up(port))
        for _ in range(_FORWARDING_ATTEMPTS):
            index = self._index(port)  # on newer kernels asking also brings the operational state up to date
            try:
                self._transact(set_port(port, forwarding=True))
                break
            except SyscallError as error:
                # The kernel still has the link for down, from before the carrier came.
                if error.errno != errno.ENETDOWN:
                    raise
            time.sleep(_FORWARDING_RETRY_S)
        return index  # if it doesn't forward even now, the kernel's work queue is about to let it

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
        attributes = common_attributes(name, mac=mac, mtu=mtu) + _namespace(netns_pid, netns_fd)
        if master is not None:
            attributes += u32(IFLA_MASTER, self._index(master) if master else 0)
        self._transact(set_link(self._index(link), str(link), up=up, attributes=attributes))

    def bridge_pin_mac(self, port: str | int, mac: str) -> None:
        """Tell the bridge of `port` that `mac` is behind it: a static entry that goes with the port.

        Raises: SyscallError (ENODEV: no such link; EINVAL: not a port of a bridge).
        """
        self._transact(pin_mac(self._index(port), mac, str(port)))

    def link_del(self, link: str | int) -> None:
        """Delete an interface (of a veth pair: both ends). Blocks about 16 ms; not for a hot path.

        Raises: SyscallError (ENODEV: no such link).
        """
        self._transact(delete_link(self._index(link), str(link)))

    def link_get(self, link: str | int) -> Link:
        """The named interface as it is now.

        Raises: SyscallError (ENODEV: no such link).
        """
        for payload in self._exchange(get_link(link), RTM_NEWLINK):
            return parse_link(payload)
        raise SyscallError("RTM_GETLINK", str(link), errno.ENODEV)

    def link_list(self) -> list[Link]:
        """All interfaces of the namespace."""
        return [parse_link(payload) for payload in self._dump(ALL_LINKS, RTM_NEWLINK)]

    # -- addresses --------------------------------------------------------------------------------------------

    def addr_add(self, link: str | int, address: str, prefix: int) -> None:
        """Give the interface an address, IPv4 with the subnet's broadcast address, IPv6 without DAD.

        Raises: SyscallError (EEXIST: it has that one; ENODEV: no such link; EINVAL: not an address).
        """
        self._transact(change_address(RTM_NEWADDR, self._index(link), address, prefix, str(link)))

    def addr_del(self, link: str | int, address: str, prefix: int) -> None:
        """Take an address from the interface.

        Raises: SyscallError (EADDRNOTAVAIL: it has no such one; ENODEV: no such link).
        """
        self._transact(change_address(RTM_DELADDR, self._index(link), address, prefix, str(link)))

    def addr_list(self, link: str | int | None = None) -> list[Address]:
        """All addresses of the namespace, or those of one interface."""
        wanted = None if link is None else self._index(link)
        found = [parse_address(payload) for payload in self._dump(ALL_ADDRESSES, RTM_NEWADDR)]
        return [address for address in found if wanted is None or address.index == wanted]

    # -- routes -----------------------------------------------------------------------------------------------

    def route_add(
        self, destination: str, prefix: int, *, gateway: str | None = None, link: str | int | None = None
    ) -> None:
        """Add a route in the main table.

        Raises: SyscallError (EEXIST: there is one; ENETUNREACH: the gateway isn't on a connected subnet).
        """
        index = None if link is None else self._index(link)
        self._transact(change_route(RTM_NEWROUTE, destination, prefix, gateway, index))

    def route_add_default(self, gateway: str, link: str | int | None = None) -> None:
        """Add the default route of the gateway's address family.

        Raises: SyscallError (EEXIST, ENETUNREACH).
        """
        self.route_add(everything(gateway), 0, gateway=gateway, link=link)

    def route_del(
        self, destination: str, prefix: int, *, gateway: str | None = None, link: str | int | None = None
    ) -> None:
        """Remove a route from the main table.

        Raises: SyscallError (ESRCH: there is none).
        """
        index = None if link is None else self._index(link)
        self._transact(change_route(RTM_DELROUTE, destination, prefix, gateway, index))

    def route_add_local(self, address: str, link: str | int) -> None:
        """Take for the namespace's own what comes in by `link` for this IPv6 address, which another link may have too.

        Harmless when repeated; it goes with the link. Raises: SyscallError (ENODEV: no such link).
        """
        try:
            self._transact(add_local_route(address, self._index(link)))
        except SyscallError as error:
            if error.errno != errno.EEXIST:
                raise

    def route_list(self) -> list[Route]:
        """All routes of all tables, the kernel's local and broadcast ones too."""
        return [parse_route(payload) for payload in self._dump(ALL_ROUTES, RTM_NEWROUTE)]

    # -- neighbours -------------------------------------------------------------------------------------------

    def neighbour_pin(self, link: str | int, address: str, mac: str) -> None:
        """Give the interface a permanent entry for the MAC of `address`.

        Permanent ones need no ARP, and don't count for net.ipv4.neigh.default.gc_thresh3, which bounds all namespaces
        of a machine together. Raises: SyscallError (ENODEV: no such link; ENETDOWN: it isn't up).
        """
        self._transact(pin_neighbour(self._index(link), address, mac, str(link)))

    def neighbour_del(self, link: str | int, address: str) -> None:
        """Take away the interface's entry for `address`.

        Raises: SyscallError (ENOENT: there is none).
        """
        self._transact(delete_neighbour(self._index(link), address, str(link)))

    # -- the container's side, in one go ----------------------------------------------------------------------

    def configure_interface(
        self,
        name: str,
        address: str | None,
        gateway: str | None,
        gateway_mac: str | None = None,
        *,
        address6: str | None = None,
        gateway6: str | None = None,
    ) -> None:
        """Bring up loopback and `name`, with `address` ("172.17.0.2/16") and a default route by `gateway`.

        Two system calls in all, three with `address6`, for the child inside its new namespace. With an IPv4 address
        only, the interface gets no link-local IPv6 one, as in `link_up_quietly`; with `gateway_mac` it never has to ask
        for the gateway. Raises: SyscallError of the first request that failed.
        """
        requests = [set_link(_LOOPBACK, "lo", up=True)]
        if address is None:
            self._transact(*requests)
            return
        index = self._index(name)
        requests.append(_new_address(index, address, name))
        if ":" not in address and not address6:
            requests.append(set_no_link_local(name))
        requests.append(set_link(index, name, up=True))
        self._transact(*requests, *_way_out(index, gateway, gateway_mac, name))
        if address6:
            try:
                self._transact(_new_address(index, address6, name), *_way_out(index, gateway6, gateway_mac, name))
            except SyscallError as error:
                if error.errno != errno.EACCES:  # somebody has switched IPv6 off here, by net.ipv6.conf.*.disable_ipv6
                    raise

    # -- transport --------------------------------------------------------------------------------------------

    def _index(self, link: str | int) -> int:
        return link if isinstance(link, int) else self.link_get(link).index

    def _transact(self, *requests: Request) -> None:
        """Send all requests at once, take all acknowledgements, raise for the first that failed."""
        pending: dict[int, Request] = {}
        datagram = b""
        for request in requests:
            self._sequence += 1
            pending[self._sequence] = request
            datagram += message(request, NLM_F_REQUEST | NLM_F_ACK, self._sequence)
        self._send(datagram, requests[0].object)
        failure: SyscallError | None = None
        while pending:
            for kind, flags, sequence, payload in messages(self._receive()):
                if kind != NLMSG_ERROR or sequence not in pending:
                    continue  # a reply to an earlier call that gave up
                error = parse_error(pending.pop(sequence), flags, payload)
                failure = failure or error
        if failure is not None:
            raise failure

    def _exchange(self, request: Request, answer: int) -> list[bytes]:
        """Send one request; the payloads of its answers. Raises: SyscallError."""
        self._sequence += 1
        self._send(message(request, NLM_F_REQUEST | NLM_F_ACK, self._sequence), request.object)
        found: list[bytes] = []
        while True:
            for kind, flags, sequence, payload in messages(self._receive()):
                if sequence != self._sequence:
                    continue
                if kind == answer:
                    found.append(payload)
                elif kind == NLMSG_ERROR:
                    error = parse_error(request, flags, payload)
                    if error is not None:
                        raise error
                    return found

    def _dump(self, request: Request, answer: int) -> list[bytes]:
        """The payloads of a whole dump; taken anew when the table changed meanwhile."""
        for _ in range(_DUMP_ATTEMPTS):
            found, interrupted = self._dump_once(request, answer)
            if not interrupted:
                return found
        return found  # a table that never rests: the last view is as good as any

    def _dump_once(self, request: Request, answer: int) -> tuple[list[bytes], bool]:
        self._sequence += 1
        self._send(message(request, NLM_F_REQUEST | NLM_F_DUMP, self._sequence), request.object)
        found: list[bytes] = []
        interrupted = False
        while True:
            for kind, flags, sequence, payload in messages(self._receive()):
                if sequence != self._sequence:
                    continue
                interrupted = interrupted or bool(flags & NLM_F_DUMP_INTR)
                if kind == answer:
                    found.append(payload)
                elif kind == NLMSG_DONE:
                    return found, interrupted
                elif kind == NLMSG_ERROR:
                    error = parse_error(request, flags, payload)
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


def _new_address(index: int, text: str, name: str) -> Request:
    """The request for an address with its prefix."""
    host, _, prefix = text.partition("/")
    return change_address(RTM_NEWADDR, index, host, int(prefix), name)


def _way_out(index: int, gateway: str | None, mac: str | None, name: str) -> list[Request]:
    """The requests for a default route, if there is a gateway."""
    if not gateway:
        return []
    pinned = [pin_neighbour(index, gateway, mac, name)] if mac else []
    return [*pinned, change_route(RTM_NEWROUTE, everything(gateway), 0, gateway, index)]


def _namespace(pid: int | None, descriptor: int | None) -> bytes:
    """The attribute that puts an interface into the namespace of a process or of a descriptor."""
    if descriptor is not None:
        return u32(IFLA_NET_NS_FD, descriptor)
    return b"" if pid is None else u32(IFLA_NET_NS_PID, pid)
