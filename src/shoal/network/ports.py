"""Published ports: Docker's port bindings read, and host ports reserved so that nobody else gets them.

Every published port is held by one bound socket of shoald's. The kernel itself then refuses a second owner, be it
another container, another daemon or a program of the host, and later too, as long as shoald runs. Nothing ever
arrives at these sockets: the firewall's map redirects new connections before.
"""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from ipaddress import AddressValueError, IPv4Address, IPv6Address
from itertools import chain

from shoal.api.host_config import PortBinding
from shoal.errors import Internal, InvalidArgument
from shoal.network.endpoint import ANY_ADDRESS, ANY_ADDRESS6, Protocol, PublishedPort

_HIGHEST_PORT = 65535
_EPHEMERAL_RANGE_FILE = "/proc/sys/net/ipv4/ip_local_port_range"
_PROTOCOLS: dict[str, Protocol] = {"tcp": "tcp", "udp": "udp", "sctp": "sctp"}


# Whom published ports serve: a container's label, or the daemon's setting.
PUBLISHED_PORTS = "shoal.published-ports"
OPEN, HOST_FIREWALL = "open", "host-firewall"


def check_published_ports(value: str, where: str) -> str:
    """The value. Raises: InvalidArgument for one that there is not."""
    if value not in (OPEN, HOST_FIREWALL):
        raise InvalidArgument(f"invalid {where}: {value!r}", fix=f"write {OPEN} or {HOST_FIREWALL}")
    return value


@dataclass(frozen=True, slots=True)
class PortRequest:
    """One port to publish: to the first free one of `host_ports`, or to any free one if that is None.

    `guarded`: only for clients whom the host's own firewall lets in. `dual`: no address was named, so that it is
    published on :: as well, under the same number, where the container has an IPv6 address.
    """

    protocol: Protocol
    container_port: int
    host_ip: str = ANY_ADDRESS
    host_ports: range | None = None
    guarded: bool = False
    dual: bool = False

    @property
    def host_ips(self) -> tuple[str, ...]:
        """The addresses that one number is published on."""
        return (self.host_ip, ANY_ADDRESS6) if self.dual else (self.host_ip,)


# -- reading --------------------------------------------------------------------------------------------------


def parse_port_bindings(
    bindings: Mapping[str, Sequence[PortBinding] | None],
    *,
    exposed: Iterable[str] = (),
    publish_all: bool = False,
    default_host_ip: str = ANY_ADDRESS,
) -> tuple[PortRequest, ...]:
    """The ports to publish of `HostConfig.PortBindings` ({"80/tcp": [{HostIp, HostPort}]}) and `PublishAllPorts`.

    `exposed` are the keys of the container's `ExposedPorts`. Ports with a fixed number come first, so that a
    random one never takes it. Raises: InvalidArgument. Source: Docker API v1.50 `PortMap`.
    """
    is_dual = default_host_ip == ANY_ADDRESS
    requests: list[PortRequest] = []
    for key, hosts in bindings.items():
        protocol, port = parse_port(key)
        for host in hosts or ([PortBinding()] if publish_all else []):
            host_ip = _parse_host_ip(host.host_ip, default_host_ip)
            requests.append(
                PortRequest(protocol, port, host_ip, _parse_range(host.host_port), dual=is_dual and not host.host_ip)
            )
    if publish_all:
        published = {(request.protocol, request.container_port) for request in requests}
        for key in exposed:
            protocol, port = parse_port(key)
            if (protocol, port) not in published:
                requests.append(PortRequest(protocol, port, default_host_ip, dual=is_dual))
    return tuple(sorted(requests, key=lambda request: len(request.host_ports or range(_HIGHEST_PORT))))


def parse_port(key: str) -> tuple[Protocol, int]:
    """Protocol and number of "80/tcp", "53/UDP" or "80".

    Raises: InvalidArgument.
    """
    number, _, name = key.partition("/")
    protocol = _PROTOCOLS.get((name or "tcp").lower())
    if protocol is None:
        raise InvalidArgument(
            f"invalid port specification: {_quoted(key)}", why="the protocol is none of tcp, udp, sctp"
        )
    ports = _parse_range(number)
    if ports is None or len(ports) != 1 or ports.start == 0:
        raise InvalidArgument(f"invalid port specification: {_quoted(number)}")
    return protocol, ports.start


def show_ports(ports: Iterable[PublishedPort], exposed: Iterable[str] = ()) -> dict[str, list[PortBinding] | None]:
    """`NetworkSettings.Ports` of a running container: exposed but unpublished ports lead to None."""
    shown: dict[str, list[PortBinding] | None] = {}
    for key in exposed:
        protocol, number = parse_port(key)
        shown[f"{number}/{protocol}"] = None
    for port in ports:
        key = f"{port.container_port}/{port.protocol}"
        hosts = shown.get(key) or []
        shown[key] = [*hosts, PortBinding(host_ip=port.host_ip, host_port=str(port.host_port or ""))]
    return shown


def kept_ports(
    published: Iterable[PublishedPort], requests: Iterable[PortRequest], closing: Collection[PublishedPort] = ()
) -> tuple[list[PublishedPort], list[PortRequest]]:
    """Of what is published that which serves these requests, none of `closing`; and the requests still unserved."""
    left = [port for port in published if port not in closing]
    kept: list[PublishedPort] = []
    unserved: list[PortRequest] = []
    for request in requests:
        found = next((served for port in left if (served := _served(port, request, left))), None)
        if found is None:
            unserved.append(request)
        else:
            kept += found
            left = [port for port in left if port not in found]
    return kept, unserved


def _served(port: PublishedPort, request: PortRequest, left: Collection[PublishedPort]) -> list[PublishedPort]:
    """What of `left` serves the request with the number of `port`, on all its addresses; empty when that does not."""
    same = (port.protocol, port.container_port) == (request.protocol, request.container_port)
    if not same or (request.host_ports is not None and port.host_port not in request.host_ports):
        return []
    wanted = [replace(port, host_ip=host_ip) for host_ip in request.host_ips]
    return wanted if port.host_ip == request.host_ip and all(one in left for one in wanted) else []


def binding_range(text: str) -> range | None:
    """The ports of a binding's `HostPort`, "8080" or "8000-8010"; None for "" and "0" (any free one).

    Raises: InvalidArgument.
    """
    return _parse_range(text)


def _parse_range(text: str) -> range | None:
    """The ports of "8080" or "8000-8010"; None for "" and "0" (any free one)."""
    first, dash, last = text.strip().partition("-")
    if not first and not dash:
        return None
    start, stop = _parse_number(first, text), _parse_number(last if dash else first, text)
    if start > stop:
        raise InvalidArgument(f"invalid port specification: {_quoted(text)}", why="the range ends before it begins")
    return None if start == 0 else range(start, stop + 1)


def _parse_number(digits: str, whole: str) -> int:
    # isascii: int() would read digits of any script.
    if not (digits.isascii() and digits.isdigit()) or int(digits[:6]) > _HIGHEST_PORT or len(digits) > 5:
        raise InvalidArgument(f"invalid port specification: {_quoted(whole)}", why="a port is a number up to 65535")
    return int(digits)


def _parse_host_ip(text: str, default: str) -> str:
    if not text:
        return default
    try:
        return str(IPv4Address(text))
    except AddressValueError:
        pass
    try:
        return str(IPv6Address(text.strip("[]")))
    except AddressValueError:
        raise InvalidArgument(f"invalid IP address in port binding: {_quoted(text)}") from None


def _quoted(text: str) -> str:
    return '"' + text.replace('"', '\\"') + '"'


# -- reserving ------------------------------------------------------------------------------------------------


def read_ephemeral_range() -> range:
    """The ports that this host gives to outgoing connections, from which random ones are taken, as by Docker."""
    with open(_EPHEMERAL_RANGE_FILE, encoding="ascii") as file:
        first, last = file.read().split()
    return range(int(first), int(last) + 1)


class PortReservations:
    """The host ports of this daemon's containers, each held by one bound socket.

    For the event loop's thread: a reservation is two system calls.
    """

    def __init__(self, ephemeral_range: Callable[[], range] = read_ephemeral_range) -> None:
        self._ephemeral_range = ephemeral_range
        self._cursor = 0
        self._held: dict[tuple[str, str, int], socket.socket | None] = {}

    def reserve(
        self, requests: Iterable[PortRequest], container_ip: str, container_ip6: str = ""
    ) -> tuple[PublishedPort, ...]:
        """The host ports for all requests, held from now on; for none of them if one fails.

        The container's addresses are named in errors only.

        Raises: Internal in Docker's words, when a port is taken.
        """
        done: list[PublishedPort] = []
        try:
            for request in requests:
                done += self._reserve_one(request, {False: container_ip, True: container_ip6})
        except BaseException:
            self.release(done)
            raise
        return tuple(done)

    def hold_again(self, ports: Iterable[PublishedPort]) -> list[PublishedPort]:
        """Hold ports that a daemon before this one had given out; those that somebody else has taken meanwhile."""
        lost: list[PublishedPort] = []
        for port in ports:
            if (port.protocol, port.host_ip, port.host_port) in self._held:
                continue
            try:
                self._bind(port.protocol, port.host_ip, port.host_port)
            except OSError:
                lost.append(port)
        return lost

    def release(self, ports: Collection[PublishedPort]) -> None:
        """Let others have the ports; harmless for those that aren't held."""
        for port in ports:
            held = self._held.pop((port.protocol, port.host_ip, port.host_port), None)
            if held is not None:
                held.close()

    def close(self) -> None:
        """Let go of everything."""
        for held in self._held.values():
            if held is not None:
                held.close()
        self._held.clear()

    def _reserve_one(self, request: PortRequest, targets: Mapping[bool, str]) -> list[PublishedPort]:
        candidates = self._random_order() if request.host_ports is None else request.host_ports
        failure: Internal | None = None
        for number in candidates:
            ports = [
                PublishedPort(request.protocol, request.container_port, host_ip, number, request.guarded)
                for host_ip in request.host_ips
            ]
            refused = self._bind_all(ports)
            if refused is None:
                if request.host_ports is None:
                    self._cursor = number + 1
                return ports
            port, error = refused
            failure = self._port_error(port, targets[port.is_ipv6], error)
            if error.errno not in (errno.EADDRINUSE, errno.EACCES):
                raise failure from None
        if failure is not None and request.host_ports is not None and len(request.host_ports) == 1:
            raise failure
        raise Internal(
            f"Bind for {request.host_ip}:{_words(request.host_ports)} failed: all ports are allocated",
            fix="publish to another range, or stop containers that hold ports of this one",
        )

    def _bind_all(self, ports: Sequence[PublishedPort]) -> tuple[PublishedPort, OSError] | None:
        """Hold all of them, or none: the one that was refused, and why."""
        for index, port in enumerate(ports):
            try:
                self._bind(port.protocol, port.host_ip, port.host_port)
            except OSError as error:
                self.release(ports[:index])
                return port, error
        return None

    def _random_order(self) -> Iterable[int]:
        """All ephemeral ports, starting behind the one given last: a port that was just freed rests a while."""
        ports = self._ephemeral_range()
        start = self._cursor if self._cursor in ports else ports.start
        return chain(range(start, ports.stop), range(ports.start, start))

    def _bind(self, protocol: Protocol, ip: str, port: int) -> None:
        """Hold one port. Raises: OSError as bind(2)."""
        if (protocol, ip, port) in self._held or (protocol, _any_like(ip), port) in self._held:
            raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))
        try:
            holder = _bound(protocol, ip, port)
        except OSError as error:
            if error.errno != errno.EADDRINUSE or protocol == "udp":
                raise
            # Perhaps only connections of a former owner are there, which TIME_WAIT keeps for a minute.
            holder = _bound(protocol, ip, port, reuse=True)
        self._held[protocol, ip, port] = holder

    def _port_error(self, port: PublishedPort, container_ip: str, error: OSError) -> Internal:
        number = port.host_port
        if error.errno == errno.EADDRINUSE and self._is_ours(port):
            return Internal(
                f"Bind for {port.host_ip}:{number} failed: port is already allocated",
                fix=f"publish to another port, or stop the container that publishes {number}: `docker ps`",
            )
        here, there = (f"[{ip}]" if ":" in ip else ip for ip in (port.host_ip, container_ip))
        reason = os.strerror(error.errno or errno.EIO)
        return Internal(
            f"failed to bind host port for {here}:{number}:{there}:{port.container_port}/{port.protocol}: "
            f"{reason[0].lower()}{reason[1:]}",
            fix=f"publish to another port, or see who has it: `ss -lnp 'sport = :{number}'`",
        )

    def _is_ours(self, port: PublishedPort) -> bool:
        mine = (ip for protocol, ip, held in self._held if (protocol, held) == (port.protocol, port.host_port))
        anywhere = _any_like(port.host_ip)
        return any(ip == port.host_ip or anywhere in (ip, port.host_ip) for ip in mine if _any_like(ip) == anywhere)


def _any_like(ip: str) -> str:
    """All addresses of the family of this one."""
    return ANY_ADDRESS6 if ":" in ip else ANY_ADDRESS


def _bound(protocol: Protocol, ip: str, port: int, *, reuse: bool = False) -> socket.socket | None:
    """A bound socket that keeps every other one from the port, one with SO_REUSEADDR too.

    None for SCTP where the kernel has no such sockets: then nobody can have the port, and it is translated as ever.

    `reuse` gets it beside connections in TIME_WAIT. On older kernels (6.1) the port then stays open to a later bind
    with SO_REUSEADDR, though not to its listen. Raises: OSError as bind(2).
    """
    kind, number = _socket_type(protocol)
    family = socket.AF_INET6 if ":" in ip else socket.AF_INET
    try:
        holder = socket.socket(family, kind | socket.SOCK_CLOEXEC, number)
    except OSError as error:
        if protocol == "sctp" and error.errno == errno.EPROTONOSUPPORT:
            return None
        raise
    try:
        if family == socket.AF_INET6:
            # Else :: would take the port of 0.0.0.0 too, which is held on its own.
            holder.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        if protocol == "udp":
            # What comes in before the map element exists is thrown away, not kept.
            holder.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 0)
        if reuse:
            holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        holder.bind((ip, port))
        if reuse:
            # Off again: bind(2) and listen(2) of any other fail, although ours doesn't listen (so that ::1 is
            # refused at once).
            holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 0)
    except OSError:
        holder.close()
        raise
    return holder


def _socket_type(protocol: Protocol) -> tuple[int, int]:
    if protocol == "udp":
        return socket.SOCK_DGRAM, socket.IPPROTO_UDP
    if protocol == "sctp":
        return socket.SOCK_STREAM, socket.IPPROTO_SCTP
    return socket.SOCK_STREAM, socket.IPPROTO_TCP


def _words(ports: range | None) -> str:
    if ports is None:
        return "0"
    return str(ports.start) if len(ports) == 1 else f"{ports.start}-{ports.stop - 1}"
