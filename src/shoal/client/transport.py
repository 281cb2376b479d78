"""How bytes reach an engine: a Transport opens Connections; nothing here knows HTTP.

Unix and TCP sockets are served. Others (TLS, ssh, a pair of buffers in a test) fit by implementing the two Protocols.
"""

from __future__ import annotations

import errno
import os
import socket
from typing import Protocol

from shoal.errors import Forbidden, InvalidArgument, ShoalError, Unavailable, Unsupported

DEFAULT_HOST = "unix:///run/shoal/docker.sock"


class Connection(Protocol):
    """One two-way stream of bytes, blocking. Whoever has it closes it."""

    def fileno(self) -> int:
        """The descriptor, for select; -1 where there is none."""

    def send_all(self, data: bytes) -> None:
        """Sends every byte. Raises: OSError."""

    def send_nowait(self, data: bytes) -> int:
        """Sends what fits without waiting, returns how many bytes that were. Raises: OSError."""

    def receive(self, size: int) -> bytes:
        """At most `size` bytes, b"" at the end of the stream. Raises: OSError."""

    def close_write(self) -> None:
        """Ends this side's stream; the other may go on (half-close)."""

    def close(self) -> None:
        """Ends both directions; a second call does nothing."""


class Transport(Protocol):
    """Opens connections to one engine."""

    @property
    def address(self) -> str:
        """The engine's address as a user writes it (`unix:///run/shoal/docker.sock`)."""

    def connect(self) -> Connection:
        """A fresh connection. Raises: Unavailable, Forbidden."""


class SocketConnection(Connection):
    """A Connection over a connected stream socket, which it owns."""

    __slots__ = ("_socket",)

    def __init__(self, connected: socket.socket) -> None:
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
            return self._socket.send(data, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return 0

    def receive(self, size: int) -> bytes:
        """What came, at most `size` bytes."""
        return self._socket.recv(size)

    def close_write(self) -> None:
        """Ends this side's stream."""
        try:
            self._socket.shutdown(socket.SHUT_WR)
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
        connected = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            connected.connect(self.path)
        except OSError as error:
            connected.close()
            raise _refusal(self.address, error, path=self.path) from None
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
        try:
            connected = socket.create_connection((self.host, self.port))
        except OSError as error:
            raise _refusal(self.address, error) from None
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return SocketConnection(connected)


def _refusal(address: str, error: OSError, *, path: str = "") -> ShoalError:
    what = f"Cannot connect to the engine at {address}"
    why = error.strerror or str(error)
    if error.errno in (errno.EACCES, errno.EPERM):
        return Forbidden(what, why=why, fix=f"run as root, or as a member of the group that owns {path or address}")
    if error.errno in (errno.ENOENT, errno.ECONNREFUSED):
        return Unavailable(f"{what}. Is shoald running?", fix="start it as root: `shoald`, or set DOCKER_HOST")
    return Unavailable(what, why=why, fix="check the address in DOCKER_HOST or -H")


def parse_host(host: str) -> Transport:
    """The transport for an address as in DOCKER_HOST: `unix:///path`, `/path`, or `tcp://name:port`.

    Raises: InvalidArgument for a malformed address, Unsupported for a scheme that is not served.
    """
    scheme, separator, rest = host.partition("://")
    if not separator:
        scheme, rest = ("unix", host) if host.startswith("/") else ("tcp", host)
    if scheme == "unix":
        if not rest:
            raise InvalidArgument("the host address `unix://` names no socket", fix=f"write {DEFAULT_HOST}")
        return UnixTransport(os.path.abspath(rest))
    if scheme in ("tcp", "http"):
        name, _, port = rest.rstrip("/").rpartition(":")
        if not port.isdecimal() or not 0 < int(port) < 65536:
            raise InvalidArgument(f"invalid host address `{host}`", fix="write tcp://NAME:PORT")
        return TcpTransport(name.strip("[]") or "127.0.0.1", int(port))
    raise Unsupported(f"hosts with `{scheme}://` are not served yet", fix="use unix:// or tcp://")
