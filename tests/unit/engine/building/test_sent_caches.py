"""Caches that clients have sent, and that no build asks for."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from shoal.engine.building.cache_layout import SentCaches
from shoal.errors import NotFound
from shoal.image.archive_files import ArchiveFiles


def _files(path: Path) -> ArchiveFiles:
    return ArchiveFiles(os.open(path, os.O_RDWR | os.O_CREAT))


def test_sent_cache_nobody_takes_goes(tmp_path: Path) -> None:
    """After its time its spool is closed, and its token is unknown."""

    async def run() -> None:
        sent = SentCaches(kept_s=0)
        files = _files(tmp_path / "spool")
        token = sent.add(files)
        await asyncio.sleep(0.01)
        with pytest.raises(NotFound):
            sent.take(token)
        with pytest.raises(OSError, match="Bad file descriptor"):
            files.close()

    asyncio.run(run())


def test_sent_cache_taken_is_the_takers(tmp_path: Path) -> None:
    """A layout that a build has stays open beyond its time."""

    async def run() -> None:
        sent = SentCaches(kept_s=0)
        files = sent.take(sent.add(_files(tmp_path / "spool")))
        await asyncio.sleep(0.01)
        files.close()

    asyncio.run(run())
