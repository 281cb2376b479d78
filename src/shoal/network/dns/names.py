"""What the resolver of a container asks of the engine, and whom it asks for all other names. Pure data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

DNS_PORT = 53


@dataclass(frozen=True, slots=True)
class Upstream:
    """A name server. `on_host`: it is asked from the host's network, not from the container's.

    So it is with one on the host's loopback, which no container reaches.
    """

    address: str
    on_host: bool = False
    port: int = DNS_PORT


class Names(Protocol):
    """What a container's resolver knows. Called on the event loop for every question: quick, never waiting."""

    def lookup(self, container_id: str, name: str) -> Sequence[str] | None:
        """The addresses, of both families, of a name (small letters, no dot at its end); None: ask the upstreams.

        An empty sequence: the name is known, and has no address.
        """

    def reverse(self, container_id: str, address: str) -> str | None:
        """The name of an address that the container may know; None: ask the upstreams."""

    def upstreams(self, container_id: str) -> Sequence[Upstream]:
        """The name servers for all other names, the preferred first; none where nothing leads outside."""
