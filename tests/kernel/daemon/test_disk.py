"""shoald on a disk that fills up, and on one that overlayfs cannot use."""

from __future__ import annotations

import io
import os
import shlex
import tarfile
from collections.abc import Iterator

import pytest

from tests.engines.shoald import Shoald

pytestmark = [pytest.mark.root, pytest.mark.usefixtures("cli")]


class _OnSmallDisk(Shoald):
    """A shoald whose data root is a tmpfs of 12 MiB, in a mount namespace of its own."""

    def command(self) -> list[str]:
        """The daemon, behind the mount; the process id stays the same."""
        mount = f"mkdir -p {self.data_root} && mount -t tmpfs -o size=12m tmpfs {self.data_root}"
        return ["unshare", "--mount", "sh", "-c", f"{mount} && exec {shlex.join(super().command())}"]


@pytest.fixture
def small() -> Iterator[_OnSmallDisk]:
    """An engine on a small disk, with the busybox image."""
    engine = _OnSmallDisk()
    try:
        engine.start()
        engine.import_busybox()
        yield engine
    finally:
        engine.close()


def test_disk_filled_by_a_container_that_ends_is_noted_and_freed(small: _OnSmallDisk) -> None:
    """A container that fills the disk ends with its code, its removal frees the space, and the next one runs."""
    script = "dd if=/dev/zero of=/f bs=1M count=50 2>/dev/null; exit 5"
    assert small.docker("run", "--rm", "busybox", "sh", "-c", script, timeout_s=20).returncode == 5
    assert small.ok("run", "--rm", "busybox", "echo", "on", timeout_s=20) == "on"


def test_disk_filled_by_a_running_container_lets_others_live(small: _OnSmallDisk) -> None:
    """While the disk is full, containers are listed, started and removed; afterwards all is as before."""
    script = "dd if=/dev/zero of=/f bs=1k count=50000 2>/dev/null; echo full >/dev/null; sleep 1000"
    small.ok("run", "-d", "--name", "filler", "busybox", "sh", "-c", script)
    small.ok(
        "exec",
        "filler",
        "sh",
        "-c",
        "until [ $(df -k / | tail -n 1 | awk '{print $4}') = 0 ]; do :; done",
        timeout_s=20,
    )
    assert small.ok("ps", "--format", "{{.Names}}", timeout_s=20) == "filler"
    small.ok("rm", "-f", "filler", timeout_s=20)
    assert small.ok("run", "--rm", "busybox", "echo", "on", timeout_s=20) == "on"


def test_disk_too_small_for_an_import_is_told_and_nothing_is_left(small: _OnSmallDisk) -> None:
    """An image that does not fit is refused with the reason, and takes no room."""
    before = small.ok("system", "df", "--format", "{{.Size}}")
    archive = small.directory / "big.tar"
    with tarfile.open(archive, "w") as tar:
        member = tarfile.TarInfo("big")
        member.size = 30 << 20
        tar.addfile(member, io.BytesIO(os.urandom(member.size)))
    done = small.docker("import", str(archive), "big", timeout_s=30)
    assert done.returncode == 1
    assert "no space left on device" in done.stderr
    assert small.ok("images", "-q", "big") == ""
    assert small.ok("system", "df", "--format", "{{.Size}}") == before


def test_storage_driver_vfs_runs_containers_apart() -> None:
    """Without overlayfs every container has a copy of its own."""
    engine = Shoald("--storage-driver", "vfs")
    try:
        engine.start()
        engine.import_busybox()
        assert engine.ok("info", "--format", "{{.Driver}}") == "vfs"
        engine.ok("run", "--name", "one", "busybox", "sh", "-c", "echo changed > /etc/passwd; rm /bin/vi")
        assert engine.ok("run", "--rm", "busybox", "sh", "-c", "ls /bin/vi; head -c 4 /etc/passwd") == "/bin/vi\nroot"
        engine.ok("start", "one")
        engine.ok("rm", "-f", "one")
    finally:
        engine.close()
