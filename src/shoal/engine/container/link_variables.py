"""The variables that a link gives a container. Pure.

Source: Docker documentation "Legacy container links", environment variables.
"""

from __future__ import annotations

from collections.abc import Iterable

from shoal.api.container import ContainerConfig

# A container has its own of these.
_NOT_PASSED_ON = ("HOME", "PATH")


def link_variables(name: str, address: str, child: ContainerConfig) -> list[str]:
    """The variables of the link `name` (`/container/alias`) to a container at `address`."""
    prefix = name.rpartition("/")[2].upper().replace("-", "_")
    ports = _sorted(child.exposed_ports)
    variables = []
    if ports:
        number, protocol = ports[0]
        variables.append(f"{prefix}_PORT={protocol}://{address}:{number}")
    for run in _runs(ports):
        variables += _of_range(prefix, address, run[0], run[-1])
    for number, protocol in ports:
        key = f"{prefix}_PORT_{number}_{protocol.upper()}"
        variables += [
            f"{key}={protocol}://{address}:{number}",
            f"{key}_ADDR={address}",
            f"{key}_PORT={number}",
            f"{key}_PROTO={protocol}",
        ]
    variables.append(f"{prefix}_NAME={name}")
    for entry in child.env:
        key, equals, value = entry.partition("=")
        if equals and key not in _NOT_PASSED_ON:
            variables.append(f"{prefix}_ENV_{key}={value}")
    return variables


def _of_range(prefix: str, address: str, first: tuple[int, str], last: tuple[int, str]) -> list[str]:
    """The variables of ports in a row."""
    key = f"{prefix}_PORT_{first[0]}_{first[1].upper()}"
    return [
        f"{key}_START={first[1]}://{address}:{first[0]}",
        f"{key}_ADDR={address}",
        f"{key}_PROTO={first[1]}",
        f"{key}_PORT_START={first[0]}",
        f"{key}_END={last[1]}://{address}:{last[0]}",
        f"{key}_PORT_END={last[0]}",
    ]


def _sorted(exposed: Iterable[str]) -> list[tuple[int, str]]:
    """(number, protocol) of `80/tcp` words, by number, tcp before the others."""
    ports = []
    for word in exposed:
        number, _, protocol = word.partition("/")
        if number.isdecimal():
            ports.append((int(number), protocol or "tcp"))
    return sorted(ports, key=lambda port: (port[0], port[1] != "tcp", port[1]))


def _runs(ports: list[tuple[int, str]]) -> list[list[tuple[int, str]]]:
    """The stretches of at least three ports of which each is at most one more than the one before."""
    runs: list[list[tuple[int, str]]] = []
    for port in ports:
        if runs and port[0] <= runs[-1][-1][0] + 1:
            runs[-1].append(port)
        else:
            runs.append([port])
    return [run for run in runs if len(run) > 2]
