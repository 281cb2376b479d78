"""Which containers have a resolver, from when until when: those in a network of a user's own, while they run.

A container that never was in one has none, and pays nothing. One that leaves its last one keeps it until it ends,
because its resolv.conf names it: there are no names in it then but those of the world outside.
"""

from __future__ import annotations

import logging

from shoal.engine.container.container_files import ContainerFiles
from shoal.engine.container.record import ContainerRecord
from shoal.engine.container.registry import ContainerRegistry
from shoal.engine.container_names import ContainerNames
from shoal.engine.name_inquiries import NameInquiries
from shoal.engine.network_catalog import NetworkCatalog
from shoal.errors import ShoalError
from shoal.network.dns.probing import NameProber
from shoal.network.dns.resolvers import Resolvers

_log = logging.getLogger(__name__)


class Resolving:
    """Opens and closes the resolvers, and tells them of changes."""

    def __init__(self, names: ContainerNames, resolvers: Resolvers, files: ContainerFiles) -> None:
        self._names = names
        self._resolvers = resolvers
        self._files = files

    def inquiries(self, registry: ContainerRegistry, catalog: NetworkCatalog) -> NameInquiries:
        """Who answers why a container finds no name."""
        return NameInquiries(registry, catalog, self._names, NameProber(self._resolvers.sockets))

    def changed(self) -> None:
        """As ContainerNames.changed."""
        self._names.changed()

    async def begin(self, container_id: str, pid: int) -> None:
        """Answers a container that starts. Raises: SyscallError (it has gone), NftError."""
        await self._resolvers.open(container_id, pid)

    async def joined(self, record: ContainerRecord) -> None:
        """A running container has come into a network of a user's own. Raises: SyscallError, NftError."""
        if not self._resolvers.is_open(record.id):
            await self._resolvers.open(record.id, record.state.pid)
            self._files.switch_to_resolver(record)

    async def found_running(self, record: ContainerRecord, *, in_users_network: bool) -> None:
        """A container that ran on without shoald is answered again; that it cannot be is logged."""
        if not in_users_network and not self._files.names_resolver(record):
            return
        try:
            await self._resolvers.open(record.id, record.state.pid, anew=True)
        except (ShoalError, OSError) as problem:
            _log.warning("container %s finds no names: %s", record.name, problem)

    def ended(self, container_id: str) -> None:
        """The container runs no more."""
        self._resolvers.close(container_id)

    def close(self) -> None:
        """Answers nobody any more: shoald leaves."""
        self._resolvers.close_all()
