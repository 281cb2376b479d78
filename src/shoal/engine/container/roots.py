"""The root file systems of containers as descriptors, whether they run or not.

    running   what its first process sees: /proc/PID/root, with all that is mounted there
    stopped   the snapshot and the container's binds, mounted in the mount namespace of one thread, which ends with it

Nothing shows in the host's mount table. Blocks: for threads.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Container, Sequence

from shoal.engine.container.container_volumes import ContainerVolumes
from shoal.engine.container.record import ContainerRecord
from shoal.engine.paths import Paths
from shoal.engine.specgen.binds import requested_mounts
from shoal.engine.specgen.requested import RequestedMount
from shoal.errors import Internal, SyscallError
from shoal.linux.fd import Fd
from shoal.linux.layers import mount_layers
from shoal.linux.mounts import bind_mount, make_readonly
from shoal.linux.overlay import SELF_CONTAINED, mount_overlay
from shoal.linux.private_mounts import bare_root_of_process, in_private_mounts, root_of_process
from shoal.linux.procfs import mounted_devices
from shoal.linux.rootfs import create_file_in_root, mkdir_in_root, open_in_root
from shoal.oci.rootfs import OverlayRootfs, Rootfs

# What the kernel makes up while it is read: no content to copy, as with Docker, which does not see it at all.
_KERNEL_TYPES = frozenset(
    ("proc", "sysfs", "cgroup", "cgroup2", "devpts", "mqueue", "tracefs", "debugfs", "securityfs", "bpf", "fusectl")
)


class ContainerRoots:
    """Opens roots. `mount_point` is an empty directory of the daemon."""

    def __init__(self, paths: Paths, volumes: ContainerVolumes, mount_point: str) -> None:
        self._paths = paths
        self._volumes = volumes
        self._mount_point = mount_point

    def running(self, record: ContainerRecord, *, bare: bool) -> Fd | None:
        """The root of a running container; `bare`: without what is mounted below it. None: it has ended just now.

        Raises: SyscallError.
        """
        find = bare_root_of_process if bare else root_of_process
        return find(record.state.pid, record.state.start_ticks)

    def system_devices(self, record: ContainerRecord) -> Container[int]:
        """The devices of a running container's file systems that hold no files of anybody: /proc, /sys, /dev."""
        return mounted_devices(record.state.pid, _KERNEL_TYPES, ("/dev",)) if record.is_running else ()

    def with_stopped(
        self, record: ContainerRecord, work: Callable[[Fd], None], binds: Sequence[RequestedMount] | None
    ) -> None:
        """Calls `work` with the root of a container that does not run, and must not begin to meanwhile.

        Without `binds` it is the bare root, writable. Raises: what `work` raises; Internal, SyscallError.
        """

        def mounted(place: Fd) -> None:
            with _mount_root(record.rootfs, place) as root:
                for bind in binds or ():
                    _attach(root, bind)
                if record.host_config.readonly_rootfs and binds is not None:
                    # After the binds, whose places may have to be made.
                    make_readonly(root)
                work(root)

        in_private_mounts(self._mount_point, mounted)

    def binds(self, record: ContainerRecord) -> Sequence[RequestedMount]:
        """What of the host a stopped container would see, parents first: its binds, its volumes, its files in /etc.

        Called on the event loop. Raises: Internal when a volume is gone.
        """
        asked = [mount for mount in requested_mounts(record.host_config) if mount.kind == "bind"]
        asked += [mount for mount in self._volumes.mounts(record) if mount.kind != "tmpfs"]
        taken = {mount.target for mount in asked}
        files = {
            "/etc/hosts": self._paths.hosts_file(record.id),
            "/etc/hostname": self._paths.hostname_file(record.id),
            "/etc/resolv.conf": self._paths.resolv_conf_file(record.id),
        }
        own = [
            RequestedMount(kind="bind", source=str(path), target=target)
            for target, path in files.items()
            if target not in taken
        ]
        return sorted([*asked, *own], key=lambda mount: (mount.target.count("/"), mount.target))


def _mount_root(rootfs: Rootfs, place: Fd) -> Fd:
    if isinstance(rootfs, OverlayRootfs):
        return mount_overlay(place, lower=rootfs.lower, upper=rootfs.upper, work=rootfs.work, options=SELF_CONTAINED)
    return bind_mount(rootfs.path, place, recursive=False)


def _attach(root: Fd, mount: RequestedMount) -> None:
    """Bind one source into the root; one that is gone from the host is left out, as there is nothing to see."""
    try:
        if mount.kind == "image":
            mount_layers(root, mount.target, list(mount.layers), mount.subpath)
            return
        with _source(mount) as source:
            make = mkdir_in_root if stat.S_ISDIR(os.fstat(source.fileno()).st_mode) else create_file_in_root
            with make(root, mount.target) as place:
                bind_mount(
                    source, place, recursive=mount.recursive, readonly=mount.read_only, object=mount.target
                ).close()
    except FileNotFoundError:
        return
    except SyscallError as error:
        raise Internal(f"cannot mount {mount.source} at {mount.target} of the container", why=str(error)) from error


def _source(mount: RequestedMount) -> Fd:
    """What is to be mounted; a part of a volume is looked up inside it. Raises: FileNotFoundError, SyscallError."""
    source = Fd(os.open(mount.source, os.O_PATH | os.O_CLOEXEC))
    if not mount.subpath:
        return source
    with source:
        return open_in_root(source, mount.subpath, os.O_PATH)
