"""Between clone and execve nothing may be imported: behind pivot_root the standard library is not there."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import shoal

pytestmark = pytest.mark.root

# A child with a container's usual set-up, in an interpreter as bare as the supervisor's.
SCRIPT = """
import sys
sys.path.insert(0, {source!r})
import os
from shoal.linux import capabilities, clone, devices, filesystems, mounts, namespaces, overlay, pidfd, prctl, pty
from shoal.linux import rlimits, rootfs
from shoal.linux.cgroups import detect
from shoal.linux.fd import Fd
layout = detect()
top = {top!r}
imported = []
pid, child = clone.clone3(namespaces.CLONE_NEWNS | namespaces.CLONE_NEWPID | namespaces.CLONE_NEWUTS)
if pid == 0:
    sys.addaudithook(lambda event, arguments: imported.append(arguments[0]) if event == "import" else None)
    try:
        mounts.set_propagation("/", mounts.MS_SLAVE, recursive=True)
        with Fd(os.open(top + "/mnt", os.O_PATH)) as target:
            root = overlay.mount_overlay(target, lower=[top + "/l"], upper=top + "/u", work=top + "/w")
        for fstype, path in (("proc", "/proc"), ("tmpfs", "/dev"), ("devpts", "/dev/pts"), ("sysfs", "/sys")):
            with rootfs.mkdir_in_root(root, path) as place:
                filesystems.mount_filesystem(fstype, place)
        devices.make_default_devices(root)
        devices.default_symlinks(root)
        with rootfs.create_file_in_root(root, "/etc/hosts") as place:
            mounts.bind_mount("/etc/hosts", place, readonly="recursive", propagation=mounts.MS_PRIVATE)
        rootfs.pivot_into(root)
        rootfs.mask_path("/proc/keys")
        rootfs.mask_path("/sys/firmware")
        rootfs.readonly_path("/proc/sys")
        pty.open_pty()
        rlimits.set_rlimit("RLIMIT_NOFILE", 10**6, 10**6)
        prctl.set_no_new_privs()
        try:
            rootfs.open_in_root(root, "/missing", os.O_RDONLY)
        except Exception as error:
            str(error), repr(error), error.why, error.fix
        try:
            rootfs.open_by_walk(root, "/missing/x", os.O_RDONLY)
        except Exception as error:
            str(error)
        capabilities.set_capabilities(1, 1, 1, 1, 1)
        os.write(1, ("imported: " + ",".join(imported)).encode())
    except BaseException as error:
        os.write(1, (type(error).__name__ + ": " + str(error)).encode())
    os._exit(0)
os.waitpid(pid, 0)
"""


def test_container_set_up_imports_nothing(tmp_path: Path) -> None:
    """An audit hook sees no import from clone to the last step, errors and their texts included."""
    for name in ("l", "u", "w", "mnt"):
        (tmp_path / name).mkdir()
    source = str(Path(shoal.__file__).parent.parent)
    script = SCRIPT.format(source=source, top=str(tmp_path))
    done = subprocess.run([sys.executable, "-SI", "-c", script], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("imported: ", "")
