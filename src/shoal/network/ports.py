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
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv4Address, IPv6Address
from itertools import chain

from shoal.api.host_config import PortBinding
from shoal.errors import Internal, InvalidArgument, Unsupported
from shoal.network.endpoint import ANY_ADDRESS, Protocol, PublishedPort

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

    `guarded`: only for clients whom the host's own firewall lets in.
    """

    protocol: Protocol
    container_port: int
    host_ip: str = ANY_ADDRESS
    host_ports: range | None = None
    guarded: bool = False


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
    random one never takes it. Raises: InvalidArgument, Unsupported. Source: Docker API v1.50 `PortMap`.
    """
    requests: list[PortRequest] = []
    for key, hosts in bindings.items():
        protocol, port = parse_port(key)
        for host in hosts or ([PortBinding()] if publish_all else []):
            host_ip = _parse_host_ip(host.host_ip, default_host_ip)
            requests.append(PortRequest(protocol, port, host_ip, _parse_range(host.host_port)))
    if publish_all:
        published = {(request.protocol, request.container_port) for request in requests}
        for key in exposed:
            protocol, port = parse_port(key)
            if (protocol, port) not in published:
                requests.append(PortRequest(protocol, port, default_host_ip))
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
        shown[key] = [*hosts, PortBinding(host_ip=port.host_ip, host_port=str(port.host_port))]
    return shown


def kept_ports(
    published: Iterable[PublishedPort], requests: Iterable[PortRequest], closing: Collection[PublishedPort] = ()
) -> tuple[list[PublishedPort], list[PortRequest]]:
    """Of what is published that which serves these requests, none of `closing`; and the requests still unserved."""
    left = [port for port in published if port not in closing]
    kept: list[PublishedPort] = []
    unserved: list[PortRequest] = []
    for request in requests:
        found = next((port for port in left if _serves(port, request)), None)
        if found is None:
            unserved.append(request)
        else:
            left.remove(found)
            kept.append(found)
    return kept, unserved


def _serves(port: PublishedPort, request: PortRequest) -> bool:
    same = (port.protocol, port.container_port, port.host_ip) == (
        request.protocol,
        request.container_port,
        request.host_ip,
    )
    return same and (request.host_ports is None or port.host_port in request.host_ports)


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
        IPv6Address(text.strip("[]"))
    except AddressValueError:
        raise InvalidArgument(f"invalid IP address in port binding: {_quoted(text)}") from None
    raise Unsupported(
        f"publishing a port on the IPv6 address {text} is not supported yet",
        fix="publish on an IPv4 address: `-p 0.0.0.0:8080:80`",
    )


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
        self._held: dict[tuple[str, str, int], socket.socket] = {}

    def reserve(self, requests: Iterable[PortRequest], container_ip: str) -> tuple[PublishedPort, ...]:
        """The host ports for all requests, held from now on; for none of them if one fails.

        Raises: Internal in Docker's words, when a port is taken.
        """
        done: list[PublishedPort] = []
        try:
            for request in requests:
                done.append(self._reserve_one(request, container_ip))
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
            held.close()
        self._held.clear()

    def _reserve_one(self, request: PortRequest, container_ip: str) -> PublishedPort:
        candidates = self._random_order() if request.host_ports is None else request.host_ports
        failure: Internal | None = None
        for port in candidates:
            try:
                self._bind(request.protocol, request.host_ip, port)
            except OSError as error:
                failure = self._port_error(request, port, container_ip, error)
                if error.errno not in (errno.EADDRINUSE, errno.EACCES):
                    raise failure from None
                continue
            if request.host_ports is None:
                self._cursor = port + 1
            return PublishedPort(request.protocol, request.container_port, request.host_ip, port, request.guarded)
        if failure is not None and request.host_ports is not None and len(request.host_ports) == 1:
            raise failure
        raise Internal(
            f"Bind for {request.host_ip}:{_words(request.host_ports)} failed: all ports are allocated",
            fix="publish to another range, or stop containers that hold ports of this one",
        )

    def _random_order(self) -> Iterable[int]:
        """All ephemeral ports, starting behind the one given last: a port that was just freed rests a while."""
        ports = self._ephemeral_range()
        start = self._cursor if self._cursor in ports else ports.start
        return chain(range(start, ports.stop), range(ports.start, start))

    def _bind(self, protocol: Protocol, ip: str, port: int) -> None:
        """Hold one port. Raises: OSError as bind(2)."""
        if (protocol, ip, port) in self._held or (protocol, ANY_ADDRESS, port) in self._held:
            raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))
        try:
            holder = _bound(protocol, ip, port)
        except OSError as error:
            if error.errno != errno.EADDRINUSE or protocol == "udp":
                raise
            # Perhaps only connections of a former owner are there, which TIME_WAIT keeps for a minute.
            holder = _bound(protocol, ip, port, reuse=True)
        self._held[protocol, ip, port] = holder

    def _port_error(self, request: PortRequest, port: int, container_ip: str, error: OSError) -> Internal:
        if error.errno == errno.EADDRINUSE and self._is_ours(request, port):
            return Internal(
                f"Bind for {request.host_ip}:{port} failed: port is already allocated",
                fix=f"publish to another port, or stop the container that publishes {port}: `docker ps`",
            )
        target = f"{request.host_ip}:{port}:{container_ip}:{request.container_port}/{request.protocol}"
        reason = os.strerror(error.errno or errno.EIO)
        return Internal(
            f"failed to bind host port for {target}: {reason[0].lower()}{reason[1:]}",
            fix=f"publish to another port, or see who has it: `ss -lnp 'sport = :{port}'`",
        )

    def _is_ours(self, request: PortRequest, port: int) -> bool:
        mine = (ip for protocol, ip, held in self._held if protocol == request.protocol and held == port)
        return any(ip == request.host_ip or ANY_ADDRESS in (ip, request.host_ip) for ip in mine)


def _bound(protocol: Protocol, ip: str, port: int, *, reuse: bool = False) -> socket.socket:
    """A bound socket that keeps every other one from the port, one with SO_REUSEADDR too.

    `reuse` gets it beside connections in TIME_WAIT. On older kernels (6.1) the port then stays open to a later bind
    with SO_REUSEADDR, though not to its listen. Raises: OSError as bind(2).
    """
    kind, number = _socket_type(protocol)
    holder = socket.socket(socket.AF_INET, kind | socket.SOCK_CLOEXEC, number)
    try:
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
