"""Names and errors of control groups where the tree itself is in the way."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from shoal.errors import SyscallError
from shoal.linux.cgroups.cgroup import make_directory, remove_tree

pytestmark = pytest.mark.root


def test_make_directory_under_a_file_is_enotdir(tmp_path: Path) -> None:
    """A tree that is none is told as a failed mkdir, not as a bare OSError."""
    (tmp_path / "file").touch()
    with pytest.raises(SyscallError) as caught:
        make_directory(str(tmp_path / "file" / "x"))
    assert (caught.value.syscall, caught.value.errno) == ("mkdir", errno.ENOTDIR)


def test_make_directory_makes_the_ones_above(tmp_path: Path) -> None:
    """A group deep down needs no preparation."""
    make_directory(str(tmp_path / "a" / "b" / "c"))
    assert (tmp_path / "a" / "b" / "c").is_dir()


def test_remove_tree_of_a_missing_group_is_quiet(tmp_path: Path) -> None:
    """Removing what is gone is done."""
    remove_tree(str(tmp_path / "missing"))
    assert os.listdir(tmp_path) == []
