"""HTTP to registries: one request after the other in threads, over kept connections. The only importer of urllib3.

Runs in shoald. Redirects are followed here and nowhere else: only to http and https, never from https to http, never to
an address that only this machine's link knows; credentials stay with the origin that they were given for.
"""

from __future__ import annotations

import ipaddress
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from types import TracebackType
from urllib.parse import urljoin, urlsplit

import urllib3
from urllib3.exceptions import (
    ConnectTimeoutError,
    HTTPError,
    NameResolutionError,
    NewConnectionError,
    ReadTimeoutError,
    SSLError,
)

from shoal.errors import InvalidArgument
from shoal.image.registry.endpoints import RegistrySettings
from shoal.image.registry.failures import Cancelled, Unreachable
from shoal.image.registry.trust import tls_context

Body = bytes | Callable[[], Iterator[bytes]]
PIECE_BYTES = 1 << 18
_CONNECT_TIMEOUT_S = 15.0
_READ_TIMEOUT_S = 60.0
_REDIRECTS_MAX = 10
_REDIRECTS = frozenset((301, 302, 303, 307, 308))
_CONNECTIONS = 8


class Interrupted(Unreachable):
    """A connection that broke in the middle of an answer; what came so far is good."""


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
        self._transport.forget(self._inner)
        if kind is None:
            self._inner.release_conn()
        else:
            self._inner.close()

    def header(self, name: str) -> str:
        """The value of a header, "" where there is none."""
        return str(self._inner.headers.get(name, ""))

    def chunks(self) -> Iterator[bytes]:
        """The body in pieces. Raises while iterating: Interrupted, Cancelled."""
        try:
            yield from self._inner.stream(PIECE_BYTES, decode_content=False)
        except (HTTPError, OSError, ValueError) as error:
            self._transport.check()
            raise Interrupted(f'{self.method} "{self.url}": unexpected EOF', why=_first_line(error)) from None

    def read(self, limit: int) -> bytes:
        """The whole body. Raises: InvalidArgument if it has more than `limit` bytes; Interrupted, Cancelled."""
        body = bytearray()
        for chunk in self.chunks():
            body += chunk
            if len(body) > limit:
                self._inner.close()
                raise InvalidArgument(f'{self.method} "{self.url}": the answer is too big', why=f"over {limit} bytes")
        return bytes(body)

    def head(self, limit: int) -> bytes:
        """The body's first bytes, of an answer that tells an error; what can't be read is left out."""
        try:
            return self.read(limit)
        except (Interrupted, InvalidArgument):
            return b""


class RegistryTransport:
    """The connections of one pull, push or login. Thread-safe; `abandon` ends what runs, and all that would come."""

    def __init__(self, settings: RegistrySettings) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._abandoned = threading.Event()
        self._pools: dict[tuple[str, bool, str], urllib3.PoolManager] = {}
        self._open: set[urllib3.BaseHTTPResponse] = set()

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
        """Break the connections of all answers that are being read; what is asked for later is not touched."""
        with self._lock:
            for response in self._open:
                try:
                    response.shutdown()
                except (ValueError, OSError, RuntimeError):
                    pass  # it has come to its end just now

    def check(self) -> None:
        """Raises: Cancelled after `abandon`."""
        if self._abandoned.is_set():
            raise Cancelled("the client has gone")

    def wait(self, seconds: float) -> None:
        """Wait, before something is tried again. Raises: Cancelled."""
        self._abandoned.wait(seconds)
        self.check()

    def forget(self, response: urllib3.BaseHTTPResponse) -> None:
        """The answer has been read, or given up."""
        with self._lock:
            self._open.discard(response)

    def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        authorization: str = "",
        body: Body | None = None,
        verifies: bool = True,
    ) -> Response:
        """The answer to one request, redirects of GET and HEAD followed.

        `authorization` goes to the origin of `url` alone.
        Raises: Unreachable, Cancelled; InvalidArgument for a redirect that is not followed.
        """
        origin = _origin(url)
        current = url
        for _ in range(_REDIRECTS_MAX + 1):
            sent = {"User-Agent": self._settings.user_agent, "Accept-Encoding": "identity", **headers}
            if authorization and _origin(current) == origin:
                sent["Authorization"] = authorization
            # Exceptions to the rule of valid certificates are for the registry that they were made for.
            trusts = verifies or _origin(current) != origin
            response = self._send(method, current, sent, body, verifies=trusts)
            target = response.header("Location")
            if method not in ("GET", "HEAD") or response.status not in _REDIRECTS or not target:
                return response
            with response:
                response.head(PIECE_BYTES)
            current = followed(current, target)
        raise InvalidArgument(f'{method} "{url}": stopped after {_REDIRECTS_MAX} redirects')

    def _send(
        self, method: str, url: str, headers: Mapping[str, str], body: Body | None, *, verifies: bool
    ) -> Response:
        self.check()
        pool = self._pool(url, verifies=verifies)
        try:
            inner = pool.urlopen(
                method,
                url,
                body=body() if callable(body) else body,
                headers=headers,
                redirect=False,
                retries=False,
                preload_content=False,
                decode_content=False,
                timeout=urllib3.Timeout(connect=_CONNECT_TIMEOUT_S, read=_READ_TIMEOUT_S),
            )
        except (HTTPError, OSError, ValueError) as error:
            self.check()
            raise Unreachable(f'{method.title()} "{url}": {_reason(error, url)}') from None
        with self._lock:
            self._open.add(inner)
        return Response(inner, url, method, self)

    def _pool(self, url: str, *, verifies: bool) -> urllib3.PoolManager:
        """The connections for the registry of `url`, with its certificates and its proxy."""
        parts = urlsplit(url)
        host = parts.netloc.rpartition("@")[2]
        proxy = _proxy_for(parts.scheme, parts.hostname or "", host, self._settings.environment)
        key = (f"{parts.scheme}://{host}", verifies, proxy)
        with self._lock:
            if key not in self._pools:
                context = tls_context(host, self._settings.certificates, verifies=verifies) if _is_tls(url) else None
                self._pools[key] = (
                    urllib3.ProxyManager(proxy, maxsize=_CONNECTIONS, ssl_context=context)
                    if proxy
                    else urllib3.PoolManager(maxsize=_CONNECTIONS, ssl_context=context)
                )
            return self._pools[key]


def followed(current: str, target: str) -> str:
    """Where a redirect from `current` leads. Raises: InvalidArgument where it must not be followed."""
    url = urljoin(current, target)
    parts = urlsplit(url)
    refused = InvalidArgument(
        f'refusing the redirect of "{current}"', why=f"it leads to {parts.scheme}://{parts.netloc}"
    )
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username is not None:
        raise refused
    if _is_tls(current) and not _is_tls(url):
        raise refused
    try:
        address = ipaddress.ip_address(parts.hostname)
    except ValueError:
        return url
    if address.is_link_local or address.is_multicast or address.is_unspecified:
        raise refused
    return url


def _is_tls(url: str) -> bool:
    return url.startswith("https://")


def _origin(url: str) -> tuple[str, str]:
    parts = urlsplit(url)
    return parts.scheme, parts.netloc


def _proxy_for(scheme: str, host: str, place: str, environment: Mapping[str, str]) -> str:
    """The proxy that the environment names for this host, "" for none. Loopback is never proxied, as in Go."""
    if host == "localhost" or host == "::1" or host.startswith("127."):
        return ""

    def variable(name: str) -> str:
        return environment.get(name) or environment.get(name.upper()) or ""

    proxy = variable(f"{scheme}_proxy")
    if not proxy or any(_is_spared(host, place, rule) for rule in variable("no_proxy").split(",")):
        return ""
    return proxy if "://" in proxy else f"http://{proxy}"


def _is_spared(host: str, place: str, rule: str) -> bool:
    """Whether an entry of NO_PROXY means this host: `*`, a host, its port too, a network, or a domain's suffix."""
    rule = rule.strip().lower()
    if not rule:
        return False
    if "/" in rule:
        try:
            return ipaddress.ip_address(host) in ipaddress.ip_network(rule, strict=False)
        except ValueError:
            return False
    suffix = rule.removeprefix("*").removeprefix(".")
    return rule in ("*", host, place) or (suffix != "" and host.endswith(f".{suffix}"))


def _reason(error: BaseException, url: str) -> str:
    """Why nothing answered, in the words of Docker's HTTP client."""
    parts = urlsplit(url)
    place = f"{parts.hostname}:{parts.port or (443 if _is_tls(url) else 80)}"
    match error:
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
    return "EOF" if "Remote end closed connection" in text or "reset by peer" in text else f"malformed answer: {text}"


def _tls_reason(error: BaseException) -> str:
    cause = error.__cause__ or (error.args[0] if error.args else None)
    if isinstance(cause, ssl.SSLCertVerificationError):
        if "hostname" in cause.verify_message.lower() or "ip address" in cause.verify_message.lower():
            return f"x509: {cause.verify_message}"
        return f"x509: certificate signed by unknown authority ({cause.verify_message})"
    text = str(cause or error)
    if "WRONG_VERSION_NUMBER" in text or "RECORD_LAYER_FAILURE" in text or "wrong version number" in text:
        return "http: server gave HTTP response to HTTPS client"
    return f"tls: {_first_line(error)}"


def _first_line(error: BaseException) -> str:
    return " ".join(str(error).split())[:200]
