"""What the first process of a container does between clone and exec, step by step.

`STEPS` finds the class of a step that came over the wire. All modules are imported with this one, in the
supervisor, before any child exists.
"""

from __future__ import annotations

from shoal.supervisor.steps import (
    cgroup,
    devices,
    execute,
    machine,
    mounts,
    namespaces,
    network,
    paths,
    process,
    rights,
    rootfs,
)
from shoal.supervisor.steps.step import Step

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

STEPS: dict[str, type[Step]] = {
    step.name: step
    for step in (
        cgroup.MountCgroupV1,
        cgroup.MountCgroupV2,
        devices.MakeDevices,
        devices.OpenConsole,
        devices.TakeStdio,
        execute.Execute,
        execute.FindProgram,
        machine.JoinMachine,
        machine.RunMachine,
        mounts.BindMount,
        mounts.BindSubpath,
        mounts.MountImage,
        mounts.MountFilesystem,
        mounts.ShareTree,
        namespaces.JoinNamespaces,
        namespaces.JoinProcess,
        namespaces.SetHostname,
        namespaces.UnshareCgroup,
        network.ConfigureInterface,
        network.WaitBarrier,
        paths.MaskPaths,
        paths.ReadonlyPaths,
        paths.SetSysctls,
        process.ChangeDirectory,
        process.MakeWorkingDirectory,
        process.SetOomScore,
        process.SetRlimits,
        process.SetUmask,
        rights.ConfineByApparmor,
        rights.DropBounding,
        rights.InstallSeccomp,
        rights.LookUpUser,
        rights.NewKeyring,
        rights.NoNewPrivileges,
        rights.SetCapabilities,
        rights.SwitchUser,
        rootfs.BindRoot,
        rootfs.CutPropagation,
        rootfs.MountOverlayRoot,
        rootfs.Pivot,
        rootfs.ReadonlyRoot,
        rootfs.TakeTree,
        rootfs.TakeTrees,
    )
}


def steps_from_wire(wire: Iterable[tuple[str, dict[str, Any]]]) -> list[Step]:
    """The steps of a plan that came as data. Raises: KeyError for a name that this version does not know."""
    return [STEPS[name].from_wire(arguments) for name, arguments in wire]
