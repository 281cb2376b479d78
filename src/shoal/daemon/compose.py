"""Puts the engine together: the only place that knows every part by name."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from shoal.api.host_config import LogConfig
from shoal.build.cached_chains import cached_chains
from shoal.daemon.builds import load_builder
from shoal.daemon.config import Config
from shoal.daemon.facts import host_facts, machine_facts
from shoal.daemon.host_devices import HostDevices
from shoal.daemon.networks import network_catalog
from shoal.daemon.supervisor_log import log_of_supervisor
from shoal.engine.background import Background
from shoal.engine.boots import Boots
from shoal.engine.building.step_containers import StepContainers
from shoal.engine.builds import Builds
from shoal.engine.clock import system_clock
from shoal.engine.container.archives import Archives
from shoal.engine.container.clients import WaitingClients
from shoal.engine.container.committing import Committer
from shoal.engine.container.container_files import ContainerFiles
from shoal.engine.container.container_logs import ContainerLogs
from shoal.engine.container.container_volumes import ContainerVolumes
from shoal.engine.container.creation import Creator
from shoal.engine.container.exits_noting import ExitNoter
from shoal.engine.container.exits_oom import OomInquiry
from shoal.engine.container.exits_past import PastExits
from shoal.engine.container.freezing import Freezer
from shoal.engine.container.image_mounts import ImageMounts
from shoal.engine.container.launches import LaunchBuilder
from shoal.engine.container.lifecycle import Lifecycle
from shoal.engine.container.links import Links
from shoal.engine.container.locks import ContainerLocks
from shoal.engine.container.metering import Meter
from shoal.engine.container.oom_watch import OomWatch
from shoal.engine.container.prune import Pruner
from shoal.engine.container.record import ContainerRecord
from shoal.engine.container.registry import ContainerRegistry
from shoal.engine.container.removal import Remover
from shoal.engine.container.roots import ContainerRoots
from shoal.engine.container.service import Containers
from shoal.engine.container.stopping import Stopper
from shoal.engine.container.top import ProcessLister
from shoal.engine.container.update import Updater
from shoal.engine.container.upkeep import Upkeep
from shoal.engine.container.waiters import Waiters
from shoal.engine.container_names import ContainerNames
from shoal.engine.database import Database, Reserve
from shoal.engine.engine import Engine
from shoal.engine.events import EventLog
from shoal.engine.execs import Execs
from shoal.engine.health.action import UnhealthyActions
from shoal.engine.health.monitor import HealthMonitor
from shoal.engine.health.prober import Prober
from shoal.engine.health.store import HealthStore
from shoal.engine.image_budget import ImageBudget
from shoal.engine.image_expiry import ImageExpiry
from shoal.engine.image_names import ImageNames
from shoal.engine.images import Images
from shoal.engine.images_registries import ImageTransfers
from shoal.engine.ledger import Ledger
from shoal.engine.machine import Machine, read_machine
from shoal.engine.memberships import Memberships
from shoal.engine.network_catalog import NetworkCatalog
from shoal.engine.networking import ContainerNetworks
from shoal.engine.networks import Networks
from shoal.engine.paths import Paths
from shoal.engine.port_inquiries import PortInquiries
from shoal.engine.published_ports import PublishedPorts
from shoal.engine.recovery import Recovery
from shoal.engine.resolving import Resolving
from shoal.engine.specgen import DaemonDefaults, SpecGenerator
from shoal.engine.specgen.resources import container_cgroup
from shoal.engine.storage import Storage
from shoal.engine.system import DAEMON_ID_FILE, System
from shoal.engine.virtual_machines import VirtualMachines
from shoal.engine.volumes import Volumes
from shoal.image.registry.endpoints import RegistrySettings
from shoal.image.snapshot.protocol import Snapshotter
from shoal.image.store import ImageStore
from shoal.image.uses import ImageUses
from shoal.linux.cgroups.layout import Layout, detect
from shoal.linux.kernel_log import read_kernel_log
from shoal.linux.procfs import boot_id
from shoal.network.dns.host_servers import HostServers
from shoal.network.dns.resolvers import Resolvers
from shoal.network.instance import instance_suffix
from shoal.oci.platform import Platform
from shoal.runtime.native.driver import NativeDriver
from shoal.runtime.vm.machines import Machines
from shoal.volume.store import VolumeStore

_INIT_PATHS = ("/usr/bin/tini-static", "/usr/libexec/docker/docker-init", "/usr/bin/catatonit")


_log = logging.getLogger(__name__)


async def open_engine(config: Config, background: Background) -> Engine:
    """The engine on the configured roots; nothing of it runs yet: `engine.recovery.run()` begins.

    Raises: ShoalError when a part cannot work on this machine.
    """
    paths = Paths(config.data_root, config.exec_root)
    for directory in (paths.containers, config.exec_root / "containers", config.exec_root / "rootfs"):
        directory.mkdir(mode=0o710, parents=True, exist_ok=True)
    machine, cgroups = read_machine(), detect()
    database = Database(paths.database)
    events = EventLog(system_clock)
    registry = ContainerRegistry(database.connection)
    kept = cached_chains(database.connection)
    drops_blobs = config.image_drop_blobs
    store = ImageStore(
        config.data_root, database.connect, driver=config.storage_driver, kept=kept, drops_blobs=drops_blobs
    )
    for problem in store.problems:
        _log.warning("%s", problem)
    catalog = network_catalog(config, database)
    init_path = next((path for path in _INIT_PATHS if Path(path).exists()), _INIT_PATHS[0])
    generator = SpecGenerator(machine_facts(machine, cgroups), DaemonDefaults(init_path=init_path), HostDevices())
    parent = cgroup_parent(config)
    machines = Machines(config.data_root / "vm", background.spawn)
    driver = NativeDriver(
        config.exec_root,
        host_facts(config, cgroups),
        cgroup_parent=parent,
        per_supervisor=config.containers_per_supervisor,
        machines=machines,
    )
    waiters = Waiters()
    log_default = LogConfig(type=config.log_driver, config=dict(config.log_opts))
    volume_store = VolumeStore(paths.volumes, paths.volume_trash, database.connection)
    parts = _Parts(
        paths=paths,
        registry=registry,
        store=store,
        snapshotter=store.snapshotter,
        catalog=catalog,
        driver=driver,
        machines=machines,
        generator=generator,
        cgroups=cgroups,
        cgroup_path=lambda record: container_cgroup(record.host_config.cgroup_parent or parent, record.id),
        events=events,
        background=background,
        machine=machine,
        volume_store=volume_store,
        container_volumes=ContainerVolumes(volume_store, registry, events, system_clock),
        waiters=waiters,
        logs=ContainerLogs(paths, waiters, log_default, machine.hostname),
        default_isolation=config.default_isolation,
    )
    return parts.assemble(config, database, init_path)


def cgroup_parent(config: Config) -> str:
    """The cgroup that holds this daemon's containers, in every hierarchy."""
    suffix = instance_suffix(str(config.exec_root))
    return f"/shoal-{suffix}" if suffix else "/shoal"


@dataclass(frozen=True, slots=True)
class _Parts:
    """What is made before the engine's own objects, which all need some of it."""

    paths: Paths
    registry: ContainerRegistry
    store: ImageStore
    snapshotter: Snapshotter
    catalog: NetworkCatalog
    driver: NativeDriver
    machines: Machines
    generator: SpecGenerator
    cgroups: Layout
    cgroup_path: Callable[[ContainerRecord], str]
    events: EventLog
    background: Background
    machine: Machine
    volume_store: VolumeStore
    container_volumes: ContainerVolumes
    waiters: Waiters
    logs: ContainerLogs
    default_isolation: str
    clients: WaitingClients = field(default_factory=WaitingClients)
    locks: ContainerLocks = field(default_factory=ContainerLocks)

    def assemble(self, config: Config, database: Database, init_path: str) -> Engine:
        """The engine out of the parts."""
        platform = Platform.of_machine(self.machine.machine)
        files = ContainerFiles(self.paths, self._host_address)
        resolving = self._resolving(files)
        networks = ContainerNetworks(self.catalog, self.events, resolving, config.published_ports)
        memberships = Memberships(self.registry, self.locks, self.catalog, networks)
        links = Links(self.registry, networks.bridge_address, self.paths.hosts_file)
        launches = self._launches(files, links)
        execs = Execs(
            registry=self.registry,
            driver=self.driver,
            launches=launches,
            events=self.events,
            clock=system_clock,
            background=self.background,
        )
        health = self._health(execs, database)
        past_exits = PastExits(database.connection)
        remover = self._remover(networks, links, execs, database.reserve, health, past_exits)
        lifecycle = self._lifecycle(networks, launches, remover, health)
        steps = StepContainers(
            self.paths, self.snapshotter, networks, launches, self.driver, self.generator, self.background, system_clock
        )
        self.driver.subscribe(steps.listening(lifecycle.exited), execs.exited, execs.detached, log_of_supervisor)
        images = Images(self.store, self.snapshotter.name, platform, self.registry, self.events, system_clock)
        transfers = ImageTransfers(
            self.store,
            config.registries,
            platform,
            self.events,
            ImageExpiry(self.store, self.background, system_clock),
        )
        load = partial(load_builder, self.store, images, steps, transfers, database, self.events, platform)
        builds = Builds(load, str(config.data_root), self.events, system_clock)
        names = ImageNames(self.store, platform)
        containers = self._containers(lifecycle, remover, execs, networks, links, names, health)
        health.subscribe(UnhealthyActions(containers.stopper, self.events, self.background).act)
        volumes = Volumes(self.volume_store, self.container_volumes, self.registry, self.events, system_clock)
        ledger = Ledger(self.paths.data_root)
        return Engine(
            containers=containers,
            upkeep=self._upkeep(remover, past_exits, networks),
            archives=self._archives(containers.freezer),
            execs=execs,
            images=images,
            registries=transfers,
            builds=builds,
            networks=Networks(self.catalog, self.registry, memberships, self.events, system_clock),
            volumes=volumes,
            storage=self._storage(ledger, config.registries),
            budget=self._budget(config.image_store_budget, database, images, ledger),
            system=self._system(config, containers, images, volumes, builds, init_path),
            machines=VirtualMachines(self.machines),
            recovery=Recovery(
                paths=self.paths,
                registry=self.registry,
                snapshotter=self.snapshotter,
                networks=networks,
                driver=self.driver,
                launches=launches,
                lifecycle=lifecycle,
                freezer=containers.freezer,
                remover=remover,
                locks=self.locks,
                volumes=volumes,
                boots=Boots(database.connection, boot_id()),
                logs=self.logs,
            ),
            registry=self.registry,
            driver=self.driver,
            catalog=self.catalog,
            resolving=resolving,
            database=database,
            background=self.background,
        )

    def _storage(self, ledger: Ledger, registries: RegistrySettings) -> Storage:
        parts = (self.paths, self.store, self.registry, self.volume_store, self.container_volumes)
        return Storage(*parts, ledger, registries)

    def _budget(
        self, budget_bytes: int | None, database: Database, images: Images, ledger: Ledger
    ) -> ImageBudget | None:
        if budget_bytes is None:
            return None
        uses = ImageUses(database.connect)
        return ImageBudget(self.store, uses, ledger, images, self.registry, self.events, system_clock, budget_bytes)

    def _health(self, execs: Execs, database: Database) -> HealthMonitor:
        store = HealthStore(database.connection)
        prober = Prober(execs, self.driver, system_clock)
        return HealthMonitor(store, prober, self.events, system_clock, self.background)

    def _remover(
        self,
        networks: ContainerNetworks,
        links: Links,
        execs: Execs,
        reserve: Reserve,
        health: HealthMonitor,
        past_exits: PastExits,
    ) -> Remover:
        return Remover(
            paths=self.paths,
            registry=self.registry,
            snapshotter=self.snapshotter,
            networks=networks,
            clients=self.clients,
            waiters=self.waiters,
            events=self.events,
            background=self.background,
            execs=execs,
            reserve=reserve,
            volumes=self.container_volumes,
            health=health,
            past_exits=past_exits,
            links=links,
        )

    def _lifecycle(
        self, networks: ContainerNetworks, launches: LaunchBuilder, remover: Remover, health: HealthMonitor
    ) -> Lifecycle:
        inquiry = OomInquiry(read_kernel_log)
        return Lifecycle(
            registry=self.registry,
            driver=self.driver,
            networks=networks,
            launches=launches,
            remover=remover,
            waiters=self.waiters,
            clients=self.clients,
            locks=self.locks,
            events=self.events,
            background=self.background,
            volumes=self.container_volumes,
            health=health,
            logs=self.logs,
            exits=ExitNoter(inquiry, health),
            oom_watch=OomWatch(
                registry=self.registry,
                cgroups=self.cgroups,
                cgroup_path=self.cgroup_path,
                inquiry=inquiry,
                events=self.events,
                background=self.background,
            ),
            clock=system_clock,
        )

    def _containers(
        self,
        lifecycle: Lifecycle,
        remover: Remover,
        execs: Execs,
        networks: ContainerNetworks,
        links: Links,
        names: ImageNames,
        health: HealthMonitor,
    ) -> Containers:
        freezer = Freezer(self.registry, self.cgroups, self.cgroup_path, self.locks, self.events, health)
        return Containers(
            paths=self.paths,
            registry=self.registry,
            creator=Creator(
                paths=self.paths,
                registry=self.registry,
                images=names,
                snapshotter=self.snapshotter,
                generator=self.generator,
                volumes=self.container_volumes,
                logs=self.logs,
                links=links,
                image_mounts=ImageMounts(names, self.snapshotter),
                events=self.events,
                clock=system_clock,
                default_isolation=self.default_isolation,
                machine_warnings=VirtualMachines(self.machines).warnings,
            ),
            lifecycle=lifecycle,
            stopper=Stopper(self.registry, self.driver, freezer, self.waiters, self.locks, self.events, system_clock),
            freezer=freezer,
            remover=remover,
            waiters=self.waiters,
            clients=self.clients,
            locks=self.locks,
            execs=execs,
            networks=networks,
            links=links,
            image_names=names,
            snapshotter=self.snapshotter,
            driver=self.driver,
            container_logs=self.logs,
            events=self.events,
            clock=system_clock,
            background=self.background,
            health=health,
        )

    def _upkeep(self, remover: Remover, past_exits: PastExits, networks: ContainerNetworks) -> Upkeep:
        return Upkeep(
            registry=self.registry,
            processes=ProcessLister(self.cgroups, self.cgroup_path, self.events, self.driver),
            meter=Meter(
                registry=self.registry,
                cgroups=self.cgroups,
                cgroup_path=self.cgroup_path,
                waiters=self.waiters,
                memory_bytes=self.machine.memory_bytes,
                clock=system_clock,
            ),
            snapshotter=self.snapshotter,
            updater=Updater(
                registry=self.registry,
                generator=self.generator,
                cgroups=self.cgroups,
                cgroup_path=self.cgroup_path,
                locks=self.locks,
                events=self.events,
            ),
            pruner=Pruner(
                registry=self.registry,
                locks=self.locks,
                remover=remover,
                snapshotter=self.snapshotter,
                events=self.events,
                clock=system_clock,
            ),
            background=self.background,
            past_exits=past_exits,
            port_inquiries=PortInquiries(self.registry, self.catalog, networks, self.catalog.host),
            name_inquiries=networks.resolving.inquiries(self.registry, self.catalog),
            published_ports=PublishedPorts(
                self.registry, self.locks, self.catalog, networks, self.events, self.background
            ),
        )

    def _archives(self, freezer: Freezer) -> Archives:
        return Archives(
            registry=self.registry,
            roots=ContainerRoots(self.paths, self.container_volumes, str(self.paths.exec_root / "rootfs")),
            locks=self.locks,
            events=self.events,
            waiters=self.waiters,
            committer=Committer(self.registry, self.store, freezer, self.locks, self.events, self.background),
        )

    def _host_address(self) -> str:
        """The host's address on the default bridge, "" without one."""
        bridge = self.catalog.get("bridge")
        return bridge.inspect().gateway if bridge else ""

    def _resolving(self, files: ContainerFiles) -> Resolving:
        names = ContainerNames(self.registry, self.catalog, self._host_address, HostServers().get)
        return Resolving(names, Resolvers(names, self.background.spawn), files)

    def _launches(self, files: ContainerFiles, links: Links) -> LaunchBuilder:
        return LaunchBuilder(
            self.paths, self.registry, self.generator, files, self.cgroup_path, self.container_volumes, links
        )

    def _system(
        self,
        config: Config,
        containers: Containers,
        images: Images,
        volumes: Volumes,
        builds: Builds,
        init_path: str,
    ) -> System:
        return System(
            id=_daemon_id(self.paths),
            machine=self.machine,
            paths=self.paths,
            labels=config.labels,
            debug=config.debug,
            storage_driver=self.snapshotter.name,
            cgroups=self.cgroups,
            registry=self.registry,
            containers=containers,
            images=images,
            volumes=volumes,
            builds=builds,
            event_log=self.events,
            clock=system_clock,
            init_path=init_path,
            log_driver=config.log_driver,
            registries=config.registries,
        )


def _daemon_id(paths: Paths) -> str:
    """The id of the daemon on this data root, made the first time."""
    file = paths.data_root / DAEMON_ID_FILE
    try:
        return file.read_text().strip()
    except FileNotFoundError:
        id = str(uuid.uuid4())
        file.write_text(f"{id}\n")
        return id
