"""Steps about what a container may see and write of /proc and /sys. After the change of root."""

from __future__ import annotations

from shoal.linux.rootfs import mask_path, readonly_path
from shoal.linux.sysctl import write_sysctl
from shoal.supervisor.steps.step import Step

TYPE_CHECKING = False
if TYPE_CHECKING:
    from shoal.supervisor.steps.context import Context


class SetSysctls(Step):
    """Sets kernel parameters of the container's own namespaces. Before /proc/sys becomes read-only."""

    name = "sysctl"
    __slots__ = ("values",)

    def __init__(self, values: dict[str, str]) -> None:
        self.values = values

    def describe(self) -> str:
        return ", ".join(f"{name}={value}" for name, value in self.values.items())

    def run(self, ctx: Context) -> None:
        for name, value in self.values.items():
            write_sysctl(name, value)


class ReadonlyPaths(Step):
    """Makes paths read-only; one that this kernel does not have is passed over."""

    name = "readonly-paths"
    __slots__ = ("paths",)

    def __init__(self, paths: list[str]) -> None:
        self.paths = paths

    def describe(self) -> str:
        return ", ".join(self.paths)

    def run(self, ctx: Context) -> None:
        for path in self.paths:
            readonly_path(path)


class MaskPaths(Step):
    """Hides paths; one that this kernel does not have is passed over."""

    name = "mask-paths"
    __slots__ = ("paths",)

    def __init__(self, paths: list[str]) -> None:
        self.paths = paths

    def describe(self) -> str:
        return ", ".join(self.paths)

    def run(self, ctx: Context) -> None:
        empty = None
        for path in self.paths:
            made = mask_path(path, like=empty)
            empty = empty or made
