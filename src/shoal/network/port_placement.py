"""On which of the host's addresses a network publishes what its containers ask for, in which family. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from shoal.errors import InvalidArgument
from shoal.network.endpoint import ANY_ADDRESS, ANY_ADDRESS6, PublishedPort
from shoal.network.ports import PortRequest


@dataclass(frozen=True, slots=True)
class Publishing:
    """How a network publishes: `host_ip` is where ports are that name no address.

    `routed`, `routed6`: clients ask for the container's own address, so that no port of the host's is taken.
    """

    network: str
    host_ip: str = ANY_ADDRESS
    routed: bool = False
    routed6: bool = False

    def place(
        self, requests: Iterable[PortRequest], *, has_ipv4: bool = True, has_ipv6: bool
    ) -> tuple[list[PortRequest], list[PublishedPort]]:
        """What is to be reserved on the host for a container, and what clients are only to be let through to.

        Raises: InvalidArgument for an address of a family in which the container has none.
        """
        placed: list[PortRequest] = []
        opened: dict[PublishedPort, None] = {}
        for request in requests:
            for one in self._families(request, has_ipv6=has_ipv6) if has_ipv4 else [_by_ipv6(request)]:
                is_ipv6 = ":" in one.host_ip
                if is_ipv6 and not has_ipv6:
                    raise _no_ipv6(request, self.network)
                if not is_ipv6 and not has_ipv4:
                    raise _no_ipv4(request, self.network)
                if self.routed6 if is_ipv6 else self.routed:
                    anywhere = ANY_ADDRESS6 if is_ipv6 else ANY_ADDRESS
                    opened[PublishedPort(one.protocol, one.container_port, anywhere, 0)] = None
                else:
                    placed.append(one)
        return placed, list(opened)

    def _families(self, request: PortRequest, *, has_ipv6: bool) -> list[PortRequest]:
        """The request at the network's own address, in two where the families are published differently."""
        if request.host_ip == ANY_ADDRESS and self.host_ip != ANY_ADDRESS:
            return [replace(request, host_ip=self.host_ip, dual=False)]
        if not request.dual:
            return [request]
        single = replace(request, dual=False)
        if not has_ipv6:
            return [single]
        # One number for both families can be reserved only together.
        return [single, replace(single, host_ip=ANY_ADDRESS6)] if self.routed or self.routed6 else [request]


def _by_ipv6(request: PortRequest) -> PortRequest:
    """The request of a container without IPv4: one that names no address is for all IPv6 ones of the host."""
    return replace(request, host_ip=ANY_ADDRESS6, dual=False) if request.dual else request


def _no_ipv4(request: PortRequest, network: str) -> InvalidArgument:
    return InvalidArgument(
        f"cannot publish port {request.container_port}/{request.protocol} on {request.host_ip}",
        why=f"the container has no IPv4 address in the network {network}",
        fix="publish to an IPv6 address, or run it in a network with IPv4",
    )


def _no_ipv6(request: PortRequest, network: str) -> InvalidArgument:
    return InvalidArgument(
        f"cannot publish port {request.container_port}/{request.protocol} on [{request.host_ip}]",
        why=f"the container has no IPv6 address in the network {network}",
        fix="publish to an IPv4 address, or run it in a network with IPv6: docker network create --ipv6 NAME",
    )
