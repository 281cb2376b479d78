"""The root file system of busybox."""

from __future__ import annotations

import io
import shutil
import sys
import tarfile
from pathlib import Path

import pytest

from shoal.cli.bootstrap.busybox import busybox_tar
from shoal.errors import Unavailable


def test_busybox_tar_names_every_applet() -> None:
    """A shell, its tools, and the directories that a container needs."""
    with tarfile.open(fileobj=io.BytesIO(busybox_tar(shutil.which("busybox") or ""))) as tar:
        names = set(tar.getnames())
        assert {"bin/busybox", "bin/sh", "bin/sleep", "proc", "sys", "dev", "etc/passwd"} <= names
        assert tar.getmember("bin/sh").linkname == "busybox"


def test_busybox_tar_without_busybox_says_what_to_install() -> None:
    """A program that is missing."""
    with pytest.raises(Unavailable) as caught:
        busybox_tar("/nowhere/busybox")
    assert caught.value.fix == "apt-get install -y busybox-static"


def test_busybox_tar_of_a_program_with_libraries_is_refused(tmp_path: Path) -> None:
    """It would not start in its image; any dynamically linked program stands in for it."""
    stand_in = tmp_path / "busybox"
    shutil.copy(shutil.which("true") or sys.executable, stand_in)
    with pytest.raises(Unavailable, match="shared libraries"):
        busybox_tar(str(stand_in))
