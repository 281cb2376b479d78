"""What the engine asks of a network, whatever its kind; runs in shoald.

engine                              driver
  │ allocate(id, request) ──────────▶│ address and host ports reserved, written to the database
  │ (container's init exists: pid)   │
  │ connect(endpoint, pid) ─────────▶│ veth into the namespace of pid, ports lead to it
  │ … the container runs …           │
  │ release(id) ────────────────────▶│ ports closed, address free again; the veth dies with its namespace
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from shoal.network.endpoint import Endpoint, NetworkInfo, PublishedPort
from shoal.network.ports import PortRequest


@dataclass(frozen=True, slots=True)
class EndpointRequest:
    """What a container asks of a network: "" where the choice is the network's.

    `link_local`: addresses that its interface has besides, with their prefixes; no pool knows of them.
    """

    ports: Sequence[PortRequest] = ()
    mac: str = ""
    ip: str = ""
    ip6: str = ""
    link_local: tuple[str, ...] = ()


NOTHING_ASKED = EndpointRequest()


class NetworkDriver(Protocol):
    """One network. Every method is called from the event loop's thread and may be called concurrently with others.

    Contract: `release` is idempotent and never fails because something is gone already; whatever `allocate`
    reserved survives the death of shoald and is held again after `start`; a failed `allocate` reserves nothing;
    after a failed `connect` only `release` may follow.
    """

    @property
    def name(self) -> str:
        """The name that clients use."""

    async def start(self) -> list[str]:
        """Make the network work, with the endpoints that it had; what was repaired or is degraded.

        Idempotent. Raises: ShoalError when the network can't work at all.
        """

    async def stop(self, *, remove: bool) -> None:
        """Let go of the network: with `remove`, undo every trace on the host; else containers keep theirs."""

    async def allocate(self, container_id: str, request: EndpointRequest = NOTHING_ASKED) -> Endpoint:
        """Reserve an address and the host ports for a container that is about to start.

        Raises: Internal (a port is taken, in Docker's words), Unavailable (no address left), InvalidArgument,
        Forbidden (the asked address is in use or foreign), Conflict (the container has an endpoint here already).
        """

    async def connect(self, endpoint: Endpoint, pid: int, interface: str = "eth0") -> None:
        """Put the container's interface into the network namespace of `pid` and open its published ports.

        The container itself gives the interface its address. Raises: SyscallError (ESRCH: the process has gone),
        Internal.
        """

    async def release(self, container_id: str) -> None:
        """Close the container's published ports and free its address; harmless when it has none."""

    def endpoint(self, container_id: str) -> Endpoint | None:
        """The container's endpoint, if it has one here."""

    def inspect(self) -> NetworkInfo:
        """The network as it is now."""


@runtime_checkable
class LinkedNetwork(NetworkDriver, Protocol):
    """One that gives containers interfaces of their own, running ones too; those that users make are of this kind."""

    async def claim(self) -> None:
        """Before the first start of a user's own network: what it would take is nobody's on this host.

        Raises: Forbidden when it is somebody's.
        """

    async def plug(self, endpoint: Endpoint, pid: int) -> None:
        """As `connect` for a container that runs: under the next free name, with its address, without a route outside.

        Raises: as `connect`.
        """

    async def unplug(self, container_id: str, pid: int) -> None:
        """Take the interface away from a container that runs as `pid`; harmless when it has none.

        `release` is to follow. Raises: SyscallError.
        """

    async def route(self, container_id: str, pid: int, *, ipv6: bool = False) -> None:
        """Make this network the way outside of a running container that is in it, for IPv4 or for IPv6.

        Raises: SyscallError.
        """


@runtime_checkable
class PublishingNetwork(LinkedNetwork, Protocol):
    """One whose containers have ports on the host."""

    async def publish(
        self,
        container_id: str,
        ports: Sequence[PortRequest],
        *,
        closing: Collection[PublishedPort] = (),
        also: Callable[[], None] = lambda: None,
    ) -> None:
        """Publish exactly these ports of a running container that is in the network.

        Ports that it has and that serve a request stay, but for those in `closing`. What `also` writes to the database
        is in the same transaction. Raises: Internal (a port is taken), NftError; then nothing has changed.
        """
