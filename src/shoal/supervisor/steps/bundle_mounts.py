"""Mounts as an OCI bundle may ask for them: binds with every attribute, and memory that starts as a copy.

Like those in `mounts`: every target is resolved inside the container's root and reached by descriptor.
"""

from __future__ import annotations

import os

from shoal.errors import SyscallError
from shoal.linux.copy_up import copy_directory
from shoal.linux.fd import Fd
from shoal.linux.filesystems import mount_filesystem
from shoal.linux.libc import AT_FDCWD, AT_RECURSIVE
from shoal.linux.mounts import (
    MOUNT_ATTR__ATIME,
    MOUNT_ATTR_RDONLY,
    OPEN_TREE_CLONE,
    make_readonly,
    mount_setattr,
    move_mount,
    open_tree,
)
from shoal.linux.rootfs import mkdir_in_root, open_in_root
from shoal.supervisor.steps.mounts import in_dockers_words, place_for
from shoal.supervisor.steps.step import Step

TYPE_CHECKING = False
if TYPE_CHECKING:
    from shoal.supervisor.steps.context import Context


class BindTree(Step):
    """Binds a file or directory of the host with attributes set and cleared, at its top and in the whole tree.

    `attributes` and `tree` are pairs (set, cleared) of MOUNT_ATTR_*. A tree that somebody took before (an idmapped or
    shared one) is in the context, under the target's name.
    """

    name = "bind-tree"
    __slots__ = ("attributes", "propagation", "propagation_recursive", "recursive", "source", "target", "tree")

    def __init__(
        self,
        source: str,
        target: str,
        *,
        recursive: bool,
        attributes: tuple[int, int] = (0, 0),
        tree: tuple[int, int] = (0, 0),
        propagation: int = 0,
        propagation_recursive: bool = False,
    ) -> None:
        self.source = source
        self.target = target
        self.recursive = recursive
        self.attributes = attributes
        self.tree = tree
        self.propagation = propagation
        self.propagation_recursive = propagation_recursive

    def describe(self) -> str:
        words = ["recursive"] if self.recursive else []
        pairs = (("", self.attributes), ("with all below ", self.tree))
        words += [f"{where}set {on:#x} clear {off:#x}" for where, (on, off) in pairs if on or off]
        words += [f"propagation {self.propagation:#x}"] if self.propagation else []
        return f"{self.source} on {self.target}" + (f" ({', '.join(words)})" if words else "")

    def run(self, ctx: Context) -> None:
        try:
            with place_for(ctx.root_fd, self.source, self.target) as place, self._tree(ctx) as tree:
                _change(tree, self.tree, recursive=True)
                _change(tree, self.attributes, recursive=False)
                if self.propagation:
                    mount_setattr(tree, propagation=self.propagation, recursive=self.propagation_recursive)
                move_mount(tree, place, object=self.target)
        except SyscallError as error:
            raise in_dockers_words(error, self.source, self.target) from None

    def _tree(self, ctx: Context) -> Fd:
        taken = ctx.trees.pop(self.target, -1)
        if taken >= 0:
            return Fd(taken)
        return open_tree(AT_FDCWD, self.source, OPEN_TREE_CLONE | (AT_RECURSIVE if self.recursive else 0))


def _change(tree: Fd, attributes: tuple[int, int], *, recursive: bool) -> None:
    on, off = attributes
    if on & MOUNT_ATTR__ATIME or off & MOUNT_ATTR__ATIME:
        off |= MOUNT_ATTR__ATIME  # the kernel wants the whole field cleared before another value
    if on or off:
        mount_setattr(tree, attr_set=on, attr_clr=off, recursive=recursive)


class MountCopy(Step):
    """Mounts a tmpfs that starts with what the image has at that place (`tmpcopyup`)."""

    name = "mount-copy"
    __slots__ = ("attributes", "options", "target")

    def __init__(self, target: str, *, options: list[str], attributes: int) -> None:
        self.target = target
        self.options = options
        self.attributes = attributes

    def describe(self) -> str:
        return f"tmpfs with a copy of what was there on {self.target}"

    def run(self, ctx: Context) -> None:
        writable = self.attributes & ~MOUNT_ATTR_RDONLY
        with mkdir_in_root(ctx.root_fd, self.target, 0o755) as place:
            # Opened for reading before the mount covers it.
            with open_in_root(ctx.root_fd, self.target, os.O_RDONLY | os.O_DIRECTORY) as covered:
                made = mount_filesystem("tmpfs", place, options=self.options, attrs=writable, object=self.target)
                with made:
                    copy_directory(covered.fileno(), made.fileno())
                    if self.attributes & MOUNT_ATTR_RDONLY:
                        make_readonly(made)
