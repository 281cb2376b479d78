"""TLS over TCP. `ssl` and `threading` are imported here only, since most calls do without.

The caller gets one end of a pair of sockets; a thread carries between the other end and the TLS connection:

    HTTP, streams ◀─▶ pair of sockets ◀─▶ thread ◀─▶ TLS ◀─▶ TCP

So whoever polls a connection, half-closes it or hands it on need not know that it is sealed.
"""

from __future__ import annotations

import select
import socket
import ssl
import threading

from shoal.api.tls_stream import TlsStream
from shoal.client.transport import Connection, SocketConnection, TlsFiles, Transport, refusal
from shoal.errors import Forbidden, InvalidArgument, Unavailable

_READ_SIZE = 65536
_HANDSHAKE_S = 30.0
_MOST_UNSENT = 1 << 20


class TlsTransport(Transport):
    """Connects to a TCP port with TLS 1.2 or later."""

    def __init__(self, host: str, port: int, files: TlsFiles) -> None:
        self.host = host
        self.port = port
        self._files = files

    @property
    def address(self) -> str:
        return f"tcp://{self.host}:{self.port}"

    def connect(self) -> Connection:
        context = client_context(self._files)
        try:
            connected = socket.create_connection((self.host, self.port))
        except OSError as error:
            raise refusal(self.address, error) from None
        try:
            connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            stream = TlsStream(context, server_side=False, server_hostname=self.host)
            self._shake_hands(connected, stream)
            return _RelayedConnection(connected, stream, self.address)
        except BaseException:
            connected.close()
            raise

    def _shake_hands(self, connected: socket.socket, stream: TlsStream) -> None:
        connected.settimeout(_HANDSHAKE_S)
        try:
            stream.begin()
            while not stream.is_open:
                connected.sendall(stream.take_sealed())
                sealed = connected.recv(_READ_SIZE)
                if not sealed:
                    raise _no_tls(self.address, "the engine hung up during the handshake; does it speak TLS?")
                stream.receive(sealed)
            connected.sendall(stream.take_sealed())
        except ssl.SSLError as error:
            raise tls_refusal(self.address, error) from None
        except OSError as error:
            raise _no_tls(self.address, error.strerror or str(error)) from None
        connected.settimeout(None)


class _RelayedConnection(SocketConnection):
    """The caller's end of the pair. Says what TLS had against the connection when that is why it ended."""

    __slots__ = ("_relay",)

    def __init__(self, connected: socket.socket, stream: TlsStream, address: str) -> None:
        ours, theirs = socket.socketpair()
        super().__init__(ours)
        self._relay = _Relay(connected, theirs, stream, address)
        threading.Thread(target=self._relay.run, name="shoal-tls", daemon=True).start()

    def receive(self, size: int) -> bytes:
        """What came, at most `size` bytes. Raises: Forbidden, Unavailable when TLS ended it."""
        try:
            data = super().receive(size)
        except ConnectionResetError:
            data = b""
        if not data and self._relay.problem is not None:
            raise self._relay.problem
        return data


class _Relay:
    """Carries bytes between a plain socket and a TLS connection until both directions have ended. Owns both."""

    def __init__(self, outer: socket.socket, inner: socket.socket, stream: TlsStream, address: str) -> None:
        self._outer = outer
        self._inner = inner
        self._stream = stream
        self._address = address
        self._sealed = b""
        self._plain = b""
        self._reads_inner = True
        self._is_inner_told = False
        self.problem: Forbidden | Unavailable | None = None

    def run(self) -> None:
        """Nothing, when it is over."""
        try:
            self._outer.setblocking(False)
            self._inner.setblocking(False)
            self._plain = self._stream.take_plain()
            while self._goes_on():
                self._turn()
        except ssl.SSLError as error:
            self.problem = tls_refusal(self._address, error)
        except OSError:
            pass  # one side is gone: so is the connection
        finally:
            self._outer.close()
            self._inner.close()

    def _goes_on(self) -> bool:
        return bool(self._reads_inner or self._sealed or self._plain or not self._stream.peer_closed)

    def _turn(self) -> None:
        poll = select.poll()
        reads_outer = not self._stream.peer_closed and len(self._plain) < _MOST_UNSENT
        reads_inner = self._reads_inner and len(self._sealed) < _MOST_UNSENT
        poll.register(self._outer, (select.POLLIN * reads_outer) | (select.POLLOUT * bool(self._sealed)))
        poll.register(self._inner, (select.POLLIN * reads_inner) | (select.POLLOUT * bool(self._plain)))
        ready = dict(poll.poll())
        gone = select.POLLHUP | select.POLLERR
        if reads_outer and ready.get(self._outer.fileno(), 0) & (select.POLLIN | gone):
            self._stream.receive(self._outer.recv(_READ_SIZE))
            self._plain += self._stream.take_plain()
        if reads_inner and ready.get(self._inner.fileno(), 0) & (select.POLLIN | gone):
            self._take_inner()
        self._sealed += self._stream.take_sealed()
        if self._sealed:
            self._sealed = self._sealed[_send_nowait(self._outer, self._sealed) :]
        if self._plain:
            self._plain = self._plain[_send_nowait(self._inner, self._plain) :]
        if self._stream.peer_closed and not self._plain and not self._is_inner_told:
            self._is_inner_told = True
            self._inner.shutdown(socket.SHUT_WR)

    def _take_inner(self) -> None:
        data = self._inner.recv(_READ_SIZE)
        if data:
            self._stream.send(data)
        else:
            self._reads_inner = False
            self._stream.close_write()


def _send_nowait(target: socket.socket, data: bytes) -> int:
    try:
        return target.send(data)
    except BlockingIOError:
        return 0


def client_context(files: TlsFiles) -> ssl.SSLContext:
    """What `ssl` needs to know. Raises: InvalidArgument when a file can't be used, with its name."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if not files.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    elif files.authority:
        _load(files.authority, lambda: context.load_verify_locations(files.authority))
    else:
        context.load_default_certs()
    if files.certificate or files.key:
        if not (files.certificate and files.key):
            raise InvalidArgument("a client certificate needs its key, and a key its certificate", fix="give both")
        _load(files.certificate, lambda: context.load_cert_chain(files.certificate, files.key))
    return context


def _load(path: str, load: object) -> None:
    assert callable(load)
    try:
        load()
    except ssl.SSLError as error:
        raise InvalidArgument(f"could not use {path}", why=error.reason or str(error), fix="give PEM files") from None
    except OSError as error:
        raise InvalidArgument(
            f"could not read {path}, or the file beside it",
            why=error.strerror or "",
            fix="set DOCKER_CERT_PATH to where ca.pem, cert.pem and key.pem are, or name them by --tlscacert …",
        ) from None


def tls_refusal(address: str, error: ssl.SSLError) -> Forbidden | Unavailable:
    """The error that a refusal by either side is told as."""
    reason = (error.reason or str(error)).replace("_", " ").lower()
    if isinstance(error, ssl.SSLCertVerificationError):
        why = error.verify_message
        fix = "check --tlscacert, and that the engine's certificate names this host"
        return Forbidden(f"the engine at {address} is not the one that it should be", why=why, fix=fix)
    if "certificate" in reason or "unknown ca" in reason:
        fix = "give a certificate that the engine's CA has signed: --tlscert and --tlskey"
        return Forbidden(f"the engine at {address} refused this client", why=reason, fix=fix)
    return _no_tls(address, reason)


def _no_tls(address: str, why: str) -> Unavailable:
    return Unavailable(f"no TLS connection with {address}", why=why, fix="check the port, and whether it speaks TLS")
