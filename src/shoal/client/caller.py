"""What the groups of calls need from the Client: one Protocol, so that neither imports the other in a circle."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Protocol

from shoal.client.document import Document, Json
from shoal.client.http import Hijacked, Response


class Caller(Protocol):
    """Makes calls of the Docker API. See `client.Client` for what each does and raises."""

    def call(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str | Iterable[str]] | None = None,
        body: Mapping[str, Json] | bytes | Iterable[bytes] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Response: ...

    def document(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str | Iterable[str]] | None = None,
        body: Mapping[str, Json] | None = None,
    ) -> Document: ...

    def documents(
        self, method: str, path: str, *, query: Mapping[str, str | Iterable[str]] | None = None
    ) -> list[Document]: ...

    def perform(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str | Iterable[str]] | None = None,
        body: Mapping[str, Json] | None = None,
    ) -> None: ...

    def hijack(
        self,
        path: str,
        *,
        query: Mapping[str, str | Iterable[str]] | None = None,
        body: Mapping[str, Json] | None = None,
    ) -> Hijacked: ...

    def detach(self, response: Response) -> Response: ...
