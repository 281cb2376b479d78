"""Directories put aside and deleted later."""

from __future__ import annotations

from pathlib import Path

from shoal.engine.trash import Trash


def test_put_directory_is_gone_at_once_and_deleted_by_purge(tmp_path: Path) -> None:
    """What is put into the trash is out of the way, and `purge` frees the space."""
    trash = Trash(tmp_path / "deep" / "trash")
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_text("x")
        trash.put(tmp_path / name)
        assert not (tmp_path / name).exists()
    assert len(list((tmp_path / "deep" / "trash").iterdir())) == 2
    trash.purge()
    assert list((tmp_path / "deep" / "trash").iterdir()) == []


def test_put_missing_directory_is_no_error(tmp_path: Path) -> None:
    """A removal that was cut short can be repeated."""
    Trash(tmp_path / "trash").put(tmp_path / "gone")


def test_purge_without_trash_does_nothing(tmp_path: Path) -> None:
    """A fresh data root has no trash."""
    Trash(tmp_path / "trash").purge()
    assert list(tmp_path.iterdir()) == []
