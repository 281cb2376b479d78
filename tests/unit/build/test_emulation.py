"""Commands for other processors: natively, by an emulator, or refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from shoal.build.emulation import check_runs
from shoal.errors import Unsupported
from shoal.oci.platform import Platform

AMD64, ARM64 = Platform("linux", "amd64"), Platform("linux", "arm64")


def test_commands_of_the_machine_run(tmp_path: Path) -> None:
    """Its own, and those of the smaller processor that it is, too."""
    check_runs(AMD64, AMD64, str(tmp_path))
    check_runs(AMD64, Platform("linux", "386"), str(tmp_path))


def test_commands_of_others_need_an_emulator(tmp_path: Path) -> None:
    """Without one they are refused with what to install; with one they run."""
    with pytest.raises(Unsupported) as problem:
        check_runs(AMD64, ARM64, str(tmp_path))
    assert problem.value.what == "commands for linux/arm64 can't run on linux/amd64"
    (tmp_path / "qemu-aarch64").touch()
    check_runs(AMD64, ARM64, str(tmp_path))
