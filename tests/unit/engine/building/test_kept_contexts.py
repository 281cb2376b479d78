"""Contexts of builds that are kept."""

from __future__ import annotations

import io
import shutil
import tarfile
from pathlib import Path

import pytest

from shoal.engine.building.kept_contexts import KeptContexts
from shoal.errors import Conflict
from shoal.image import archive_files


class _Trash:
    def discard(self, path: str) -> None:
        """Nothing of it stays."""
        shutil.rmtree(path)


def _keep(contexts: KeptContexts) -> str:
    id = contexts.take("new")
    files = contexts.open(id, "")
    assert files is not None
    token = contexts.keep(id, files)
    files.close()
    contexts.give_back(id)
    return token


def test_contexts_of_another_boot_go_at_start(tmp_path: Path) -> None:
    """What was kept before the machine came up can't be used: it goes, while that of this boot stays."""
    old = _keep(KeptContexts(tmp_path, "one", _Trash()))
    assert KeptContexts(tmp_path, "one", _Trash()).has(old)
    contexts = KeptContexts(tmp_path, "two", _Trash())
    assert contexts.all() == []
    assert KeptContexts(tmp_path, "two", _Trash()).has(_keep(contexts))


def test_receive_too_many_removals_is_a_conflict(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A client that is told of a conflict sends its context as a whole."""
    monkeypatch.setattr(archive_files, "_REMOVALS_MAX", 3)
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        info = tarfile.TarInfo("gone")
        info.size = 4
        tar.addfile(info, io.BytesIO(b"a\0bc"))
    files = archive_files.ArchiveFiles.received(iter(()), str(tmp_path / "spool"))
    try:
        with pytest.raises(Conflict):
            files.receive(iter((out.getvalue(),)), removals=b"gone")
    finally:
        files.close()
