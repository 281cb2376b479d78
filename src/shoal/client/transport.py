"""How bytes reach an engine: a Transport opens Connections; nothing here knows HTTP.

    unix:///path          a unix socket                                          here
    tcp://name:port       TCP, in plain text or (given certificates) with TLS    here, and `transport_tls`
    ssh://user@name:port  `shoal system dial-stdio` on the other machine         `transport_ssh`

A pair of buffers in a test fits too, by implementing the two interfaces. What `socket` of the standard library costs to
import (4 ms, for `enum` and `selectors`) a unix socket saves by using `_socket`, which is the same type.
"""

from __future__ import annotations

import errno
import os
from _socket import AF_UNIX, MSG_DONTWAIT, SHUT_WR, SOCK_STREAM
from _socket import socket as RawSocket  # noqa: N812 (a class under another name)

from shoal.errors import Forbidden, InvalidArgument, ShoalError, Unavailable, Unsupported

DEFAULT_HOST = "unix:///run/shoal/docker.sock"
PLAIN_PORT, TLS_PORT = 2375, 2376


class Connection:
    """One two-way stream of bytes, blocking. Whoever has it closes it."""

    def fileno(self) -> int:
        """The descriptor, for select; -1 where there is none."""
        raise NotImplementedError

    def send_all(self, data: bytes) -> None:
        """Sends every byte. Raises: OSError."""
        raise NotImplementedError

    def send_nowait(self, data: bytes) -> int:
        """Sends what fits without waiting, returns how many bytes that were. Raises: OSError."""
        raise NotImplementedError

    def receive(self, size: int) -> bytes:
        """At most `size` bytes, b"" at the end of the stream. Raises: OSError."""
        raise NotImplementedError

    def close_write(self) -> None:
        """Ends this side's stream; the other may go on (half-close)."""
        raise NotImplementedError

    def close(self) -> None:
        """Ends both directions; a second call does nothing."""
        raise NotImplementedError


class Transport:
    """Opens connections to one engine."""

    @property
    def address(self) -> str:
        """The engine's address as a user writes it (`unix:///run/shoal/docker.sock`)."""
        raise NotImplementedError

    def connect(self) -> Connection:
        """A fresh connection. Raises: Unavailable, Forbidden."""
        raise NotImplementedError


class SocketConnection(Connection):
    """A Connection over a connected stream socket, which it owns."""

    __slots__ = ("_socket",)

    def __init__(self, connected: RawSocket) -> None:
        self._socket = connected

    def fileno(self) -> int:
        """The socket's descriptor."""
        return self._socket.fileno()

    def send_all(self, data: bytes) -> None:
        """Sends every byte."""
        self._socket.sendall(data)

    def send_nowait(self, data: bytes) -> int:
        """Sends what fits into the socket's buffer."""
        try:
            return self._socket.send(data, MSG_DONTWAIT)
        except BlockingIOError:
            return 0

    def receive(self, size: int) -> bytes:
        """What came, at most `size` bytes."""
        return self._socket.recv(size)

    def close_write(self) -> None:
        """Ends this side's stream."""
        try:
            self._socket.shutdown(SHUT_WR)
        except OSError as error:
            # The peer has gone already: there is nothing left to end.
            if error.errno not in (errno.ENOTCONN, errno.EPIPE):
                raise

    def close(self) -> None:
        """Closes the socket."""
        self._socket.close()


class UnixTransport(Transport):
    """Connects to a unix socket."""

    def __init__(self, path: str) -> None:
        self.path = path

    @property
    def address(self) -> str:
        return f"unix://{self.path}"

    def connect(self) -> Connection:
        connected = RawSocket(AF_UNIX, SOCK_STREAM)
        try:
            connected.connect(self.path)
        except OSError as error:
            connected.close()
            raise refusal(self.address, error, path=self.path) from None
        return SocketConnection(connected)


class TcpTransport(Transport):
    """Connects to a TCP port, without TLS."""

    def __init__(self, host: str, port: int) -> None:
        self.host = host
        self.port = port

    @property
    def address(self) -> str:
        return f"tcp://{self.host}:{self.port}"

    def connect(self) -> Connection:
        import socket  # see above

        try:
            connected = socket.create_connection((self.host, self.port))
        except OSError as error:
            raise refusal(self.address, error) from None
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return SocketConnection(connected)


def refusal(address: str, error: OSError, *, path: str = "") -> ShoalError:
    """The error that a failed connection to `address` is told as."""
    what = f"Cannot connect to the engine at {address}"
    why = error.strerror or str(error)
    if error.errno in (errno.EACCES, errno.EPERM):
        return Forbidden(what, why=why, fix=f"run as root, or as a member of the group that owns {path or address}")
    if error.errno in (errno.ENOENT, errno.ECONNREFUSED):
        return Unavailable(f"{what}. Is shoald running?", fix="start it as root: `shoald`, or set DOCKER_HOST")
    return Unavailable(what, why=why, fix="check the address in DOCKER_HOST or -H")


class TlsFiles:
    """How to use TLS. `authority` "" trusts what the machine trusts; `verify` False believes any engine."""

    __slots__ = ("authority", "certificate", "key", "verify")

    def __init__(self, *, authority: str = "", certificate: str = "", key: str = "", verify: bool = True) -> None:
        self.authority = authority
        self.certificate = certificate
        self.key = key
        self.verify = verify


def parse_host(host: str, *, tls: TlsFiles | None = None) -> Transport:
    """The transport for an address as in DOCKER_HOST: `unix:///path`, `/path`, `tcp://name:port`, `ssh://user@name`.

    `tls` concerns TCP only. Raises: InvalidArgument for a malformed address, Unsupported for a scheme that is not
    served.
    """
    scheme, separator, rest = host.partition("://")
    if not separator:
        scheme, rest = ("unix", host) if host.startswith("/") else ("tcp", host)
    if scheme == "unix":
        if not rest:
            raise InvalidArgument("the host address `unix://` names no socket", fix=f"write {DEFAULT_HOST}")
        return UnixTransport(os.path.abspath(rest))
    if scheme in ("tcp", "http", "https"):
        name, port = _name_and_port(host, rest, TLS_PORT if tls else PLAIN_PORT)
        if tls is None and scheme != "https":
            return TcpTransport(name, port)
        from shoal.client.transport_tls import TlsTransport  # `ssl` takes 10 ms

        return TlsTransport(name, port, tls or TlsFiles())
    if scheme == "ssh":
        from shoal.client.transport_ssh import ssh_transport

        return ssh_transport(rest)
    raise Unsupported(f"invalid bind address format: {host}", fix="use unix://, tcp:// or ssh://")


def _name_and_port(host: str, rest: str, usual_port: int) -> tuple[str, int]:
    rest = rest.rstrip("/")
    name, colon, port = rest.rpartition(":") if not rest.endswith("]") else (rest, "", "")
    if not colon:
        name, port = rest, str(usual_port)
    if not (port.isascii() and port.isdecimal()) or not 0 < int(port) < 65536 or "/" in name:
        raise InvalidArgument(f"invalid host address `{host}`", fix="write tcp://NAME:PORT")
    return name.strip("[]") or "127.0.0.1", int(port)
