"""The heads of answers: status line and the headers that every answer of the Docker API has."""

from __future__ import annotations

import time
from collections.abc import Sequence
from email.utils import formatdate
from http import HTTPStatus

import h11

from shoal import __version__
from shoal.api.version import MAXIMUM
from shoal.server.messages import Header

_REASONS = {status.value: status.phrase.encode() for status in HTTPStatus}
_ALWAYS: tuple[Header, ...] = (
    (b"Api-Version", str(MAXIMUM).encode()),
    (b"Docker-Experimental", b"false"),
    (b"Ostype", b"linux"),
    (b"Server", f"shoal/{__version__} (linux)".encode()),
)
RAW_OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/vnd.docker.raw-stream\r\n\r\n"


class HeadWriter:
    """Makes heads; keeps the text of the present second for the Date header."""

    __slots__ = ("_date", "_second")

    def __init__(self) -> None:
        self._second = -1
        self._date = b""

    def response(self, status: int, content_type: bytes | None, headers: Sequence[Header] = ()) -> h11.Response:
        """The head of an ordinary answer; without a Content-Length among the headers its body is chunked."""
        fields = [*_ALWAYS, (b"Date", self._now()), *headers]
        if content_type is not None:
            fields.append((b"Content-Type", content_type))
        return h11.Response(status_code=status, headers=fields, reason=_REASONS.get(status, b""))

    def upgraded(self, content_type: bytes) -> h11.InformationalResponse:
        """The head after which the connection belongs to a container's streams."""
        switch = ((b"Content-Type", content_type), (b"Connection", b"Upgrade"), (b"Upgrade", b"tcp"))
        return h11.InformationalResponse(status_code=101, headers=[*switch, *_ALWAYS], reason=b"UPGRADED")

    def _now(self) -> bytes:
        second = int(time.time())
        if second != self._second:
            self._second = second
            self._date = formatdate(second, usegmt=True).encode()
        return self._date
