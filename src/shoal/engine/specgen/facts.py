"""What generating a specification needs to know beside the request: plain data, handed in by the engine."""

from __future__ import annotations

from typing import Literal, Protocol

import msgspec

from shoal.api.host_config import Ulimit
from shoal.engine.specgen.requested import RequestedMount


class HostDevice(msgspec.Struct, frozen=True, kw_only=True):
    """A device node of the host: `kind` is "c" or "b", `mode` its permission bits."""

    path: str
    kind: str
    major: int
    minor: int
    mode: int
    uid: int
    gid: int


class DeviceSource(Protocol):
    """Looks at the host's /dev, the one thing here that is not known ahead."""

    def lookup(self, path: str) -> list[HostDevice]:
        """The device at a path, or all below a directory. Raises: OSError; an empty list: not a device."""
        ...

    def all(self) -> list[HostDevice]:
        """Every device that a privileged container gets: all of /dev but terminals and shared memory."""
        ...


class MachineFacts(msgspec.Struct, frozen=True, kw_only=True):
    """This machine. `controllers` are those that a container's cgroup can use; sets as in cpuset.cpus.

    `capabilities` are the names that this kernel and shoald's own bounding set allow, in numeric order.
    `memory_swap` says whether swap can be limited, `apparmor` whether the kernel confines by profiles.
    """

    machine: str
    kernel: tuple[int, int]
    cpus: int
    cgroup_version: Literal["v1", "v2"]
    controllers: frozenset[str]
    capabilities: tuple[str, ...]
    cpuset_cpus: str = ""
    cpuset_mems: str = ""
    memory_swap: bool = True
    seccomp: bool = True
    apparmor: bool = False


class DaemonDefaults(msgspec.Struct, frozen=True, kw_only=True):
    """What the daemon's configuration says for requests that leave it open.

    `seccomp_profile` is "" for the built-in one, "unconfined", or a profile's JSON text. `init_path` is where
    the host has a static init (tini-static, catatonit). `cgroupns_mode` "" is Docker's rule: private on v2.
    """

    shm_size_bytes: int = 64 * 1024 * 1024
    ipc_mode: str = "private"
    cgroupns_mode: str = ""
    init: bool = False
    init_path: str = "/usr/bin/tini-static"
    ulimits: tuple[Ulimit, ...] = ()
    seccomp_profile: str = ""
    no_new_privileges: bool = False


class ContainerFacts(msgspec.Struct, frozen=True, kw_only=True):
    """This container. Paths are the host's; "" for a file that is not bound in.

    `cgroup_path` is "/shoal/ID". `network_pid`, `ipc_pid` and `pid_pid` are the first processes of the
    containers named by `container:ID` modes, resolved by the engine. `mounts` are mounts beside those
    of the request: its volumes, resolved, those of the image, and what other containers have.
    `link_variables` are what its links add to the environment.
    """

    id: str
    hostname: str
    cgroup_path: str
    hosts_path: str = ""
    hostname_path: str = ""
    resolv_conf_path: str = ""
    network_pid: int | None = None
    ipc_pid: int | None = None
    pid_pid: int | None = None
    mounts: tuple[RequestedMount, ...] = ()
    link_variables: tuple[str, ...] = ()
