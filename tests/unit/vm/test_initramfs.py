"""The first file system of a guest, as another program reads it."""

from __future__ import annotations

import io
import shutil
import subprocess
from pathlib import Path

import pytest

from shoal.runtime.vm.cpio import Archive
from tests.vm.initramfs import write_boot_archive


def entries(archive: bytes) -> dict[str, tuple[int, bytes]]:
    """name -> (mode, content) of an archive in the newc form."""
    found: dict[str, tuple[int, bytes]] = {}
    at = 0
    while True:
        assert archive[at : at + 6] == b"070701"
        fields = [int(archive[at + 6 + 8 * n : at + 14 + 8 * n], 16) for n in range(13)]
        mode, size, name_size = fields[1], fields[6], fields[11]
        name = archive[at + 110 : at + 110 + name_size - 1].decode()
        start = (at + 110 + name_size + 3) & ~3
        if name == "TRAILER!!!":
            return found
        found[name] = (mode, archive[start : start + size])
        at = (start + size + 3) & ~3


def test_archive_entries_keep_name_mode_and_content() -> None:
    """Names and contents of every length stay aligned, so that each next entry is found."""
    out = io.BytesIO()
    archive = Archive(out)
    archive.directory("d")
    for length in range(5):
        archive.file("f" * (length + 1), b"x" * length, 0o640)
    archive.symlink("link", "d/target")
    archive.close()
    found = entries(out.getvalue())
    assert found["d"] == (0o40755, b"")
    assert [found["f" * (n + 1)] for n in range(5)] == [(0o100640, b"x" * n) for n in range(5)]
    assert found["link"] == (0o120777, b"d/target")


@pytest.mark.skipif(shutil.which("busybox") is None, reason="no busybox to read the archive with")
def test_archive_is_one_to_busybox(tmp_path: Path) -> None:
    """A second reader agrees on the form."""
    out = io.BytesIO()
    archive = Archive(out)
    archive.directory("bin")
    archive.file("bin/a", b"hello", 0o755)
    archive.close()
    subprocess.run(["busybox", "cpio", "-i"], input=out.getvalue(), cwd=tmp_path, check=True, capture_output=True)
    assert (tmp_path / "bin/a").read_bytes() == b"hello"


def test_boot_archive_loads_the_modules_in_their_order(tmp_path: Path) -> None:
    """What a module needs is loaded before it."""
    files = [tmp_path / name for name in ("virtio.ko", "virtio_pci.ko")]
    for path in (*files, tmp_path / "busybox"):
        path.write_bytes(path.name.encode())
    out = io.BytesIO()
    write_boot_archive(out, files, busybox=tmp_path / "busybox")
    found = entries(out.getvalue())
    assert b"for module in virtio.ko virtio_pci.ko; do" in found["init"][1]
    assert found["modules/virtio_pci.ko"][1] == b"virtio_pci.ko"
    assert found["bin/busybox"][0] == 0o100755
