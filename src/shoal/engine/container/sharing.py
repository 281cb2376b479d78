"""What a container takes from another one: its network with the files that go with it, its IPC or its PIDs."""

from __future__ import annotations

from shoal.engine.container.record import ContainerRecord, check_settled
from shoal.engine.container.registry import ContainerRegistry
from shoal.engine.specgen.namespaces import referenced_container
from shoal.errors import Conflict


class Sharing:
    """Finds the other containers of modes `container:REF`."""

    def __init__(self, registry: ContainerRegistry) -> None:
        self._registry = registry

    def network_of(self, record: ContainerRecord) -> ContainerRecord | None:
        """The running container whose network this one takes, None when it has one of its own.

        Raises: NotFound; Conflict when the other does not run.
        """
        other = self._named(record.host_config.network_mode)
        if other is not None and not other.is_running:
            raise Conflict(f"cannot join network of a non running container: {other.id}")
        return other

    def network_pid(self, record: ContainerRecord) -> int | None:
        """The process whose network the container joins. Raises: as `network_of`."""
        other = self.network_of(record)
        return other.state.pid if other else None

    def pid_pid(self, record: ContainerRecord) -> int | None:
        """The process whose PID namespace the container joins. Raises: NotFound, Conflict."""
        other = self._named(record.host_config.pid_mode)
        return self._running(other, "can't join PID namespace") if other else None

    def ipc_pid(self, record: ContainerRecord) -> int | None:
        """The process whose IPC namespace and /dev/shm the container joins.

        Raises: NotFound; Conflict when the other does not run, or keeps its IPC for itself.
        """
        other = self._named(record.host_config.ipc_mode)
        if other is None:
            return None
        pid = self._running(other, "can't join IPC")
        if other.host_config.ipc_mode in ("private", "none"):
            raise Conflict(
                f"can't join IPC of container {other.id}: non-shareable IPC "
                "(hint: use IpcMode:shareable for the donor container)"
            )
        return pid

    def files_owner(self, record: ContainerRecord) -> str:
        """The id of the container whose hosts, hostname and resolv.conf this one sees: that of its network."""
        seen = {record.id}
        while (ref := referenced_container(record.host_config.network_mode)) is not None:
            other = self._registry.get(ref)
            if other is None or other.id in seen:
                break
            seen.add(other.id)
            record = other
        return record.id

    def _named(self, mode: str) -> ContainerRecord | None:
        ref = referenced_container(mode)
        if ref is None:
            return None
        other = self._registry.find(ref)
        check_settled(other)
        return other

    def _running(self, other: ContainerRecord, what: str) -> int:
        if not other.is_running:
            raise Conflict(f"{what} of container {other.id}: container {other.id} is not running")
        return other.state.pid
