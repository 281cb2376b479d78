"""What `--network name=NET,driver-opt=KEY=VALUE` asks of a container's interface in a network. Pure.

Source: Docker documentation "Networking", `com.docker.network.endpoint.…`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from shoal.errors import InvalidArgument

_IFNAME, _SYSCTLS = "com.docker.network.endpoint.ifname", "com.docker.network.endpoint.sysctls"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,14}")
_RESERVED = ("lo", "all", "default")
# Older docker commands write what follows --network in small letters.
_SYSCTL = re.compile(r"net\.(ipv4|ipv6|mpls)\.([a-z0-9_]+)\.(?:IFNAME|ifname)\.([a-z0-9_]+)")


@dataclass(frozen=True, slots=True)
class EndpointOptions:
    """The name of the interface, "" for the next free one, and settings of it: ("ipv4/conf", "log_martians", "1")."""

    interface: str = ""
    sysctls: tuple[tuple[str, str, str], ...] = ()


def read_endpoint_options(options: Mapping[str, str] | None) -> EndpointOptions:
    """The options that are of the interface; others are passed over, as by Docker. Raises: InvalidArgument."""
    if not options:
        return EndpointOptions()
    name = options.get(_IFNAME, "")
    if name and (not _NAME.fullmatch(name) or name in _RESERVED):
        raise InvalidArgument(
            f"invalid interface name {name!r}", why="it is at most 15 letters, digits, dots, dashes and underscores"
        )
    return EndpointOptions(name, tuple(_sysctls(options.get(_SYSCTLS, ""))))


def _sysctls(text: str) -> Iterator[tuple[str, str, str]]:
    for entry in filter(None, text.split(",")):
        name, equals, value = entry.partition("=")
        found = _SYSCTL.fullmatch(name)
        if found is None or not equals or "\n" in value:
            raise InvalidArgument(
                f"unrecognised network interface sysctl '{entry}'; represent 'net.X.Y.ethN.Z=V' as"
                " 'net.X.Y.IFNAME.Z=V', 'X' must be 'ipv4', 'ipv6' or 'mpls'"
            )
        yield f"{found[1]}/{found[2]}", found[3], value


def interface_names(asked: Sequence[str]) -> list[str]:
    """A name for each interface of a container that starts, eth0, eth1, … where "" is asked.

    Raises: InvalidArgument for a name that two ask for.
    """
    twice = next((name for name in asked if name and asked.count(name) > 1), "")
    if twice:
        raise InvalidArgument(f"the interface name {twice} is asked for in two networks", fix="choose another one")
    free = (name for name in map("eth{}".format, range(2 * len(asked))) if name not in asked)
    return [name or next(free) for name in asked]
