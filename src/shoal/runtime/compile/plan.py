"""What compiling yields: the steps, and what the supervisor does around them. Pure data, used in shoald.

Named tuples and not dataclasses, as in all of this package: an OCI runtime loads it for each call, and `dataclasses`
takes longer to import than a plan to compile.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    from shoal.linux.cgroups import Layout
    from shoal.oci.runtime_spec import Seccomp
    from shoal.supervisor.steps.step import Step


class Hierarchy(NamedTuple):
    """One mounted cgroup hierarchy: `name` is its directory in the container's /sys/fs/cgroup.

    `mount_point` is where the host has it ("/sys/fs/cgroup/cpu,cpuacct"); `aliases` are further names that
    the host has for it ("cpu", "cpuacct").
    """

    name: str
    mount_point: str
    aliases: tuple[str, ...] = ()


def hierarchies_of(cgroups: Layout) -> tuple[Hierarchy, ...]:
    """What a container's /sys/fs/cgroup is made of on a machine with this layout."""
    if cgroups.version == "v2":
        return (Hierarchy(name="", mount_point=cgroups.unified or "/sys/fs/cgroup"),)
    found = []
    for mount_point, controllers in cgroups.mounts.items():
        name = mount_point.rpartition("/")[2]
        found.append(Hierarchy(name, mount_point, tuple(c for c in controllers if c != name and "=" not in c)))
    if cgroups.unified:
        found.append(Hierarchy("unified", cgroups.unified))
    return tuple(found)


class HostFacts(NamedTuple):
    """What compiling needs to know about this machine, found out once by whoever composes.

    `rootfs_mount_point` is an empty directory (EXEC_ROOT/rootfs) on which every container mounts its root, each
    in its own mount namespace. `hierarchies` are the v1 ones and, in the hybrid layout, "unified"; with v2
    the single one, named "". `mount_namespace` is where the sources of the request's binds are looked up, "" for where
    the child is: one that was cloned ahead does not see what was mounted on the host meanwhile, unless the host's
    root is a shared mount. `compile_filter` turns a seccomp profile into BPF (linux/seccomp_compile, cached).
    """

    rootfs_mount_point: str
    cgroup_version: Literal["v1", "v2"]
    hierarchies: tuple[Hierarchy, ...]
    last_capability: int
    compile_filter: Callable[[Seccomp], bytes]
    mount_namespace: str = ""


class Plan(NamedTuple):
    """How one process comes to be.

    `clone_flags` are the new namespaces but the cgroup one, which the child unshares itself once it is in its
    cgroup (clone3(2) would take the parent's cgroup as its root). `joins` are (kind, path) of the namespaces to
    enter instead, kinds as in /proc/PID/ns: the driver opens them and passes the descriptors in `joins` of the
    steps' context, but for "pid", which the supervisor enters around the clone. "process" is the pidfd of an
    exec's container. `resources` is the specification's linux.resources as plain data.
    """

    steps: tuple[Step, ...]
    clone_flags: int
    cgroup_path: str
    joins: tuple[tuple[str, str], ...] = ()
    resources: Mapping[str, object] = {}

    def to_wire(self) -> list[tuple[str, dict[str, object]]]:
        """The steps as data for `marshal`, in order."""
        return [step.to_wire() for step in self.steps]

    def describe(self) -> list[str]:
        """One line a step, for `--debug` and for tests."""
        return [f"{step.name}: {step.describe()}" for step in self.steps]
