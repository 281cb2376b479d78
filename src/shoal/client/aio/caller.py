"""What the groups of calls need from the Client: one Protocol, so that neither imports the other in a circle."""

from __future__ import annotations

from collections.abc import AsyncIterable, Iterable, Mapping
from typing import Protocol

from shoal.client.aio.http import Hijacked, Response
from shoal.client.document import Document, Json


class Caller(Protocol):
    """Makes calls of the Docker API. See `client.Client` for what each does and raises."""

    async def call(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str | Iterable[str]] | None = None,
        body: Mapping[str, Json] | bytes | AsyncIterable[bytes] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Response:
        """The answer to one request, its body still unread."""

    async def document(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str | Iterable[str]] | None = None,
        body: Mapping[str, Json] | None = None,
    ) -> Document:
        """The JSON object that the engine answers."""

    async def documents(
        self, method: str, path: str, *, query: Mapping[str, str | Iterable[str]] | None = None
    ) -> list[Document]:
        """The JSON objects of the list that the engine answers."""

    async def perform(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str | Iterable[str]] | None = None,
        body: Mapping[str, Json] | None = None,
    ) -> None:
        """Makes a call whose answer carries nothing."""

    async def hijack(
        self,
        path: str,
        *,
        query: Mapping[str, str | Iterable[str]] | None = None,
        body: Mapping[str, Json] | None = None,
    ) -> Hijacked:
        """The raw stream that `POST path` turns into."""
