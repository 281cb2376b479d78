# Derived from src/shoal/aio/volumes.py by ./dev twins: change it there.
"""Volumes: directories that outlive containers."""

from __future__ import annotations

from collections.abc import Mapping

from shoal.client.client import Client
from shoal.client.document import Document
from shoal.client.endings import undisturbed
from shoal.client.options import Selection, filters_of
from shoal.client.results import Pruned
from shoal.errors import NotFound


class Volumes:
    """The volumes of an engine."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def create(
        self,
        name: str = "",
        *,
        driver: str = "",
        options: Mapping[str, str] | None = None,
        labels: Mapping[str, str] | None = None,
    ) -> Volume:
        """The new volume, or the one that has the name; without one it is anonymous.

        As a context manager it is removed at the end of the block:

        >>> with engine.volumes.create("data") as volume:
        ...     (engine.run("busybox", "touch /data/x", volumes=["data:/data"])).exit_code
        0
        """
        return Volume(
            self._client,
            self._client.volumes.create(name, driver=driver, options=options, labels=labels),
        )

    def get(self, name: str) -> Volume:
        """The volume of this name. Raises: NotFound."""
        return Volume(self._client, self._client.volumes.inspect(name))

    def list(self, *, filters: Selection | None = None) -> list[Volume]:
        """All volumes, or those that the filters let through (`{"dangling": True}`)."""
        found = self._client.volumes.list(filters=filters_of(filters))
        return [Volume(self._client, document) for document in found]

    def prune(self, *, all: bool = False, filters: Selection | None = None) -> Pruned:
        """Removes the anonymous volumes that no container has, or with `all` the named ones too; says which."""
        selection = {**(filters or {}), **({"all": True} if all else {})}
        answer = self._client.volumes.prune(filters=filters_of(selection))
        return Pruned(tuple(answer.texts("VolumesDeleted")), answer.number("SpaceReclaimed"))


class Volume:
    """One volume. As a context manager it is removed at the end of the block, if no container has it."""

    def __init__(self, client: Client, document: Document) -> None:
        self._client = client
        self.name = document.text("Name")
        self.driver = document.text("Driver")
        self.mountpoint = document.text("Mountpoint")
        self.labels = {name: str(value) for name, value in document.mapping("Labels").items()}

    def __repr__(self) -> str:
        return f"<Volume {self.name}>"

    def __enter__(self) -> Volume:
        return self

    def __exit__(self, *_: object) -> None:
        undisturbed(self._discard)

    def inspect(self) -> Document:
        """All that the engine knows of it. Docker API v1.50 Volume."""
        return self._client.volumes.inspect(self.name)

    def remove(self, *, force: bool = False) -> None:
        """Removes it with what is in it. Raises: Conflict while a container has it."""
        self._client.volumes.remove(self.name, force=force)

    def _discard(self) -> None:
        try:
            self.remove()
        except NotFound:
            pass
