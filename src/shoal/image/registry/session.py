"""One repository of one registry, spoken to as one user: authorisation, retries, errors in Docker's words."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from email.utils import parsedate_to_datetime
from typing import TypeVar

from shoal.errors import InvalidArgument, NotFound, ShoalError, Unavailable
from shoal.image.registry.challenges import Challenge, parse_challenges
from shoal.image.registry.credentials import Credentials
from shoal.image.registry.endpoints import Endpoint
from shoal.image.registry.failures import BUSY, NO_CREDENTIALS, Refused, Unreachable, refusal_of
from shoal.image.registry.manifests import ACCEPT, MANIFEST_MAX
from shoal.image.registry.tokens import fetch_token
from shoal.image.registry.transport import Body, Interrupted, RegistryTransport, Response

T = TypeVar("T")
_ERROR_MAX = 64 << 10
_TRIES = 4
_PAUSE_MAX_S = 60.0
_SAFE = frozenset(("GET", "HEAD"))


class Session:
    """Requests about the repository `path` at `endpoint`. Thread-safe.

    `scopes` are asked of a token server; more may be added by `also`.
    """

    def __init__(
        self,
        transport: RegistryTransport,
        endpoint: Endpoint,
        path: str,
        credentials: Credentials,
        scopes: Sequence[str],
    ) -> None:
        self._transport = transport
        self._credentials = credentials
        self._scopes = list(scopes)
        self._lock = threading.Lock()
        self._authorization = f"Bearer {credentials.registry_token}" if credentials.registry_token else ""
        self.endpoint = endpoint
        self.path = path

    def also(self, scope: str) -> None:
        """Ask for this scope as well, from the next token on."""
        with self._lock:
            if scope not in self._scopes:
                self._scopes.append(scope)
                if self._authorization.startswith("Bearer ") and not self._credentials.registry_token:
                    self._authorization = ""

    def url(self, rest: str) -> str:
        """The address of something in this repository: `manifests/latest`."""
        return f"{self.endpoint.url}/v2/{self.path}/{rest}"

    def ping(self) -> None:
        """Find out whether the registry answers here at all. Raises: Unreachable, Cancelled."""
        url = f"{self.endpoint.url}/v2/"
        with self._transport.request("GET", url, endpoint=self.endpoint) as response:
            response.head(_ERROR_MAX)

    def send(
        self,
        method: str,
        url: str,
        *,
        accepted: Collection[int],
        headers: Mapping[str, str] | None = None,
        body: Body | None = None,
    ) -> Response:
        """The answer, whose status is one of `accepted`; its reader closes it.

        Authorisation is got once when it is asked for; a busy registry is asked again, and so is one that hangs up.
        Raises: Refused, Unreachable, Cancelled; InvalidArgument for what must not be followed.
        """
        is_authorised = False
        for attempt in range(1, _TRIES + 1):
            with self._lock:
                used = self._authorization if self._is_ours(url) else ""
            try:
                response = self._transport.request(
                    method, url, endpoint=self.endpoint, headers=headers, authorization=used, body=body
                )
            except Interrupted:
                if method not in _SAFE or attempt == _TRIES:
                    raise
                self._transport.wait(self._pause(attempt))
                continue
            if response.status in accepted:
                return response
            with response:
                text = response.head(_ERROR_MAX)
            # Another host, where a redirect or an upload led, has no business to ask who we are.
            if response.status == 401 and not is_authorised and self._is_ours(response.url):
                is_authorised = True
                self._authorise(method, url, parse_challenges(response.header("WWW-Authenticate")), used)
                continue
            retry_after = response.header("Retry-After")
            pause_s = self._pause(attempt, retry_after)
            if response.status not in BUSY or attempt == _TRIES or callable(body) or pause_s > _PAUSE_MAX_S:
                break
            self._transport.wait(pause_s)
        text = self._credentials.hidden_in(text)
        raise refusal_of(method, response.url, response.status, text, busy_for_s=pause_s if retry_after else 0)

    def _pause(self, attempt: int, retry_after: str = "") -> float:
        return pause_before(attempt, retry_after, self._transport.settings.retry_pause_s, time.time())

    def _is_ours(self, url: str) -> bool:
        return url.startswith(f"{self.endpoint.url}/")

    def _authorise(self, method: str, url: str, challenges: Sequence[Challenge], used: str) -> None:
        """Get what the registry asks for; another thread may have done so meanwhile. Raises: Refused."""
        with self._lock:
            if self._authorization != used:
                return
            for challenge in challenges:
                if challenge.scheme == "bearer" and not self._credentials.registry_token:
                    scopes = self._scopes or challenge.parameters.get("scope", "").split()
                    token = fetch_token(self._transport, self.endpoint, challenge.parameters, scopes, self._credentials)
                    self._authorization = f"Bearer {token.access}"
                    if self._credentials.identity_token and token.refresh:  # some are good for one use
                        self._credentials = replace(self._credentials, identity_token=token.refresh)
                    return
                if challenge.scheme == "basic":
                    if not self._credentials.basic:
                        what = f'{method.title()} "{url}": {NO_CREDENTIALS}'
                        raise Refused(what, code="", http_status=401, fix=f"docker login {self.endpoint.host}")
                    if used != self._credentials.basic:
                        self._authorization = self._credentials.basic
                        return
            raise refusal_of(method, url, 401, b"")

    def fetch(self, url: str, limit: int, headers: Mapping[str, str] | None = None) -> tuple[bytes, Response]:
        """A small document and the answer that it came by; one that breaks off is asked for again.

        Raises: as `send`; InvalidArgument if it has more than `limit` bytes.
        """
        for attempt in range(1, _TRIES):
            try:
                return self._fetch_once(url, limit, headers)
            except Interrupted:
                self._transport.wait(self._pause(attempt))
        return self._fetch_once(url, limit, headers)

    def _fetch_once(self, url: str, limit: int, headers: Mapping[str, str] | None) -> tuple[bytes, Response]:
        with self.send("GET", url, accepted=(200,), headers=headers) as response:
            return response.read(limit), response

    # -- manifests ----------------------------------------------------------------------------------------------

    def manifest(self, name: str) -> tuple[bytes, str, str]:
        """A manifest's bytes, its content type, and its digest as the registry claims it ("" if it doesn't).

        Raises: as `send`; InvalidArgument if it is too big.
        """
        raw, response = self.fetch(self.url(f"manifests/{name}"), MANIFEST_MAX, {"Accept": ACCEPT})
        return raw, response.header("Content-Type"), response.header("Docker-Content-Digest")


def pause_before(attempt: int, retry_after: str, pause_s: float, now_s: float) -> float:
    """How long a registry wants to be left alone, in seconds; else `pause_s`, doubled each time. RFC 9110 §10.2.3."""
    text = retry_after.strip()
    if text.isdecimal():
        return float(text[:9])
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - now_s)
    except (ValueError, OverflowError):
        return pause_s * float(2**attempt)


def at_first_answering(
    endpoints: Sequence[Endpoint], begin: Callable[[Endpoint], Session], act: Callable[[Session], T]
) -> T:
    """What `act` does at the first endpoint that answers; a mirror that fails is passed over.

    Raises: what went wrong at the last of them.
    """
    for index, endpoint in enumerate(endpoints):
        is_last = index == len(endpoints) - 1
        session = begin(endpoint)
        try:
            session.ping()
        except Unavailable:
            if is_last:
                raise
            continue
        try:
            return act(session)
        except (Refused, Unavailable, InvalidArgument, NotFound):
            if is_last or not endpoint.is_mirror:
                raise
    raise _nowhere()


def _nowhere() -> ShoalError:
    return Unreachable("no endpoint of the registry is configured")
