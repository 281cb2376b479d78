"""What older versions of the API did not know: requests without what their version passes over, answers without what
came later. Pure.

A client that pins a version gets what the reference gives to it: a field that it has never heard of neither changes
its containers nor shows up in its answers. Source: moby's routers.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import UNSET

from shoal.api.container import ContainerCreateRequest, ContainerInspect, ContainerSummary
from shoal.api.host_config import BindOptions, HostConfig, Mount
from shoal.api.system import SystemInfo
from shoal.api.update import ContainerUpdateRequest
from shoal.api.version import ApiVersion
from shoal.errors import InvalidArgument


def _before(version: ApiVersion, minor: int) -> bool:
    return version < ApiVersion(1, minor)


def gate_create(request: ContainerCreateRequest, version: ApiVersion) -> None:
    """Takes out of a request what its version does not have.

    Raises: InvalidArgument for several networks before API 1.44.
    """
    host = request.host_config
    _gate_host(host, version)
    for mount in host.mounts:
        _gate_mount(mount, version)
    if _before(version, 44):
        if request.healthcheck:
            request.healthcheck.start_interval = 0
        names = sorted(request.networking_config.endpoints_config)
        if len(names) > 1:
            raise InvalidArgument(
                f"Container cannot be created with multiple network endpoints: {', '.join(names)}",
                fix="connect it to the other networks afterwards",
            )
    if _before(version, 48):
        for endpoint in request.networking_config.endpoints_config.values():
            endpoint.gw_priority = 0


def _gate_host(host: HostConfig, version: ApiVersion) -> None:
    if _before(version, 25):
        host.auto_remove = False  # up to then the client removed the container
    if _before(version, 40):
        host.kernel_memory_tcp = 0
        host.ipc_mode = host.ipc_mode or "shareable"
    if _before(version, 41):
        host.cgroupns_mode = host.cgroupns_mode or "host"
    if _before(version, 42):
        host.console_size = [0, 0]
    if _before(version, 43):
        host.annotations = {}


def _gate_mount(mount: Mount, version: ApiVersion) -> None:
    if mount.type == "bind" and mount.read_only and _before(version, 44):
        # Up to then only the mount itself was read-only, not those below it.
        mount.bind_options = mount.bind_options or BindOptions()
        mount.bind_options.read_only_non_recursive = True
        mount.bind_options.read_only_force_recursive = False
    bind, volume = mount.bind_options, mount.volume_options
    if bind is not None:
        bind.non_recursive = bind.non_recursive and not _before(version, 40)
        bind.create_mountpoint = bind.create_mountpoint and not _before(version, 42)
    if volume is not None and _before(version, 45):
        volume.subpath = ""


def gate_update(request: ContainerUpdateRequest, version: ApiVersion) -> None:
    """Takes out of a request for new limits what its version does not have."""
    if _before(version, 40):
        request.pids_limit = None


def gate_summaries(rows: Sequence[ContainerSummary], version: ApiVersion) -> None:
    """Takes out of a list what came after its version."""
    for row in rows:
        if _before(version, 46):
            row.host_config.annotations = {}
        if _before(version, 48):
            row.image_manifest_descriptor = None


def gate_inspection(shown: ContainerInspect, version: ApiVersion) -> None:
    """Takes out of an inspection what came after its version."""
    if _before(version, 48):
        shown.image_manifest_descriptor = None


def gate_info(info: SystemInfo, version: ApiVersion) -> None:
    """Takes out of the engine's own account what came after its version, and adds what is gone since."""
    if _before(version, 25):
        info.security_options = [option.partition(",")[0].removeprefix("name=") for option in info.security_options]
    if _before(version, 42):
        info.kernel_memory = False
    if _before(version, 44):
        for runtime in info.runtimes.values():
            runtime.status = {}
    if _before(version, 49):
        info.firewall_backend = UNSET
        for commit in (info.containerd_commit, info.runc_commit, info.init_commit):
            commit.expected = commit.id
    if _before(version, 50):
        info.bridge_nf_iptables = info.bridge_nf_ip6tables = False
