"""HTTP to registries: one request after the other in threads, over kept connections. The only importer of urllib3.

Runs in shoald. Redirects are followed here and nowhere else, to where `followed` lets them lead; and whatever the name
of another host turns out to mean, no request goes to an address that a redirect may not name. Credentials stay with the
origin that they were given for.
"""

from __future__ import annotations

import re
import socket
import ssl
import threading
import weakref
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import suppress
from functools import partial
from types import TracebackType
from typing import Any
from urllib.parse import unquote, urlsplit

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import (
    ConnectTimeoutError,
    HTTPError,
    NameResolutionError,
    NewConnectionError,
    ProxyError,
    ReadTimeoutError,
    SSLError,
)
from urllib3.util.ssltransport import SSLTransport

from shoal.errors import InvalidArgument, Unavailable
from shoal.image.registry.addresses import followed, is_forbidden, is_tls, origin_of, without_query
from shoal.image.registry.endpoints import Endpoint, RegistrySettings
from shoal.image.registry.failures import Cancelled, Unreachable
from shoal.image.registry.patience import PatientResponse, TooSlow
from shoal.image.registry.proxies import proxy_for
from shoal.image.registry.trust import tls_context

# What is sent; a function begins it anew for each try.
Body = bytes | Callable[[], Generator[bytes, None, None]]
PIECE_BYTES = 1 << 18
_REDIRECTS_MAX = 10
_REDIRECTS = frozenset((301, 302, 303, 307, 308))
# These ask for the same method and body once more, wherever they lead.
_REPEATING_REDIRECTS = frozenset((307, 308))
_CONNECTIONS = 8
_CUT = "EOF"


class Interrupted(Unreachable):
    """A connection that broke before the answer, or in the middle of it; what came so far is good."""


class Response:
    """An answer whose body has not been read yet. Use in a `with` block."""

    def __init__(self, inner: urllib3.BaseHTTPResponse, url: str, method: str, transport: RegistryTransport) -> None:
        self._inner = inner
        self._transport = transport
        self.url = url
        self.method = method
        self.status = inner.status

    def __enter__(self) -> Response:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        if kind is None:
            self._inner.release_conn()
        else:
            self._inner.close()

    @property
    def asked(self) -> str:
        """What was asked, for errors: method and address."""
        return f'{self.method} "{without_query(self.url)}"'

    def header(self, name: str) -> str:
        """The value of a header, "" where there is none."""
        return str(self._inner.headers.get(name, ""))

    def chunks(self) -> Iterator[bytes]:
        """The body in pieces, as they come. Raises while iterating: Interrupted, Cancelled; Unavailable for a drip."""
        try:
            while chunk := self._inner.read1(PIECE_BYTES, decode_content=False):
                yield chunk
        except TooSlow as error:
            raise _too_slow(self.asked, error) from None
        except (HTTPError, OSError, ValueError) as error:
            self._transport.check()
            raise Interrupted(f"{self.asked}: unexpected EOF", why=_first_line(error)) from None

    def read(self, limit: int) -> bytes:
        """The whole body. Raises: InvalidArgument if it has more than `limit` bytes; as `chunks`."""
        body = bytearray()
        for chunk in self.chunks():
            body += chunk
            if len(body) > limit:
                self._inner.close()
                raise InvalidArgument(f"{self.asked}: the answer is too big", why=f"over {limit} bytes")
        return bytes(body)

    def head(self, limit: int) -> bytes:
        """The body of an answer that tells an error or nothing; one that is too long or can't be read is left out."""
        try:
            return self.read(limit)
        except (Interrupted, InvalidArgument):
            return b""


class RegistryTransport:
    """The connections of one pull, push or login. Thread-safe; `abandon` ends what runs, and all that would come."""

    def __init__(self, settings: RegistrySettings) -> None:
        self.settings = settings
        self._lock = threading.Lock()
        self._abandoned = threading.Event()
        self._pools: dict[tuple[str, bool, bool], urllib3.PoolManager] = {}
        self._sockets: weakref.WeakSet[socket.socket] = weakref.WeakSet()

    def __enter__(self) -> RegistryTransport:
        return self

    def __exit__(self, *_: object) -> None:
        for manager in self._pools.values():
            for key in manager.pools.keys():  # noqa: SIM118 - it can't be iterated over
                pool = manager.pools.get(key)
                if pool is not None:
                    pool.close()  # `clear` would leave the connections to the garbage collector
            manager.clear()

    def abandon(self) -> None:
        """End every transfer: the threads that wait for one hear Cancelled."""
        self._abandoned.set()
        self.cut()

    def cut(self) -> None:
        """Break the connections that there are; what is asked for later gets new ones."""
        with self._lock:
            for connected in self._sockets:
                with suppress(OSError):  # it has come to its end just now
                    # Not the TLS socket's own method, which takes the session from the thread that reads.
                    socket.socket.shutdown(connected, socket.SHUT_RDWR)

    def check(self) -> None:
        """Raises: Cancelled after `abandon`."""
        if self._abandoned.is_set():
            raise Cancelled("the client has gone")

    def wait(self, seconds: float) -> None:
        """Wait, before something is tried again. Raises: Cancelled."""
        self._abandoned.wait(seconds)
        self.check()

    def request(
        self,
        method: str,
        url: str,
        *,
        endpoint: Endpoint,
        headers: Mapping[str, str] | None = None,
        authorization: str = "",
        body: Body | None = None,
    ) -> Response:
        """The answer to one request, redirects followed: of GET and HEAD, and those that want the same once more.

        `authorization` goes to the origin of `url` alone; what `endpoint` is allowed, to its host alone: certificates
        that are not valid, and addresses where no redirect may lead.
        Raises: Unreachable, Cancelled; Unavailable for a drip; InvalidArgument for a redirect that is not followed.
        """
        current = url
        for _ in range(_REDIRECTS_MAX + 1):
            sent = {"User-Agent": self.settings.user_agent, "Accept-Encoding": "identity", **(headers or {})}
            if authorization and origin_of(current) == origin_of(url):
                sent["Authorization"] = authorization
            response = self._send(method, current, sent, body, endpoint)
            target = response.header("Location")
            repeats = _REDIRECTS if method in ("GET", "HEAD") else _REPEATING_REDIRECTS
            if response.status not in repeats or not target or callable(body):
                return response
            with response:
                response.head(PIECE_BYTES)
            current = followed(current, target)
        raise InvalidArgument(f'{method} "{without_query(url)}": stopped after {_REDIRECTS_MAX} redirects')

    def _send(
        self, method: str, url: str, headers: Mapping[str, str], body: Body | None, endpoint: Endpoint
    ) -> Response:
        self.check()
        timeout = urllib3.Timeout(connect=self.settings.connect_timeout_s, read=self.settings.read_timeout_s)
        sent = body() if callable(body) else body
        try:
            inner = self._pool(url, endpoint).urlopen(
                method,
                url,
                body=sent,
                headers=headers,
                redirect=False,
                retries=False,
                preload_content=False,
                decode_content=False,
                timeout=timeout,
            )
        except TooSlow as error:
            raise _too_slow(f'{method} "{without_query(url)}"', error) from None
        except (HTTPError, OSError, ValueError) as error:
            self.check()
            reason = _reason(error, url, proxy_for(url, self.settings.environment))
            kind = Interrupted if reason == _CUT else Unreachable
            raise kind(f'{method.title()} "{without_query(url)}": {reason}') from None
        finally:
            if isinstance(sent, Generator):
                sent.close()  # what it has open, however far it came
        return Response(inner, url, method, self)

    def _pool(self, url: str, endpoint: Endpoint) -> urllib3.PoolManager:
        """The connections for the registry of `url`, with its certificates and its proxy."""
        scheme, place = origin_of(url)
        is_registry = urlsplit(url).hostname == urlsplit(endpoint.url).hostname
        key = (f"{scheme}://{place}", endpoint.verifies or not is_registry, is_registry)
        with self._lock:
            if key not in self._pools:
                self._pools[key] = self._new_pool(url, place, verifies=key[1], is_registry=is_registry)
            return self._pools[key]

    def _new_pool(self, url: str, place: str, *, verifies: bool, is_registry: bool) -> urllib3.PoolManager:
        proxy = proxy_for(url, self.settings.environment)
        context = tls_context(place, self.settings.certificates, verifies=verifies) if is_tls(url) else None
        manager = (
            urllib3.ProxyManager(
                proxy,
                maxsize=_CONNECTIONS,
                ssl_context=context,
                proxy_ssl_context=self._proxy_context(proxy),
                proxy_headers=_proxy_headers(proxy),
            )
            if proxy
            else urllib3.PoolManager(maxsize=_CONNECTIONS, ssl_context=context)
        )

        # Through a proxy the other end is the proxy, and what that one reaches is its affair.
        is_free = is_registry or bool(proxy)
        pool = manager.connection_from_url(url)
        kind = _PrivateConnection if pool.scheme == "https" else _Connection
        announce = partial(self._note, url=url, is_free=is_free)
        pool.ConnectionCls = partial(kind, announce=announce)  # type: ignore[assignment]
        return manager

    def _proxy_context(self, proxy: str) -> ssl.SSLContext | None:
        """How a proxy that is spoken to in TLS shows who it is: as registries do."""
        if not is_tls(proxy):
            return None
        return tls_context(origin_of(proxy)[1].rpartition("@")[2], self.settings.certificates, verifies=True)

    def _note(self, end: socket.socket | SSLTransport, *, url: str, is_free: bool) -> None:
        """Take note of a new connection for `cut`. Raises: Cancelled; InvalidArgument if it must not be used."""
        connected = end.socket if isinstance(end, SSLTransport) else end  # TLS within a proxy's TLS is no socket
        if not is_free and is_forbidden(str(connected.getpeername()[0])):
            raise InvalidArgument(f"refusing to go to {origin_of(url)[1]}", why=f"that is {connected.getpeername()[0]}")
        with self._lock:
            self._sockets.add(connected)
        self.check()  # an `abandon` that came before did not know of it


class _Connection(HTTPConnection):
    """A connection that tells of itself before anything is asked over it."""

    response_class = PatientResponse

    def __init__(self, *args: Any, announce: Callable[[socket.socket | SSLTransport], None], **options: Any) -> None:
        super().__init__(*args, **options)
        self._announce = announce

    def connect(self) -> None:
        """Raises: as the library's, and what `announce` raises."""
        super().connect()
        assert self.sock is not None
        try:
            self._announce(self.sock)
        except BaseException:
            self.close()
            raise


class _PrivateConnection(_Connection, HTTPSConnection):
    """The same with TLS."""

    def connect(self) -> None:
        """Raises: as the library's, and what `announce` raises."""
        super().connect()
        self.is_verified = True  # or need not be: that was decided, and is nothing for the library to warn of


def _too_slow(asked: str, error: TooSlow) -> Unavailable:
    return Unavailable(f"{asked}: the answer comes too slowly", why=str(error))


def _proxy_headers(proxy: str) -> dict[str, str] | None:
    """The name and the password in a proxy's address, as it wants to hear them."""
    parts = urlsplit(proxy)
    if parts.username is None:
        return None
    pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
    return dict(urllib3.make_headers(proxy_basic_auth=pair))


def _reason(error: BaseException, url: str, proxy: str = "") -> str:
    """Why nothing answered, in the words of Docker's HTTP client."""
    parts = urlsplit(url)
    place = parts.netloc.rpartition("@")[2] + ("" if parts.port else f":{443 if is_tls(url) else 80}")
    match error:
        case ProxyError():
            return f"proxyconnect tcp: {_reason(error.original_error, proxy)}"
        case NameResolutionError():
            return f"dial tcp: lookup {parts.hostname}: no such host"
        case ConnectTimeoutError() | NewConnectionError():
            cause = error.__cause__
            if isinstance(cause, OSError) and cause.strerror and not isinstance(cause, TimeoutError):
                return f"dial tcp {place}: connect: {cause.strerror.lower()}"
            return f"dial tcp {place}: i/o timeout"
        case ReadTimeoutError():
            return "net/http: timeout awaiting response headers"
        case SSLError():
            return _tls_reason(error)
    text = _first_line(error)
    is_cut = any(words in text for words in ("Remote end closed connection", "reset by peer", "Broken pipe"))
    return _CUT if is_cut else f"malformed answer: {text}"


def _tls_reason(error: BaseException) -> str:
    cause = error.__cause__ or (error.args[0] if error.args else None)
    if isinstance(cause, ssl.SSLCertVerificationError):
        if "hostname" in cause.verify_message.lower() or "ip address" in cause.verify_message.lower():
            return f"x509: {cause.verify_message}"
        return f"x509: certificate signed by unknown authority ({cause.verify_message})"
    text = str(cause or error)
    if "WRONG_VERSION_NUMBER" in text or "RECORD_LAYER_FAILURE" in text or "wrong version number" in text:
        return "http: server gave HTTP response to HTTPS client"
    alert = re.search(r" alert ([a-z ]+[a-z])", text)
    return f"remote error: tls: {alert[1]}" if alert else f"tls: {_first_line(error)}"


def _first_line(error: BaseException) -> str:
    return " ".join(str(error).split())[:200]
