# Derived from src/shoal/client/aio/networks.py by ./dev twins: change it there.
"""Calls on networks."""

from __future__ import annotations

from collections.abc import Mapping

from shoal.client.caller import Caller
from shoal.client.containers import Filters, filters_query
from shoal.client.document import Document, Json


class Networks:
    """The network calls of one client. Docker API v1.50, tag Network. All raise as `Client.call`."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    def list(self, *, filters: Filters | None = None) -> list[Document]:
        """All networks, or those that match."""
        return self._caller.documents("GET", "/networks", query=filters_query(filters or {}))

    def inspect(self, ref: str, *, verbose: bool = False) -> Document:
        """Everything about one network."""
        return self._caller.document("GET", f"/networks/{ref}", query={"verbose": "1"} if verbose else None)

    def create(self, config: Mapping[str, Json]) -> Document:
        """`Id` and `Warning` of the new network."""
        return self._caller.document("POST", "/networks/create", body=config)

    def remove(self, ref: str) -> None:
        """Removes it; no container may be in it."""
        self._caller.perform("DELETE", f"/networks/{ref}")

    def connect(self, ref: str, config: Mapping[str, Json]) -> None:
        """Puts a container into it."""
        self._caller.perform("POST", f"/networks/{ref}/connect", body=config)

    def disconnect(self, ref: str, container: str, *, force: bool = False) -> None:
        """Takes a container out of it."""
        self._caller.perform("POST", f"/networks/{ref}/disconnect", body={"Container": container, "Force": force})

    def prune(self, *, filters: Filters | None = None) -> Document:
        """Removes the networks that no container is in, and tells what they were."""
        return self._caller.document("POST", "/networks/prune", query=filters_query(filters or {}))
