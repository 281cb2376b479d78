"""shoald on a disk that fills up, and on one that overlayfs cannot use."""

from __future__ import annotations

import io
import json
import os
import shlex
import tarfile
from collections.abc import Iterator

import pytest

from tests.engines.shoald import Shoald
from tests.kernel.image.archives import docker_archive
from tests.kernel.image.trees import directory, file, layer

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


def test_disk_too_small_for_a_load_keeps_the_store_consistent(small: _OnSmallDisk) -> None:
    """The archive, or what it unpacks to, does not fit: told, nothing is left, and a check finds nothing wrong.

    Even a repair that finds no room for the new tree leaves the layer as it is.
    """
    before = small.ok("system", "df", "--format", "{{.Size}}")
    big = layer(*(file(f"f{number}", os.urandom(100_000)) for number in range(130)))
    for name, form in (("plain:1", ""), ("zipped:1", "+gzip")):
        done = small.docker_bytes("load", input=docker_archive(([name], (big,)), form=form), timeout_s=30)
        assert done.returncode == 1
        assert b"no space left on device" in done.stderr
    assert small.ok("system", "df", "--format", "{{.Size}}") == before
    assert [step for step in _checked(small) if "Cause" in step] == []
    half = layer(directory("d"), *(file(f"d/{number}", os.urandom(100_000)) for number in range(45)))
    assert small.docker_bytes("import", "-", "half:1", input=half, timeout_s=30).returncode == 0
    inside = f"/proc/{small.pid}/root{small.data_root}/layers"
    (tree,) = [entry.path for entry in os.scandir(inside) if os.path.isdir(f"{entry.path}/diff/d")]
    os.chmod(f"{tree}/diff/d", 0o700)
    with open(f"{inside}/../filler", "xb") as filler:
        filler.write(bytes(3_000_000))
    (found,) = [step for step in _checked(small) if "Cause" in step]
    assert (found["Cause"], found["Mended"]) == ("layer-altered", False)
    assert "can't be made anew: " in str(found["Sentence"])
    assert "no space left on device" in str(found["Sentence"])
    assert small.ok("images", "-q", "half:1")


def _checked(engine: _OnSmallDisk) -> list[dict[str, object]]:
    answer = engine.request("POST", "/system/fsck?repair=1")
    return [json.loads(line) for line in answer.body.splitlines()]


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
