"""The engine about itself (Docker API v1.50 SystemVersion, SystemInfo, SystemDataUsage, SystemEvents)."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import AsyncIterator, Collection
from dataclasses import dataclass
from pathlib import Path

from shoal import __version__
from shoal.api.event import EventMessage
from shoal.api.options import EventOptions, ImageListOptions, ListOptions
from shoal.api.system import (
    Component,
    DiskUsage,
    FirewallInfo,
    IndexInfo,
    PlatformName,
    PluginsInfo,
    RegistryServiceConfig,
    Runtime,
    SystemInfo,
    SystemVersion,
)
from shoal.api.timestamps import format_rfc3339
from shoal.api.version import MAXIMUM, MINIMUM
from shoal.engine.builds import Builds
from shoal.engine.clock import Clock
from shoal.engine.container.log_drivers import DRIVERS
from shoal.engine.container.registry import ContainerRegistry
from shoal.engine.container.service import Containers
from shoal.engine.events import EventLog
from shoal.engine.images import Images
from shoal.engine.machine import Machine
from shoal.engine.paths import Paths
from shoal.engine.volumes import Volumes
from shoal.image.registry.endpoints import RegistrySettings
from shoal.image.registry.proxies import masked, setting
from shoal.linux.cgroups.layout import Layout
from shoal.oci.reference import DEFAULT_DOMAIN

DAEMON_ID_FILE = "engine-id"


@dataclass(frozen=True, slots=True)
class System:
    """What the server calls `SystemBackend`."""

    id: str
    machine: Machine
    paths: Paths
    labels: tuple[str, ...]
    debug: bool
    storage_driver: str
    cgroups: Layout
    registry: ContainerRegistry
    containers: Containers
    images: Images
    volumes: Volumes
    builds: Builds
    event_log: EventLog
    clock: Clock
    init_path: str
    log_driver: str
    registries: RegistrySettings

    async def version(self) -> SystemVersion:
        """The engine's version and its parts'."""
        details = {
            "ApiVersion": str(MAXIMUM),
            "Arch": self.machine.architecture,
            "BuildTime": "",
            "Experimental": "false",
            "GitCommit": "",
            "GoVersion": "",
            "KernelVersion": self.machine.kernel,
            "MinAPIVersion": str(MINIMUM),
            "Os": "linux",
        }
        return SystemVersion(
            platform=PlatformName(name="shoal"),
            components=[Component(name="Engine", version=__version__, details=details)],
            version=__version__,
            api_version=str(MAXIMUM),
            min_api_version=str(MINIMUM),
            git_commit="",
            go_version="",
            os="linux",
            arch=self.machine.architecture,
            kernel_version=self.machine.kernel,
        )

    async def info(self) -> SystemInfo:
        """The engine's state and the machine's abilities."""
        states = [record.state.status for record in self.registry]
        running, paused = states.count("running") + states.count("restarting"), states.count("paused")
        has = self.cgroups.controllers.__contains__
        forwards = _is_on("/proc/sys/net/ipv4/ip_forward")
        return SystemInfo(
            id=self.id,
            containers=len(states),
            containers_running=running,
            containers_paused=paused,
            containers_stopped=len(states) - running - paused,
            images=await self.images.count(),
            driver=self.storage_driver,
            driver_status=_storage_status(self.storage_driver, str(self.paths.data_root)),
            memory_limit=has("memory"),
            swap_limit=self.cgroups.limits_swap(),
            cpu_cfs_period=has("cpu"),
            cpu_cfs_quota=has("cpu"),
            cpu_shares=has("cpu"),
            cpu_set=has("cpuset"),
            pids_limit=has("pids"),
            ipv4_forwarding=forwards,
            debug=self.debug,
            nfd=len(os.listdir("/proc/self/fd")),
            oom_kill_disable=self.cgroups.version == "v1",
            n_events_listener=self.event_log.listeners,
            n_goroutines=threading.active_count() + len(asyncio.all_tasks()),
            system_time=format_rfc3339(self.clock()),
            cgroup_version=self.cgroups.version.removeprefix("v"),
            kernel_version=self.machine.kernel,
            operating_system=self.machine.operating_system,
            os_version=self.machine.os_version,
            architecture=self.machine.machine,
            ncpu=self.machine.cpus,
            mem_total=self.machine.memory_bytes,
            docker_root_dir=str(self.paths.data_root),
            http_proxy=masked(setting(self.registries.environment, "http_proxy")),
            https_proxy=masked(setting(self.registries.environment, "https_proxy")),
            no_proxy=setting(self.registries.environment, "no_proxy"),
            name=self.machine.hostname,
            labels=list(self.labels),
            server_version=__version__,
            runtimes={"shoal": Runtime(path="shoal")},
            default_runtime="shoal",
            init_binary=self.init_path,
            logging_driver=self.log_driver,
            registry_config=_registry_config(self.registries),
            plugins=PluginsInfo(log=[driver for driver in DRIVERS if driver != "none"]),
            security_options=["name=seccomp,profile=builtin", "name=cgroupns"],
            firewall_backend=FirewallInfo(driver="nftables"),
            warnings=_warnings(self.cgroups.controllers, forwards=forwards),
        )

    async def events(self, options: EventOptions) -> AsyncIterator[EventMessage]:
        """Events that the options let through."""
        return self.event_log.subscribe(options.since_ns, options.until_ns, options.filters)

    async def disk_usage(self, kinds: Collection[str]) -> DiskUsage:
        """What is on disk, of the kinds asked for."""
        usage = DiskUsage(layers_size=await self.images.layers_size())
        if "container" in kinds:
            usage.containers = list(await self.containers.list(ListOptions(all=True, size=True)))
        if "image" in kinds:
            usage.images = list(await self.images.list(ImageListOptions(shared_size=True)))
        if "volume" in kinds:
            usage.volumes = list(await self.volumes.usage())
        if "build-cache" in kinds:
            usage.build_cache = list(await self.builds.records())
        return usage


_LIMITS = {
    "memory": "No memory limit support",
    "cpu": "No cpu shares support",
    "cpuset": "No cpuset support",
    "pids": "No pids limit support",
}


def _warnings(controllers: Collection[str], *, forwards: bool) -> list[str] | None:
    """What containers on this machine have to do without, in Docker's words."""
    found = [f"WARNING: {words}" for name, words in _LIMITS.items() if name not in controllers]
    if not forwards:
        found.append("WARNING: IPv4 forwarding is disabled")
    return found or None


def _registry_config(settings: RegistrySettings) -> RegistryServiceConfig:
    hosts = {entry for entry in settings.insecure if "/" not in entry}
    named = sorted(hosts | {mirror.domain for mirror in settings.mirrors} - {DEFAULT_DOMAIN})
    indexes = {host: IndexInfo(name=host, mirrors=_mirrors(settings, host), secure=host not in hosts) for host in named}
    mirrors = _mirrors(settings, DEFAULT_DOMAIN)
    hub = IndexInfo(name=DEFAULT_DOMAIN, mirrors=mirrors, secure=True, official=True)
    return RegistryServiceConfig(
        insecure_registry_cidrs=list(settings.insecure_networks),
        index_configs={DEFAULT_DOMAIN: hub, **indexes},
        mirrors=mirrors,
    )


def _mirrors(settings: RegistrySettings, domain: str) -> list[str]:
    return [str(mirror) for mirror in settings.mirrors_of(domain)]


def _storage_status(driver: str, path: str) -> list[tuple[str, str]]:
    """What the file system below the layers is."""
    mounts = [line.split() for line in Path("/proc/self/mounts").read_text(errors="replace").splitlines()]
    holders = [(fields[1], fields[2]) for fields in mounts if f"{path}/".startswith(fields[1].rstrip("/") + "/")]
    _, kind = max(holders, key=lambda holder: len(holder[0]), default=("", "unknown"))
    status = [("Backing Filesystem", "extfs" if kind.startswith("ext") else kind)]
    return [*status, ("Supports d_type", "true")] if driver.startswith("overlay") else status


def _is_on(path: str) -> bool:
    try:
        return Path(path).read_text().strip() == "1"
    except OSError:
        return False
