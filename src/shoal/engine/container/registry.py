"""All containers of the daemon: in memory to be quick, each change in the database to be safe."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

import msgspec

from shoal.engine.container.record import ContainerRecord
from shoal.errors import Conflict, InvalidArgument, NotFound

_SCHEMA = "CREATE TABLE IF NOT EXISTS containers (id TEXT PRIMARY KEY, name TEXT NOT NULL UNIQUE, record BLOB NOT NULL)"


class ContainerRegistry:
    """The containers, found by id, by name, or by the beginning of an id."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._db = connection
        self._db.execute(_SCHEMA)
        self._encoder = msgspec.json.Encoder()
        self._by_id: dict[str, ContainerRecord] = {}
        self._id_by_name: dict[str, str] = {}
        decoder = msgspec.json.Decoder(ContainerRecord)
        for (blob,) in self._db.execute("SELECT record FROM containers"):
            self._remember(decoder.decode(blob))

    def _remember(self, record: ContainerRecord) -> None:
        self._by_id[record.id] = record
        self._id_by_name[record.name] = record.id

    def __iter__(self) -> Iterator[ContainerRecord]:
        return iter(list(self._by_id.values()))

    def __len__(self) -> int:
        return len(self._by_id)

    def has_name(self, name: str) -> bool:
        """Whether a container has this name."""
        return name in self._id_by_name

    def check_name_free(self, name: str) -> None:
        """Raises: Conflict, in Docker's words, when a container has the name."""
        owner = self._id_by_name.get(name)
        if owner is not None:
            raise Conflict(
                f'Conflict. The container name "/{name}" is already in use by container "{owner}". '
                "You have to remove (or rename) that container to be able to reuse that name.",
                fix=f"docker rm {name}",
            )

    def add(self, record: ContainerRecord) -> None:
        """Keeps a new container.

        Raises: Conflict when its name is taken.
        """
        self.check_name_free(record.name)
        self._db.execute(
            "INSERT INTO containers (id, name, record) VALUES (?, ?, ?)",
            (record.id, record.name, self._encoder.encode(record)),
        )
        self._remember(record)

    def save(self, record: ContainerRecord) -> None:
        """Writes the container's present state: one transaction."""
        self._db.execute(
            "UPDATE containers SET record = ? WHERE id = ?",
            (self._encoder.encode(record), record.id),
        )

    def rename(self, record: ContainerRecord, name: str) -> None:
        """Gives the container another name.

        Raises: Conflict when it is taken.
        """
        self.check_name_free(name)
        old = record.name
        renamed = self._encoder.encode(msgspec.structs.replace(record, name=name))
        self._db.execute("UPDATE containers SET name = ?, record = ? WHERE id = ?", (name, renamed, record.id))
        record.name = name
        del self._id_by_name[old]
        self._id_by_name[name] = record.id

    def delete(self, record: ContainerRecord) -> None:
        """Forgets the container."""
        self._db.execute("DELETE FROM containers WHERE id = ?", (record.id,))
        self._by_id.pop(record.id, None)
        self._id_by_name.pop(record.name, None)

    def get(self, id: str) -> ContainerRecord | None:
        """The container with exactly this id."""
        return self._by_id.get(id)

    def find(self, reference: str) -> ContainerRecord:
        """The container that a client means by an id, a name (with or without its slash) or the beginning of an id.

        Raises: NotFound; InvalidArgument when several ids begin so.
        """
        record = self.find_or_none(reference)
        if record is None:
            raise NotFound(f"No such container: {reference}", fix="docker ps -a")
        return record

    def find_or_none(self, reference: str) -> ContainerRecord | None:
        """As `find`, with None for a container that there is not. Raises: InvalidArgument."""
        record = self._by_id.get(reference)
        if record is None:
            name = reference.removeprefix("/")
            id = self._id_by_name.get(name) or self._linked_id(name)
            record = self._by_id.get(id) if id else self._find_prefix(reference)
        return record

    def _linked_id(self, name: str) -> str | None:
        """The container that a link's name `container/alias` leads to."""
        parent, slash, alias = name.partition("/")
        id = self._id_by_name.get(parent) if slash else None
        links = self._by_id[id].links if id else []
        return next((link.id for link in links if link.alias == alias), None)

    def _find_prefix(self, prefix: str) -> ContainerRecord | None:
        found = [record for id, record in self._by_id.items() if id.startswith(prefix)] if prefix else []
        if len(found) > 1:
            raise InvalidArgument(f"multiple IDs found with provided prefix: {prefix}", fix="give more of the id")
        return found[0] if found else None
