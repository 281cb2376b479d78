"""From what was asked for to the OCI runtime specification: Docker's rules in one pure function.

    ContainerCreateRequest ─ validate ─▶ warnings, or an error in Docker's words     (at create)
    merged config + HostConfig + facts ─ generate ─▶ RuntimeSpec                     (at start)
    exec request + config ─ exec_process ─▶ Process                                  (at exec)

Runs in shoald; no system call, no clock, no file but through the `DeviceSource`.
"""

from __future__ import annotations

import msgspec

from shoal.api.container import ContainerConfig, ContainerCreateRequest
from shoal.api.exec import ExecConfig, console_size
from shoal.api.host_config import HostConfig
from shoal.api.update import ContainerUpdateRequest
from shoal.engine.specgen import namespaces as ns
from shoal.engine.specgen.binds import requested_mounts
from shoal.engine.specgen.capabilities import capability_sets, container_capabilities
from shoal.engine.specgen.defaults import with_defaults
from shoal.engine.specgen.devices import container_devices
from shoal.engine.specgen.facts import ContainerFacts, DaemonDefaults, DeviceSource, MachineFacts
from shoal.engine.specgen.mounts import container_mounts
from shoal.engine.specgen.process import command_line, environment, replace_or_append, rlimits, with_init
from shoal.engine.specgen.resources import check_resources, container_resources, supported_resources
from shoal.engine.specgen.security import (
    SeccompProfiles,
    SecurityOptions,
    apparmor_profile,
    masked_and_readonly,
    read_security_options,
)
from shoal.engine.specgen.sysctls import container_sysctls
from shoal.engine.specgen.update import changed_limits, updated_host
from shoal.errors import InvalidArgument
from shoal.oci import runtime_spec as oci


class SpecGenerator:
    """The rules, bound to one machine and one daemon's configuration."""

    def __init__(self, machine: MachineFacts, defaults: DaemonDefaults, devices: DeviceSource) -> None:
        """Keeps what it is given; nothing is looked at yet."""
        self._machine = machine
        self._defaults = defaults
        self._devices = devices
        self._profiles = SeccompProfiles()

    def validate(self, request: ContainerCreateRequest) -> list[str]:
        """Docker's warnings about a request that can be served.

        Looks at the request as it was sent, before the image's configuration is merged into it.

        Raises: InvalidArgument, for whatever `generate` would refuse and for options that exclude each other.
        """
        host = request.host_config
        modes = ns.read_modes(host, self._defaults, self._machine)
        ns.check_conflicts(request, modes)
        warnings = check_resources(host, self._machine)
        options = read_security_options(host.security_opt)
        held = self._capabilities(host)
        self._filter(options, held, host)
        container_sysctls(host.sysctls, modes)
        rlimits(host.ulimits, self._defaults.ulimits)
        requested_mounts(host)
        _check_plain_fields(request)
        if modes.network == "host" and host.port_bindings:
            warnings.append("Published ports are discarded when using host network mode")
        return warnings

    def complete(self, host: HostConfig) -> HostConfig:
        """The host's part of a valid request, with the defaults written out."""
        return with_defaults(host, self._machine, self._defaults)

    def generate(self, config: ContainerConfig, host: HostConfig, facts: ContainerFacts) -> oci.RuntimeSpec:
        """The specification of a container; `config` is the merged one (`process.merge_process`).

        Raises: InvalidArgument in Docker's words, for what changed since create: a device that is gone.
        """
        modes = ns.read_modes(host, self._defaults, self._machine)
        init = self._uses_init(host, modes)
        hostname = facts.hostname if modes.uts == "private" else ""
        return oci.RuntimeSpec(
            process=self._process(config, host, facts, init=init),
            # The snapshot is the root; the path is the bundle's, for readers of config.json.
            root=oci.Root(path="rootfs", readonly=host.readonly_rootfs),
            hostname=hostname,
            domainname=config.domainname if modes.uts == "private" else "",
            mounts=container_mounts(host, facts, self._defaults, modes, init=init),
            annotations=self._annotations(host),
            linux=self._linux(host, facts, modes),
        )

    def check_update(self, given: ContainerUpdateRequest) -> tuple[ContainerUpdateRequest, list[str]]:
        """A request for new limits without what this kernel cannot apply, and Docker's warnings about that.

        Raises: InvalidArgument for values out of range or options that exclude each other.
        """
        warnings = check_resources(given, self._machine, update=True)
        return msgspec.structs.replace(given, **supported_resources(given, self._machine)), warnings

    def update(self, host: HostConfig, given: ContainerUpdateRequest) -> tuple[HostConfig, oci.Resources]:
        """The host's part of a container with new limits, and those of them that its cgroup has to be told.

        Raises: Conflict for what contradicts the limits that it has; InvalidArgument for a device that is gone.
        """
        updated = updated_host(host, given)
        return updated, changed_limits(container_resources(updated, self._machine, (), self._devices), given)

    def exec_process(self, request: ExecConfig, config: ContainerConfig, spec: oci.RuntimeSpec) -> oci.Process:
        """The process of `docker exec`: the container's own with the request's changes.

        Raises: InvalidArgument `No exec command specified`.
        """
        if not request.cmd:
            raise InvalidArgument("No exec command specified")
        base = spec.process or oci.Process(cwd="/")
        hostname = next((entry[len("HOSTNAME=") :] for entry in base.env if entry.startswith("HOSTNAME=")), "")
        # What links have added is in the container's own environment; TERM goes with the exec's terminal.
        others = [entry for entry in base.env if not entry.startswith("TERM=")]
        env = environment(msgspec.structs.replace(config, tty=request.tty), hostname, others)
        user = base.user if not request.user else msgspec.structs.replace(base.user, username=request.user)
        return msgspec.structs.replace(
            base,
            args=tuple(request.cmd),
            env=replace_or_append(env, request.env),
            cwd=request.working_dir or base.cwd,
            terminal=request.tty,
            console_size=None,
            user=user,
            capabilities=capability_sets(self._machine.capabilities) if request.privileged else base.capabilities,
        )

    def _process(self, config: ContainerConfig, host: HostConfig, facts: ContainerFacts, *, init: bool) -> oci.Process:
        options = read_security_options(host.security_opt)
        arguments = command_line(config)
        rows, columns = console_size(host.console_size)
        no_new_privileges = options.no_new_privileges
        if no_new_privileges is None:
            no_new_privileges = self._defaults.no_new_privileges
        return oci.Process(
            cwd=config.working_dir or "/",
            args=with_init(arguments) if init else arguments,
            env=environment(config, facts.hostname, facts.link_variables),
            terminal=config.tty,
            console_size=oci.ConsoleSize(height=rows, width=columns) if rows and columns else None,
            user=oci.User(
                username=config.user,
                additional_gids=tuple(int(name) for name in host.group_add if name.isdigit()),
            ),
            capabilities=capability_sets(self._capabilities(host)),
            rlimits=rlimits(host.ulimits, self._defaults.ulimits),
            no_new_privileges=no_new_privileges,
            oom_score_adj=host.oom_score_adj,
            apparmor_profile=apparmor_profile(options, self._machine),
        )

    def _linux(self, host: HostConfig, facts: ContainerFacts, modes: ns.Modes) -> oci.Linux:
        options = read_security_options(host.security_opt)
        devices, rules = container_devices(host, self._devices)
        masked, readonly = masked_and_readonly(host, options)
        return oci.Linux(
            namespaces=ns.namespaces(modes, facts),
            devices=devices,
            resources=container_resources(host, self._machine, rules, self._devices),
            cgroups_path=facts.cgroup_path,
            rootfs_propagation=_rootfs_propagation(host),
            seccomp=self._filter(options, self._capabilities(host), host),
            sysctl=container_sysctls(host.sysctls, modes),
            masked_paths=masked,
            readonly_paths=readonly,
        )

    def _annotations(self, host: HostConfig) -> dict[str, str]:
        names = [name for name in host.group_add if not name.isdigit()]
        return {**host.annotations, **({oci.GROUP_NAMES_ANNOTATION: ",".join(names)} if names else {})}

    def _uses_init(self, host: HostConfig, modes: ns.Modes) -> bool:
        # An init is of use only as PID 1.
        return modes.pid == "private" and (self._defaults.init if host.init is None else host.init)

    def _capabilities(self, host: HostConfig) -> tuple[str, ...]:
        available = self._machine.capabilities
        return container_capabilities(host.cap_add, host.cap_drop, available, privileged=host.privileged)

    def _filter(self, options: SecurityOptions, held: tuple[str, ...], host: HostConfig) -> oci.Seccomp | None:
        return self._profiles.filter(options, self._defaults, held, self._machine, privileged=host.privileged)


def _rootfs_propagation(host: HostConfig) -> str:
    """What the container's root must be for the propagations asked for: shared beats slave beats private."""
    asked = {mount.propagation.removeprefix("r") for mount in requested_mounts(host)}
    return next((kind for kind in ("shared", "slave") if kind in asked), "")


def _check_plain_fields(request: ContainerCreateRequest) -> None:
    host = request.host_config
    if host.shm_size < 0:
        raise InvalidArgument("SHM size can not be less than 0")
    if not -1000 <= host.oom_score_adj <= 1000:
        raise InvalidArgument(f"Invalid value {host.oom_score_adj}, range for oom score adj is [-1000, 1000]")
    if request.working_dir and not request.working_dir.startswith("/"):
        raise InvalidArgument(
            f"the working directory '{request.working_dir}' is invalid, it needs to be an absolute path"
        )
    for entry in request.env:
        if not entry or entry.startswith("="):
            raise InvalidArgument(f"invalid environment variable: {entry}")
    for name in host.group_add:
        if not name or "," in name or ":" in name:
            raise InvalidArgument(f"invalid group: {name!r}", fix="give a group's name or number")
