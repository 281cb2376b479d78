"""Everything about one start, decided: the specification, the files that the container sees, where its streams go."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from shoal.api.exec import ExecConfig, console_size
from shoal.engine.container.bind_sources import check_propagation, make_bind_sources
from shoal.engine.container.container_files import ContainerFiles
from shoal.engine.container.container_volumes import ContainerVolumes
from shoal.engine.container.isolation import machine_size
from shoal.engine.container.links import Links
from shoal.engine.container.record import ContainerRecord
from shoal.engine.container.registry import ContainerRegistry
from shoal.engine.container.sharing import Sharing
from shoal.engine.networking import Place
from shoal.engine.paths import Paths
from shoal.engine.specgen import ContainerFacts, SpecGenerator
from shoal.engine.specgen.binds import requested_mounts
from shoal.errors import Internal
from shoal.oci.runtime_spec import RuntimeSpec
from shoal.runtime.driver import Client, ExecLaunch, KnownContainer, Launch, LogSink


class LaunchBuilder:
    """Builds launches. `cgroup_path` gives the path of a container's cgroup in every hierarchy."""

    def __init__(
        self,
        paths: Paths,
        registry: ContainerRegistry,
        generator: SpecGenerator,
        files: ContainerFiles,
        cgroup_path: Callable[[ContainerRecord], str],
        volumes: ContainerVolumes,
        links: Links,
    ) -> None:
        self._paths = paths
        self._registry = registry
        self._generator = generator
        self._files = files
        self._cgroup_path = cgroup_path
        self._volumes = volumes
        self._links = links
        self._sharing = Sharing(registry)

    def build(
        self, record: ContainerRecord, places: Sequence[Place], clients: tuple[Client, ...], log: LogSink
    ) -> Launch:
        """The launch of a container; writes its bundle's config.json and the files that are bound into it.

        Raises: Conflict when a container whose namespaces it shares does not run; InvalidArgument; Internal (disk).
        """
        try:
            make_bind_sources(record.host_config)
            check_propagation([*requested_mounts(record.host_config), *record.mounts])
            self._write_files(record, places)
            spec = self._generator.generate(record.config, record.host_config, self._facts(record))
            self._config_file(record.id).write_bytes(msgspec.json.encode(spec))
            self._paths.run_dir(record.id).mkdir(mode=0o710, parents=True, exist_ok=True)
        except OSError as cause:
            raise Internal(f"cannot write the files of container {record.name}", why=str(cause)) from cause
        return self._launch(record, spec, places, clients, log)

    def _write_files(self, record: ContainerRecord, places: Sequence[Place]) -> None:
        """The files in /etc, unless the container takes those of the one whose network it shares."""
        other = self._sharing.network_of(record)
        if other is not None:
            record.config.hostname, record.config.domainname = other.config.hostname, other.config.domainname
            return
        self._files.write(
            record,
            [address for place in places for address in place.endpoint.addresses],
            self._links.hosts(record),
            has_resolver=any(place.has_names for place in places),
        )
        for place in places:
            if place.endpoint.network == "bridge":
                self._links.moved(record, place.endpoint.ip)

    def _launch(
        self,
        record: ContainerRecord,
        spec: RuntimeSpec,
        places: Sequence[Place],
        clients: tuple[Client, ...],
        log: LogSink,
    ) -> Launch:
        rows, columns = console_size(record.host_config.console_size)
        return Launch(
            id=record.id,
            spec=spec,
            rootfs=record.rootfs,
            run_dir=str(self._paths.run_dir(record.id)),
            bundle_dir=str(self._paths.container_dir(record.id)),
            log=log,
            exit_file=str(self._paths.exit_file(record.id)),
            cgroup_path=self._cgroup_path(record),
            terminal=record.config.tty,
            open_stdin=record.config.open_stdin,
            stdin_once=record.config.stdin_once,
            rows=rows,
            columns=columns,
            interfaces=tuple(place.interface for place in places if place.interface is not None),
            clients=clients,
            machine=machine_size(record.host_config),
            resolver=any(place.has_names for place in places),
        )

    def _facts(self, record: ContainerRecord) -> ContainerFacts:
        owner = self._sharing.files_owner(record)
        return ContainerFacts(
            id=record.id,
            hostname=record.config.hostname,
            cgroup_path=self._cgroup_path(record),
            hosts_path=str(self._paths.hosts_file(owner)),
            hostname_path=str(self._paths.hostname_file(owner)),
            resolv_conf_path=str(self._paths.resolv_conf_file(owner)),
            network_pid=self._sharing.network_pid(record),
            ipc_pid=self._sharing.ipc_pid(record),
            pid_pid=self._sharing.pid_pid(record),
            mounts=self._volumes.mounts(record),
            link_variables=self._links.variables(record),
        )

    def _config_file(self, id: str) -> Path:
        return self._paths.container_dir(id) / "config.json"

    def known(self, record: ContainerRecord, log: LogSink) -> KnownContainer:
        """A container that ran when shoald went away, for the driver's recovery."""
        launch = self._launch(record, self.spec_of(record), (), (), log)
        state = record.state
        return KnownContainer(launch, state.pid, state.started_at_ns, state.start_ticks)

    def spec_of(self, record: ContainerRecord) -> RuntimeSpec:
        """The specification that the container was last started with. Raises: Internal when it is lost."""
        try:
            return msgspec.json.decode(self._config_file(record.id).read_bytes(), type=RuntimeSpec)
        except (OSError, msgspec.DecodeError) as cause:
            raise Internal(f"cannot read the bundle of container {record.name}", why=str(cause)) from cause

    def build_exec(
        self,
        record: ContainerRecord,
        exec_id: str,
        config: ExecConfig,
        rows: int,
        columns: int,
        clients: tuple[Client, ...],
    ) -> ExecLaunch:
        """The launch of a further process. Raises: Internal when the bundle is lost."""
        spec = self.spec_of(record)
        return ExecLaunch(
            id=record.id,
            exec_id=exec_id,
            pid=record.state.pid,
            process=self._generator.exec_process(config, record.config, spec),
            spec=spec,
            run_dir=str(self._paths.run_dir(record.id)),
            cgroup_path=self._cgroup_path(record),
            terminal=config.tty,
            open_stdin=config.attach_stdin,
            rows=rows,
            columns=columns,
            clients=clients,
            in_machine=machine_size(record.host_config) is not None,
        )
