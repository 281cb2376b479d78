"""Launches of containers that do not exist, for the tests of the compiler."""

from __future__ import annotations

from shoal.oci.network import InterfaceConfig
from shoal.oci.rootfs import OverlayRootfs, Rootfs
from shoal.oci.runtime_spec import RuntimeSpec, Seccomp
from shoal.runtime.compile import Hierarchy, HostFacts
from shoal.runtime.driver import Launch, LogSink

OVERLAY = OverlayRootfs(lower=("/layers/b", "/layers/a"), upper="/snap/upper", work="/snap/work")
INTERFACE = InterfaceConfig(name="eth0", address="172.17.0.2/16", gateway="172.17.0.1")


def fake_filter(profile: Seccomp) -> bytes:
    """A filter as long as the profile has rules, for plans that are only read."""
    return bytes(8 * len(profile.syscalls))


V1 = HostFacts(
    rootfs_mount_point="/run/shoal/rootfs",
    cgroup_version="v1",
    hierarchies=(
        Hierarchy("cpu,cpuacct", "/sys/fs/cgroup/cpu,cpuacct", ("cpu", "cpuacct")),
        Hierarchy("memory", "/sys/fs/cgroup/memory"),
        Hierarchy("unified", "/sys/fs/cgroup/unified"),
    ),
    last_capability=40,
    compile_filter=fake_filter,
)
V2 = HostFacts(
    rootfs_mount_point="/run/shoal/rootfs",
    cgroup_version="v2",
    hierarchies=(Hierarchy("", "/sys/fs/cgroup"),),
    last_capability=40,
    compile_filter=fake_filter,
)


def launch(
    spec: RuntimeSpec,
    *,
    rootfs: Rootfs = OVERLAY,
    terminal: bool = False,
    interface: InterfaceConfig | None = INTERFACE,
) -> Launch:
    """A launch of `spec` with everything else made up."""
    return Launch(
        id="a" * 64,
        spec=spec,
        rootfs=rootfs,
        run_dir="/run/shoal/containers/a",
        bundle_dir="/data/containers/a",
        log=LogSink("none"),
        exit_file="/data/containers/a/exit.json",
        cgroup_path="/shoal/a",
        terminal=terminal,
        interfaces=() if interface is None else (interface,),
    )
