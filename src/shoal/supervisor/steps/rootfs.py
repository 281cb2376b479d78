"""Steps that make the container's root: propagation, the root mount, the change of root."""

from __future__ import annotations

import os

from shoal.errors import SyscallError
from shoal.linux.fd import Fd
from shoal.linux.libc import AT_FDCWD, AT_RECURSIVE
from shoal.linux.mounts import (
    MS_SLAVE,
    OPEN_TREE_CLONE,
    bind_mount,
    clone_tree,
    make_readonly,
    open_tree,
    set_propagation,
)
from shoal.linux.namespaces import CLONE_NEWNS, namespace_fd, setns
from shoal.linux.overlay import SELF_CONTAINED, mount_overlay
from shoal.linux.rootfs import open_in_root, pivot_into
from shoal.supervisor.steps.step import Step

TYPE_CHECKING = False
if TYPE_CHECKING:
    from shoal.supervisor.steps.context import Context


# Among the namespaces that a child is given: where the host's mounts are.
HOST_MOUNTS = "host-mounts"


class TakeTree(Step):
    """Takes a copy of the host's mount tree at a path for a later `shared` bind mount.

    Before the propagation of "/" is cut, because a copy taken later would no longer be a peer of the host's
    mount, and nothing that the container mounts there would reach the host.
    """

    name = "take-tree"
    __slots__ = ("recursive", "source", "target")

    def __init__(self, source: str, target: str, recursive: bool) -> None:
        self.source = source
        self.target = target
        self.recursive = recursive

    def describe(self) -> str:
        return f"take {self.source} while it is still shared with the host, for {self.target}"

    def run(self, ctx: Context) -> None:
        tree = open_tree(AT_FDCWD, self.source, OPEN_TREE_CLONE | (AT_RECURSIVE if self.recursive else 0))
        ctx.trees[self.target] = tree.detach()


class TakeTrees(Step):
    """Takes copies of mount trees from the host's mount namespace as it is now, for bind mounts.

    Ours may have been made long ago. Each bind is a source, a part of it or "", a target, and whether what is mounted
    below comes along; a part is looked up with the source as "/". Before the root is built, because going to the other
    namespace and back resets our root and directory. What cannot be taken is left to the bind mount, which finds it
    itself, or tells why not.
    """

    name = "take-trees"
    __slots__ = ("binds",)

    def __init__(self, binds: list[tuple[str, str, str, bool]]) -> None:
        self.binds = binds

    def describe(self) -> str:
        return "take from the host: " + ", ".join(
            f"{part} inside {source} for {target}" if part else f"{source} for {target}"
            for source, part, target, _ in self.binds
        )

    def run(self, ctx: Context) -> None:
        with namespace_fd("self", "mnt") as home:
            setns(ctx.joins[HOST_MOUNTS], CLONE_NEWNS)
            try:
                for source, part, target, recursive in self.binds:
                    try:
                        tree = _take(source, part, recursive=recursive)
                    except (OSError, SyscallError):
                        continue
                    ctx.trees[target] = tree.detach()
            finally:
                setns(home, CLONE_NEWNS)


class CutPropagation(Step):
    """Makes every mount a slave: what we mount stays here, what the host unmounts goes away here too."""

    name = "cut-propagation"
    __slots__ = ()

    def describe(self) -> str:
        return "make / a slave, recursively"

    def run(self, ctx: Context) -> None:
        set_propagation("/", MS_SLAVE, recursive=True)


class MountOverlayRoot(Step):
    """Mounts the container's root as an overlay on a directory of the host, in our mount namespace only."""

    name = "overlay-root"
    __slots__ = ("lower", "target", "upper", "work")

    def __init__(self, lower: list[str], upper: str, work: str, target: str) -> None:
        self.lower = lower
        self.upper = upper
        self.work = work
        self.target = target

    def describe(self) -> str:
        return f"overlay of {len(self.lower)} layers and {self.upper} on {self.target}"

    def run(self, ctx: Context) -> None:
        with _open_place(self.target) as place:
            root = mount_overlay(place, lower=self.lower, upper=self.upper, work=self.work, options=SELF_CONTAINED)
        ctx.root_fd = root.detach()


class BindRoot(Step):
    """Makes one directory the container's root; a mount of its own, because pivot_root wants one."""

    name = "bind-root"
    __slots__ = ("path", "target")

    def __init__(self, path: str, target: str) -> None:
        self.path = path
        self.target = target

    def describe(self) -> str:
        return f"bind {self.path} on {self.target}"

    def run(self, ctx: Context) -> None:
        with _open_place(self.target) as place:
            root = bind_mount(self.path, place, recursive=False, object=self.target)
        ctx.root_fd = root.detach()


class Pivot(Step):
    """Makes the container's root ours and lets go of the host's: from here on no path leads outside."""

    name = "pivot"
    __slots__ = ()

    def describe(self) -> str:
        return "pivot_root into the container's root, detach the old one"

    def run(self, ctx: Context) -> None:
        pivot_into(ctx.root_fd)


class ReadonlyRoot(Step):
    """Makes the root mount read-only, not what is mounted below it. After the last file was made in it."""

    name = "readonly-root"
    __slots__ = ()

    def describe(self) -> str:
        return "make / read-only"

    def run(self, ctx: Context) -> None:
        make_readonly(ctx.root_fd)


def _take(source: str, part: str, *, recursive: bool) -> Fd:
    if not part:
        return open_tree(AT_FDCWD, source, OPEN_TREE_CLONE | (AT_RECURSIVE if recursive else 0))
    with Fd(os.open(source, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)) as whole:
        with open_in_root(whole, part, os.O_PATH) as found:
            return clone_tree(found, source, recursive=recursive)


def _open_place(path: str) -> Fd:
    try:
        return Fd(os.open(path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC))
    except OSError as error:
        raise SyscallError("open", path, error.errno or 0) from None
