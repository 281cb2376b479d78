"""Containers as Docker's clients see them: records turned into answers. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from msgspec.structs import replace

from shoal.api.container import (
    ContainerInspect,
    ContainerState,
    ContainerSummary,
    MountPoint,
    Port,
    SummaryHostConfig,
    SummaryNetworkSettings,
)
from shoal.api.host_config import HostConfig, PortBinding
from shoal.api.image import DriverData
from shoal.api.network import EndpointSettings, NetworkSettings
from shoal.api.timestamps import NEVER, format_rfc3339
from shoal.engine.container.exits_view import last_exit_view
from shoal.engine.container.record import ContainerRecord
from shoal.engine.container.states import ACTIVE
from shoal.engine.container.status_text import status_text
from shoal.engine.health.record import HealthRecord
from shoal.engine.paths import Paths
from shoal.engine.specgen.binds import parse_bind
from shoal.engine.specgen.mount_flags import requested_mount
from shoal.engine.specgen.requested import RequestedMount
from shoal.engine.specgen.security import read_security_options
from shoal.oci.rootfs import OverlayRootfs, Rootfs

_NS = 1_000_000_000


@dataclass(frozen=True, slots=True)
class NetworkView:
    """What a container has of its network: the endpoint by the network's name, and its ports while it runs.

    A port that is exposed and not published leads to None.
    """

    endpoints: dict[str, EndpointSettings]
    ports: dict[str, list[PortBinding] | None]
    sandbox_key: str = ""


@dataclass(frozen=True, slots=True)
class Sizes:
    """Bytes of the writable layer, and of it together with the image."""

    writable: int
    total: int


def inspect_view(
    record: ContainerRecord,
    *,
    paths: Paths,
    driver: str,
    network: NetworkView,
    exec_ids: Sequence[str],
    sizes: Sizes | None,
    health: HealthRecord | None,
    links: Sequence[str],
    files_owner: str,
) -> ContainerInspect:
    """The answer of GET /containers/ID/json; `files_owner` has the files in /etc that the container sees."""
    return ContainerInspect(
        id=record.id,
        created=format_rfc3339(record.created_ns),
        path=record.path,
        args=record.args,
        state=state_view(record, health),
        image=record.image_id,
        resolv_conf_path=str(paths.resolv_conf_file(files_owner)),
        hostname_path=str(paths.hostname_file(files_owner)),
        hosts_path=str(paths.hosts_file(files_owner)),
        # Docker tells of json-file's file only.
        log_path=str(paths.log_file(record.id)) if record.host_config.log_config.type == "json-file" else "",
        name=f"/{record.name}",
        restart_count=record.restart_count,
        driver=driver,
        platform="linux",
        mount_label="",
        process_label="",
        app_armor_profile=read_security_options(record.host_config.security_opt).apparmor,
        exec_ids=list(exec_ids) or None,
        host_config=replace(record.host_config, links=list(links)),
        graph_driver=DriverData(name=driver, data=_rootfs_data(record.rootfs)),
        size_rw=sizes.writable if sizes else None,
        size_root_fs=sizes.total if sizes else None,
        mounts=mount_points(record),
        config=record.config,
        network_settings=_network_settings(record, network),
    )


def state_view(record: ContainerRecord, health: HealthRecord | None) -> ContainerState:
    """A state in Docker's words; a time of 0 is its year 1."""
    state = record.state
    return ContainerState(
        status=state.status,
        running=state.status in ACTIVE,
        paused=state.status == "paused",
        restarting=state.status == "restarting",
        oom_killed=state.oom_killed,
        dead=state.status == "dead",
        pid=state.pid,
        exit_code=state.exit_code,
        error=state.error,
        started_at=_time(state.started_at_ns),
        finished_at=_time(state.finished_at_ns),
        health=health.view() if health else None,
        ended=last_exit_view(record),
    )


def _time(time_ns: int) -> str:
    return format_rfc3339(time_ns) if time_ns else NEVER


def _rootfs_data(rootfs: Rootfs) -> dict[str, str]:
    if isinstance(rootfs, OverlayRootfs):
        return {"LowerDir": ":".join(rootfs.lower), "UpperDir": rootfs.upper, "WorkDir": rootfs.work}
    return {"RootDir": rootfs.path}


def _network_settings(record: ContainerRecord, network: NetworkView) -> NetworkSettings:
    settings = NetworkSettings(
        sandbox_id=record.id if network.sandbox_key else "",
        sandbox_key=network.sandbox_key,
        ports=network.ports,
        networks=network.endpoints,
    )
    bridge = network.endpoints.get("bridge")
    if bridge is not None:  # the fields of API 1.21 describe the default bridge
        settings.endpoint_id, settings.gateway = bridge.endpoint_id, bridge.gateway
        settings.ip_address, settings.ip_prefix_len = bridge.ip_address, bridge.ip_prefix_len
        settings.mac_address, settings.ipv6_gateway = bridge.mac_address, bridge.ipv6_gateway
        settings.global_ipv6_address = bridge.global_ipv6_address
        settings.global_ipv6_prefix_len = bridge.global_ipv6_prefix_len
    return settings


def mount_points(record: ContainerRecord) -> list[MountPoint]:
    """The mounts that were asked for, as inspections and lists show them."""
    return [*_asked_points(record.host_config), *(_point(mount) for mount in record.mounts)]


def _point(mount: RequestedMount) -> MountPoint:
    """One mount; a volume or an image as the engine has resolved it."""
    return MountPoint(
        type=mount.kind,
        name=mount.volume,
        source="" if mount.kind == "tmpfs" else mount.source,
        destination=mount.target,
        driver="local" if mount.kind == "volume" else "",
        mode=mount.mode,
        rw=mount.read_only == "no",
        propagation=mount.propagation if mount.kind == "bind" else "",
    )


def _asked_points(config: HostConfig) -> list[MountPoint]:
    """The binds and memory file systems of the request: what stands in `record.mounts` is not among them."""
    asked = [parse_bind(text) for text in config.binds]
    asked += [requested_mount(mount) for mount in config.mounts]
    return [_point(mount) for mount in asked if mount.kind in ("bind", "tmpfs")]


def summary_view(
    record: ContainerRecord,
    *,
    now_ns: int,
    names: list[str],
    image: str,
    network: NetworkView,
    sizes: Sizes | None,
    health: HealthRecord | None,
) -> ContainerSummary:
    """One row of GET /containers/json; `image` is the name by which the row shows the image."""
    return ContainerSummary(
        id=record.id,
        names=names,
        image=image,
        image_id=record.image_id,
        command=command_text(record.path, record.args),
        created=record.created_ns // _NS,
        ports=port_rows(network),
        size_rw=sizes.writable if sizes else None,
        size_root_fs=sizes.total if sizes else None,
        labels=record.config.labels,
        state=record.state.status,
        status=status_text(record.state, now_ns, health),
        host_config=SummaryHostConfig(
            network_mode=record.host_config.network_mode or "default", annotations=record.host_config.annotations
        ),
        network_settings=SummaryNetworkSettings(networks=network.endpoints),
        mounts=mount_points(record),
    )


def command_text(path: str, args: Sequence[str]) -> str:
    """The command as one line; words with blanks or quotes are quoted."""
    return " ".join([path, *(f"'{arg}'" if " " in arg else arg for arg in args)])


def port_rows(network: NetworkView) -> list[Port]:
    """The ports of a container that runs, as lists show them: published ones once for each address.

    In a routed network they have no number on the host, and look like ports that are only exposed.
    """
    rows = []
    for name, bindings in network.ports.items():
        number, _, protocol = name.partition("/")
        published = [binding for binding in bindings or () if binding.host_port]
        if not published:
            rows.append(Port(private_port=int(number), type=protocol))
        for binding in published:
            public = int(binding.host_port)
            rows.append(Port(ip=binding.host_ip, private_port=int(number), public_port=public, type=protocol))
    return sorted(rows, key=lambda row: (row.private_port, row.public_port))
