"""Which namespaces a container gets of its own, shares with the host, or joins. Pure.

Source: Docker API v1.50 HostConfig.NetworkMode, IpcMode, PidMode, UTSMode, CgroupnsMode.
"""

from __future__ import annotations

import msgspec

from shoal.api.container import ContainerCreateRequest
from shoal.api.host_config import HostConfig
from shoal.engine.specgen.facts import ContainerFacts, DaemonDefaults, MachineFacts
from shoal.errors import InvalidArgument
from shoal.oci.runtime_spec import Namespace

_CONTAINER = "container:"


class Modes(msgspec.Struct, frozen=True, kw_only=True):
    """The modes, normalised: private, host or container; for ipc also shareable and none.

    `network` is private for every network that the engine wires, `none` included.
    """

    network: str
    ipc: str
    pid: str
    uts: str
    cgroup: str


def read_modes(host: HostConfig, defaults: DaemonDefaults, machine: MachineFacts) -> Modes:
    """The modes that the request asks for, defaults filled in.

    Raises: InvalidArgument in Docker's words for an unknown mode.
    """
    return Modes(
        network=_kind(host.network_mode),
        ipc=_one_of(host.ipc_mode or defaults.ipc_mode, "IPC", ("private", "shareable", "none", "host", "container")),
        pid=_one_of(host.pid_mode or "private", "PID", ("private", "host", "container")),
        uts=_one_of(host.uts_mode or "private", "UTS", ("private", "host")),
        cgroup=cgroup_namespace_mode(host, defaults, machine),
    )


def referenced_container(mode: str) -> str | None:
    """The container that a mode `container:REF` names, None for other modes."""
    return mode[len(_CONTAINER) :] if mode.startswith(_CONTAINER) else None


def namespaces(modes: Modes, facts: ContainerFacts) -> tuple[Namespace, ...]:
    """The specification's list: new ones without a path; a shared one is not listed."""
    wanted = (
        ("mount", "private", None, "mnt"),
        ("network", modes.network, facts.network_pid, "net"),
        ("uts", modes.uts, None, "uts"),
        ("pid", modes.pid, facts.pid_pid, "pid"),
        ("ipc", modes.ipc, facts.ipc_pid, "ipc"),
        ("cgroup", modes.cgroup, None, "cgroup"),
    )
    return tuple(
        Namespace(type=kind, path=f"/proc/{pid}/ns/{name}" if mode == "container" else "")
        for kind, mode, pid, name in wanted
        if mode != "host"
    )


def check_conflicts(request: ContainerCreateRequest, modes: Modes) -> None:
    """Returns when no option of the request contradicts its modes; look at the request, not at what was merged.

    Raises: InvalidArgument `conflicting options: …`.
    """
    host = request.host_config
    if request.hostname and modes.uts == "host":
        raise InvalidArgument("conflicting options: hostname and the UTS mode")
    if request.domainname and modes.uts == "host":
        raise InvalidArgument("conflicting options: domainname and the UTS mode")
    if host.links and modes.network == "host":
        raise InvalidArgument(
            "conflicting options: host type networking can't be used with links. "
            "This would result in undefined behavior"
        )
    if modes.network != "container":
        return
    for given, what in (
        (request.hostname, "hostname and the network mode"),
        (
            host.links,
            "container type network can't be used with links. This would result in undefined behavior",
        ),
        (host.dns, "dns and the network mode"),
        (host.extra_hosts, "custom host-to-IP mapping and the network mode"),
        (request.mac_address, "mac-address and the network mode"),
        (host.port_bindings or host.publish_all_ports, "port publishing and the container type network mode"),
        (request.exposed_ports, "port exposing and the container type network mode"),
    ):
        if given:
            raise InvalidArgument(f"conflicting options: {what}")


def _kind(mode: str) -> str:
    if mode == _CONTAINER:
        raise InvalidArgument("Invalid network mode: invalid container format container:<name|id>")
    if mode.startswith(_CONTAINER):
        return "container"
    return "host" if mode == "host" else "private"


def _one_of(mode: str, what: str, known: tuple[str, ...]) -> str:
    kind = "container" if mode.startswith(_CONTAINER) and mode != _CONTAINER else mode
    if kind not in known or mode in ("container", _CONTAINER):
        raise InvalidArgument(f"invalid {what} mode: {mode}", fix=f"use one of {', '.join(known)}")
    return kind


def cgroup_namespace_mode(host: HostConfig, defaults: DaemonDefaults, machine: MachineFacts) -> str:
    """`private` or `host`: what was asked for, else Docker's rule. Raises: InvalidArgument for another word."""
    mode = host.cgroupns_mode or defaults.cgroupns_mode
    if not mode:
        return "private" if machine.cgroup_version == "v2" else "host"
    if mode not in ("private", "host"):
        raise InvalidArgument(f"invalid cgroup namespace mode: {mode}", fix="use private or host")
    return mode
