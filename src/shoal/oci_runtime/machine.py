"""What compiling a bundle needs to know of this machine, and the compiler of its seccomp filters."""

from __future__ import annotations

from shoal.linux.cgroups import Layout
from shoal.oci.runtime_spec import Seccomp, seccomp_json
from shoal.runtime.compile.plan import HostFacts, hierarchies_of

# Beside the containers' directories, under a name that no container can have.
_FILTERS = "@seccomp"


def host_facts(root: str, cgroups: Layout) -> HostFacts:
    """The facts; filters are kept below `root`, so that each profile is compiled once."""

    def compile_filter(profile: Seccomp) -> bytes:
        # Late, because libseccomp and what it takes is for containers with a filter only.
        from shoal.linux.seccomp_compile import FilterCache

        return FilterCache(f"{root}/{_FILTERS}").program(seccomp_json(profile))

    return HostFacts(
        rootfs_mount_point="",
        cgroup_version="v2" if cgroups.version == "v2" else "v1",
        hierarchies=hierarchies_of(cgroups),
        last_capability=0,
        compile_filter=compile_filter,
    )


def cgroup_path(given: str, id: str) -> str:
    """The container's control group: `cgroupsPath` from the top of each hierarchy; by its id where it has none."""
    return "/" + (given or f"shoal-runtime-{id}").strip("/")
