"""`--link` on the default bridge: another container's address under a name, and its variables.

A link is kept with the container that has it, by the other's id, so that it survives that one's renaming. From it
follow, at every start: a line of /etc/hosts, and variables `ALIAS_PORT_80_TCP=…`. When the other is started anew, the
address in the hosts files of those that link to it is put right.

Source: Docker documentation "Legacy container links"; Docker API v1.50 HostConfig.Links.
"""

from __future__ import annotations

import logging
import posixpath
import re
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from shoal.engine.container.link_variables import link_variables
from shoal.engine.container.record import ContainerRecord, Link
from shoal.engine.container.registry import ContainerRegistry
from shoal.engine.specgen.namespaces import referenced_container
from shoal.errors import Conflict, InvalidArgument, NotFound

_log = logging.getLogger(__name__)
# The one network that has links.
_NETWORK = "bridge"
# A container can write into its own hosts file; a larger one is nobody's honest work.
_HOSTS_BYTES_MAX = 1 << 20


class Links:
    """Knows who links to whom. `address` tells a container's address on the default bridge, "" for none."""

    def __init__(
        self, registry: ContainerRegistry, address: Callable[[ContainerRecord], str], hosts_file: Callable[[str], Path]
    ) -> None:
        self._registry = registry
        self._address = address
        self._hosts_file = hosts_file
        self._parents: dict[str, set[str]] = {}
        for record in registry:
            self.added(record)

    def resolve(self, wanted: Sequence[str]) -> list[Link]:
        """The links of a request. Of two with the same alias the first counts, as with Docker.

        Raises: InvalidArgument, also for a container that there is not: a 404 would make clients pull an image.
        """
        found: dict[str, Link] = {}
        for text in wanted:
            name, alias = parse_link(text)
            child = self._find(name)
            while (ref := referenced_container(child.host_config.network_mode)) is not None and ref != child.id:
                child = self._find(ref)
            if child.host_config.network_mode == "host":
                raise InvalidArgument(
                    "conflicting options: host type networking can't be used with links. "
                    "This would result in undefined behavior"
                )
            if alias:
                found.setdefault(alias, Link(alias=alias, id=child.id, name=child.name))
        return list(found.values())

    def _find(self, name: str) -> ContainerRecord:
        child = self._registry.find_or_none(name) if name else None
        if child is None:
            raise InvalidArgument(f"could not get container for {name}: No such container: {name}", fix="docker ps -a")
        return child

    def added(self, record: ContainerRecord) -> None:
        """Notes the links of a container."""
        for link in record.links:
            self._parents.setdefault(link.id, set()).add(record.id)

    def removed(self, record: ContainerRecord) -> None:
        """Forgets the links of a container that goes."""
        for link in record.links:
            self._parents.get(link.id, set()).discard(record.id)
        if not self._parents.get(record.id):
            self._parents.pop(record.id, None)

    def names_of(self, record: ContainerRecord) -> list[str]:
        """All names of a container: its own, and those by which others link to it."""
        names = [f"/{record.name}"]
        for parent in self._parents_of(record.id):
            names += [f"/{parent.name}/{link.alias}" for link in parent.links if link.id == record.id]
        return names

    def shown(self, record: ContainerRecord) -> list[str]:
        """The links as inspections show them: `/other:/this/alias`."""
        return [f"/{self._name(link)}:/{record.name}/{link.alias}" for link in record.links]

    def _name(self, link: Link) -> str:
        child = self._registry.get(link.id)
        return child.name if child else link.name

    def _parents_of(self, id: str) -> list[ContainerRecord]:
        found = (self._registry.get(parent) for parent in sorted(self._parents.get(id, ())))
        return [parent for parent in found if parent is not None]

    def hosts(self, record: ContainerRecord) -> list[tuple[str, str]]:
        """(address, names) for each linked container, for the hosts file of one that starts.

        Raises: Conflict, in Docker's words, for one that does not run or is in another network.
        """
        lines = []
        for link, child, address in self._linked(record):
            names = dict.fromkeys((link.alias, child.config.hostname, child.name))
            lines.append((address, " ".join(filter(None, names))))
        return lines

    def variables(self, record: ContainerRecord) -> tuple[str, ...]:
        """The environment that the links give. Raises: as `hosts`."""
        return tuple(
            variable
            for link, child, address in self._linked(record)
            for variable in link_variables(f"/{record.name}/{link.alias}", address, child.config)
        )

    def _linked(self, record: ContainerRecord) -> list[tuple[Link, ContainerRecord, str]]:
        found = []
        for link in record.links if record.host_config.network_mode == _NETWORK else ():
            child = self._registry.get(link.id)
            if child is None or not child.is_running:
                raise Conflict(
                    f"Cannot link to a non running container: /{self._name(link)} AS /{record.name}/{link.alias}",
                    fix=f"docker start {self._name(link)}",
                )
            address = self._address(child)
            if not address:
                raise Conflict(f"Cannot link to /{child.name}, as it does not belong to the default network")
            found.append((link, child, address))
        return found

    def moved(self, record: ContainerRecord, address: str) -> None:
        """Puts the address of a container that starts into the hosts files of those that link to it and run."""
        for parent in self._parents_of(record.id):
            if parent.is_running and parent.host_config.network_mode == _NETWORK:
                aliases = [link.alias for link in parent.links if link.id == record.id]
                self._rewrite(parent, partial(with_address, aliases=aliases, address=address))

    def remove(self, reference: str) -> None:
        """Takes a link away, by its name `container/alias`. Raises: NotFound, Conflict."""
        self._registry.find(reference)
        parent_name, _, alias = reference.removeprefix("/").partition("/")
        if not alias:
            raise Conflict(
                "Conflict, cannot remove the default link name of the container", fix="name a link: CONTAINER/ALIAS"
            )
        parent = self._registry.find(parent_name)
        link = next((link for link in parent.links if link.alias == alias), None)
        if link is None:
            raise NotFound(f"No such container: {reference}")
        self.removed(parent)
        parent.links.remove(link)
        self.added(parent)
        self._registry.save(parent)
        if parent.is_running:
            self._rewrite(parent, partial(without, alias=alias))

    def _rewrite(self, parent: ContainerRecord, change: Callable[[str], str]) -> None:
        """Changes a hosts file in place: the container has this very file mounted."""
        path = self._hosts_file(parent.id)
        try:
            with path.open("r+", encoding="utf-8", errors="surrogateescape", newline="") as file:
                text = file.read(_HOSTS_BYTES_MAX + 1)
                if len(text) > _HOSTS_BYTES_MAX:
                    _log.warning("container %s: its hosts file is too large to be kept up to date", parent.name)
                    return
                file.seek(0)
                file.write(change(text))
                file.truncate()
        except OSError as problem:
            _log.warning("container %s: cannot change its hosts file: %s", parent.name, problem)


def parse_link(text: str) -> tuple[str, str]:
    """(container, alias) of `container[:alias]`, or of a link as inspections show it.

    Raises: InvalidArgument in Docker's words.
    """
    name, colon, alias = text.partition(":")
    if not text or ":" in alias:
        raise InvalidArgument(f"bad format for links: {text}" if text else "empty string specified for links")
    # A link as inspections show it has the parent's name in front of the alias.
    return name.removeprefix("/"), posixpath.basename(alias) if colon else name.removeprefix("/")


def with_address(text: str, aliases: Sequence[str], address: str) -> str:
    """A hosts file in which the lines of these names have another address."""
    for alias in aliases:
        text = re.sub(rf"^\S*(\t{re.escape(alias)})(?=\s|$)", rf"{address}\g<1>", text, flags=re.MULTILINE)
    return text


def without(text: str, alias: str) -> str:
    """A hosts file without the lines of this name."""
    return re.sub(rf"^\S*\t{re.escape(alias)}([ \t].*)?(\n|\Z)", "", text, flags=re.MULTILINE)
