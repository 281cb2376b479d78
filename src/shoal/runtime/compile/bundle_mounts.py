"""A bundle's mounts as steps, with every option that the specification names. Pure."""

from __future__ import annotations

from shoal.oci.runtime_spec import Mount
from shoal.runtime.compile.options import read_options
from shoal.supervisor.steps.bundle_mounts import BindTree, MountCopy
from shoal.supervisor.steps.mounts import MountFilesystem
from shoal.supervisor.steps.step import Step


def bundle_mount_step(mount: Mount) -> Step:
    """The step of any mount but a cgroup one."""
    words = read_options(mount.options)
    if mount.type == "bind" or "bind" in mount.options or "rbind" in mount.options:
        return BindTree(
            mount.source,
            mount.destination,
            recursive=words.recursive,
            attributes=(words.attributes, words.cleared),
            tree=(words.tree, words.tree_cleared),
            propagation=words.propagation,
            propagation_recursive=words.propagation_recursive,
        )
    attributes = words.attributes | words.tree
    if mount.type == "tmpfs" and words.copy_up:
        return MountCopy(mount.destination, options=list(words.data), attributes=attributes)
    return MountFilesystem(
        mount.type, mount.destination, source=mount.source, options=list(words.data), attributes=attributes
    )
