# Derived from src/shoal/aio/networks.py by ./dev twins: change it there.
"""Networks: who can talk to whom, and by which names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from shoal.client.client import Client
from shoal.client.document import Document, Json
from shoal.client.endings import undisturbed
from shoal.client.options import Selection, filters_of
from shoal.client.results import Pruned
from shoal.errors import NotFound
from shoal.sync.containers import Container


class Networks:
    """The networks of an engine."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def create(
        self,
        name: str,
        *,
        driver: str = "bridge",
        subnet: str = "",
        gateway: str = "",
        ip_range: str = "",
        internal: bool = False,
        options: Mapping[str, str] | None = None,
        labels: Mapping[str, str] | None = None,
    ) -> Network:
        """The new network; without a `subnet` the engine chooses one. From an `internal` one nobody gets out.

        As a context manager it is removed at the end of the block:

        >>> with engine.networks.create("inside", internal=True) as network:
        ...     (engine.run("busybox", "hostname -i", network="inside")).exit_code
        0

        Raises: Conflict for a name or a subnet that is taken.
        """
        wanted = {"Subnet": subnet, "Gateway": gateway, "IPRange": ip_range}
        pool: dict[str, Json] = {key: value for key, value in wanted.items() if value}
        config: dict[str, Json] = {
            "Name": name,
            "Driver": driver,
            "Internal": internal,
            "IPAM": {"Config": [pool] if pool else []},
            "Options": dict(options or {}),
            "Labels": dict(labels or {}),
        }
        return self.get((self._client.networks.create(config)).text("Id"))

    def get(self, name: str) -> Network:
        """The network of this name, id or beginning of an id. Raises: NotFound."""
        return Network(self._client, self._client.networks.inspect(name))

    def list(self, *, filters: Selection | None = None) -> list[Network]:
        """All networks, or those that the filters let through (`{"driver": "bridge"}`)."""
        found = self._client.networks.list(filters=filters_of(filters))
        return [Network(self._client, document) for document in found]

    def prune(self, *, filters: Selection | None = None) -> Pruned:
        """Removes the networks that no container is in, but for those that the engine made itself; says which."""
        answer = self._client.networks.prune(filters=filters_of(filters))
        return Pruned(tuple(answer.texts("NetworksDeleted")), 0)


class Network:
    """One network. As a context manager it is removed at the end of the block, if no container is in it."""

    def __init__(self, client: Client, document: Document) -> None:
        self._client = client
        self.id = document.text("Id")
        self.name = document.text("Name")
        self.driver = document.text("Driver")
        self.internal = document.flag("Internal")
        self.labels = {name: str(value) for name, value in document.mapping("Labels").items()}

    def __repr__(self) -> str:
        return f"<Network {self.name} {self.id[:12]}>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Network) and self.id == other.id

    def __hash__(self) -> int:
        return hash(self.id)

    def __enter__(self) -> Network:
        return self

    def __exit__(self, *_: object) -> None:
        undisturbed(self._discard)

    def inspect(self) -> Document:
        """All that the engine knows of it, the running containers in it too. Docker API v1.50 Network."""
        return self._client.networks.inspect(self.id)

    def connect(self, container: Container | str, *, aliases: Sequence[str] = (), address: str = "") -> None:
        """Puts a container into it, whether it runs or not; there it is found by `aliases` too.

        Raises: NotFound; Conflict for an `address` that is taken, and for a container that is in it already.
        """
        endpoint: dict[str, Json] = {"Aliases": [*aliases]}
        if address:
            endpoint["IPAMConfig"] = {"IPv6Address" if ":" in address else "IPv4Address": address}
        self._client.networks.connect(self.id, {"Container": _id(container), "EndpointConfig": endpoint})

    def disconnect(self, container: Container | str, *, force: bool = False) -> None:
        """Takes a container out of it. Raises: NotFound where it is not in it."""
        self._client.networks.disconnect(self.id, _id(container), force=force)

    def remove(self) -> None:
        """Removes it. Raises: Forbidden while a container is in it, and for the engine's own."""
        self._client.networks.remove(self.id)

    def _discard(self) -> None:
        try:
            self.remove()
        except NotFound:
            pass


def _id(container: Container | str) -> str:
    return container if isinstance(container, str) else container.id
