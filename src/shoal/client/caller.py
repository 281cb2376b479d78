# Derived from src/shoal/client/aio/caller.py by ./dev twins: change it there.
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
    ) -> Response:
        """The answer to one request, its body still unread."""

    def document(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str | Iterable[str]] | None = None,
        body: Mapping[str, Json] | None = None,
    ) -> Document:
        """The JSON object that the engine answers."""

    def documents(
        self, method: str, path: str, *, query: Mapping[str, str | Iterable[str]] | None = None
    ) -> list[Document]:
        """The JSON objects of the list that the engine answers."""

    def perform(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str | Iterable[str]] | None = None,
        body: Mapping[str, Json] | None = None,
    ) -> None:
        """Makes a call whose answer carries nothing."""

    def hijack(
        self,
        path: str,
        *,
        query: Mapping[str, str | Iterable[str]] | None = None,
        body: Mapping[str, Json] | None = None,
    ) -> Hijacked:
        """The raw stream that `POST path` turns into."""
