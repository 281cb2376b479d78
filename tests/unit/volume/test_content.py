"""Filling a volume: whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from shoal.volume.content import fill


def _write(fd: int) -> None:
    os.close(os.open("file", os.O_CREAT | os.O_WRONLY, dir_fd=fd))


def _fail(fd: int) -> None:
    _write(fd)
    raise OSError("no more")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """An empty volume's directory."""
    (tmp_path / "_data").mkdir()
    return tmp_path / "_data"


@pytest.mark.parametrize("in_place", [False, True])
def test_fill_puts_the_content_into_the_directory(data: Path, *, in_place: bool) -> None:
    """Either way it is there, and nothing beside it."""
    fill(data, _write, in_place=in_place)
    assert os.listdir(data) == ["file"]
    assert os.listdir(data.parent) == ["_data"]


def test_fill_in_place_keeps_the_directory_that_others_have(data: Path) -> None:
    """A container that has it mounted sees the content; the other way, a new directory takes its place."""
    before = data.stat().st_ino
    fill(data, _write, in_place=True)
    assert data.stat().st_ino == before


def test_fill_that_fails_leaves_the_directory_empty(data: Path) -> None:
    """A full disk in the middle leaves no half."""
    with pytest.raises(OSError, match="no more"):
        fill(data, _fail, in_place=False)
    assert os.listdir(data) == []
    assert os.listdir(data.parent) == ["_data"]


def test_fill_of_what_is_full_by_now_changes_nothing(data: Path) -> None:
    """Another container wrote meanwhile: its content stays."""

    def race(fd: int) -> None:
        _write(fd)
        (data / "other").touch()

    fill(data, race, in_place=False)
    assert os.listdir(data) == ["other"]
    assert os.listdir(data.parent) == ["_data"]
