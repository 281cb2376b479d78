"""The networks that there are: the three of every daemon, and those that users made. By name and id."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from ipaddress import ip_network

from shoal.errors import Conflict, Forbidden, InvalidArgument, NotFound, ShoalError
from shoal.network.bridge_host import BridgeHost
from shoal.network.definition import NetworkDefinition
from shoal.network.driver import LinkedNetwork, NetworkDriver
from shoal.network.store import NetworkStore

_DEFAULT = "bridge"


class NetworkCatalog:
    """Finds, adds and takes away networks. `make` builds the driver of a definition.

    `host` is what all bridges share; it serves them from `start` on.
    """

    def __init__(
        self,
        built_in: Mapping[str, NetworkDriver],
        store: NetworkStore,
        host: BridgeHost,
        make: Callable[[NetworkDefinition], LinkedNetwork],
    ) -> None:
        self._drivers = dict(built_in)
        self._built_in = frozenset((*built_in, "default"))
        self._store = store
        self.host = host
        self._make = make
        self._definitions: dict[str, NetworkDefinition] = {}
        for definition in store.definitions():
            self._definitions[definition.name] = definition
            self._drivers[definition.name] = make(definition)

    def __iter__(self) -> Iterator[NetworkDriver]:
        return iter(tuple(self._drivers.values()))

    async def start(self, live: Collection[str]) -> list[str]:
        """Makes every network work, with the endpoints of the containers in `live`; what was repaired or is degraded.

        Raises: ShoalError when one of the daemon's own networks cannot work at all.
        """
        notes = []
        for name, driver in self._drivers.items():
            try:
                notes += await driver.start()
                for endpoint in driver.inspect().endpoints:
                    if endpoint.container_id not in live:
                        await driver.release(endpoint.container_id)
            except ShoalError as problem:
                if name in self._built_in:
                    raise
                notes.append(f"network {name} does not work: {problem}")
        return notes + await self.host.bring_up()

    async def watch(self, report: Callable[[str], None]) -> None:
        """Puts back what others take from the host's network, and reports it, until cancelled. Raises: SyscallError."""
        await self.host.watch(report)

    async def stop(self, *, remove: bool) -> list[str]:
        """Lets go of all networks; with `remove` nothing of them stays on the host. What could not be removed."""
        problems = []
        # The default bridge, the first, goes last: it switches forwarding off where no other bridge needs it.
        for driver in reversed(tuple(self)):
            try:
                await driver.stop(remove=remove)
            except ShoalError as problem:
                problems.append(f"cannot take network {driver.name} from the host: {problem}")
        try:
            if remove:
                await self.host.remove_table()
        except ShoalError as problem:
            problems.append(f"cannot remove the firewall table: {problem}")
        await self.host.close()
        return problems

    def name_of(self, ref: str) -> str:
        """The name of the network that `ref` finds; `ref` itself where it finds none."""
        try:
            return self.find(ref).name
        except (NotFound, InvalidArgument):
            return ref

    def get(self, name: str) -> NetworkDriver | None:
        """The network of this very name."""
        return self._drivers.get(name)

    def find(self, ref: str) -> NetworkDriver:
        """The network of a name, an id, or the beginning of one id only. Raises: NotFound, InvalidArgument."""
        ref = _DEFAULT if ref == "default" else ref
        if ref in self._drivers:
            return self._drivers[ref]
        found = [driver for driver in self._drivers.values() if ref and driver.inspect().id.startswith(ref)]
        if len(found) > 1:
            raise InvalidArgument(f"network {ref} is ambiguous ({len(found)} matches found based on ID prefix)")
        if not found:
            raise NotFound(f"network {ref} not found", fix="docker network ls")
        return found[0]

    def definition(self, name: str) -> NetworkDefinition | None:
        """What a network of a user's own was made from; None for the daemon's."""
        return self._definitions.get(name)

    def is_own(self, name: str) -> bool:
        """Whether a user made the network."""
        return name in self._definitions

    async def add(self, definition: NetworkDefinition) -> list[str]:
        """Makes the network, on the host and in the database; warnings. Nothing stays of one that cannot work.

        Raises: Forbidden (a name of the daemon's, a subnet or a bridge of another network), Conflict (name),
        InvalidArgument, Unavailable (no free subnet).
        """
        if definition.name in self._built_in:
            raise Forbidden(f"operation is not permitted on predefined {definition.name} network ")
        if definition.name in self._drivers or definition.name in self._definitions:
            raise Conflict(f"network with name {definition.name} already exists", fix="docker network ls")
        driver = self._make(definition)
        self._check_apart(definition, driver)
        # From here on, before the first await, nobody else gets its name, its bridge or its subnet.
        self._definitions[definition.name] = definition
        try:
            await driver.claim()
        except BaseException:
            del self._definitions[definition.name]
            raise
        try:
            # Before anything is on the host: a daemon that dies in between still knows whose it is.
            self._store.save_definition(definition)
            notes = await driver.start()
        except BaseException:
            await self._discard(definition.name, driver)
            raise
        self._drivers[definition.name] = driver
        return notes

    def _check_apart(self, definition: NetworkDefinition, driver: NetworkDriver) -> None:
        """Raises: Forbidden, in Docker's words, for the bridge or the subnet of another network."""
        new = driver.inspect()
        for other in (known.inspect() for known in self):
            if new.bridge and new.bridge == other.bridge:
                raise Forbidden(
                    f"cannot create network {definition.id} ({new.bridge}): conflicts with network {other.id} "
                    f"({other.bridge}): networks have same bridge name",
                    fix=f"choose another com.docker.network.bridge.name than that of {other.name}",
                )
        # Those that are just being made or removed too.
        taken = {subnet: name for name, known in self._definitions.items() for subnet in (known.subnet, known.subnet6)}
        shown = [known.inspect() for known in self]
        taken |= {subnet: other.name for other in shown for subnet in (other.subnet, other.subnet6)}
        for subnet, name in taken.items():
            if any(_overlap(wanted, subnet) for wanted in (definition.subnet, definition.subnet6)):
                raise Forbidden(
                    "Pool overlaps with other one on this address space",
                    fix=f"{subnet} is of the network {name}: choose another --subnet, or none, to be given a free one",
                )

    async def remove(self, driver: NetworkDriver) -> None:
        """Takes the network away. Raises: Forbidden for one of the daemon's or one that containers are in; NotFound."""
        name = driver.name
        if self._drivers.get(name) is not driver:
            raise NotFound(f"network {name} not found", fix="docker network ls")
        if name in self._built_in:
            raise Forbidden(f"{name} is a pre-defined network and cannot be removed")
        info = driver.inspect()
        if info.endpoints:
            raise Forbidden(
                f"error while removing network: network {name} id {info.id} has active endpoints",
                fix=f"docker network disconnect -f {name} CONTAINER",
            )
        # Nobody finds it from here on, so that no container comes in; its name is free when nothing is left of it.
        del self._drivers[name]
        await self._discard(name, driver)

    async def _discard(self, name: str, driver: NetworkDriver) -> None:
        """First what is on the host: a daemon that dies in between still knows of the network, and starts it again."""
        try:
            await driver.stop(remove=True)
        finally:
            self._store.delete_network(name)
            self._definitions.pop(name, None)


def _overlap(one: str, other: str) -> bool:
    """Whether two subnets have an address in common; "" has none."""
    if not one or not other or (":" in one) != (":" in other):
        return False
    first, second = ip_network(one, strict=False), ip_network(other, strict=False)
    return first[0] in second or second[0] in first
