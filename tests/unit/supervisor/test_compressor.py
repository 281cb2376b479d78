"""What becomes of rotated files: compressed beside the loop, and given back a piece at a time."""

from __future__ import annotations

import gzip
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from shoal.logs import gzip_filter
from shoal.supervisor.compressor import Compressor
from shoal.supervisor.disposal import Disposal
from shoal.supervisor.loop import Loop


@pytest.fixture
def loop() -> Iterator[Loop]:
    """A loop that ends by itself when something went wrong."""
    loop = Loop()
    loop.call_later(20, loop.stop)
    yield loop
    loop.close()


def until(loop: Loop, is_done: object) -> None:
    """Runs the loop until a condition holds."""

    def look() -> None:
        if is_done():  # type: ignore[operator]
            loop.stop()
        else:
            loop.call_later(0.01, look)

    look()
    loop.run()


def test_compressor_takes_one_file_after_the_other(loop: Loop, tmp_path: Path) -> None:
    """The newest first; each original goes when its compressed one is there."""
    contents = {number: os.urandom(1000) + b"x" * 100_000 for number in (1, 2)}
    for number, data in contents.items():
        (tmp_path / f"log.{number}").write_bytes(data)
    compressor = Compressor(loop, str(tmp_path / "log"), 5, gzip_filter.__file__)
    compressor.rotated()
    until(loop, lambda: sorted(os.listdir(tmp_path)) == ["log.1.gz", "log.2.gz"])
    for number, data in contents.items():
        assert gzip.decompress((tmp_path / f"log.{number}.gz").read_bytes()) == data


def test_compressor_follows_a_file_that_moves_on(loop: Loop, tmp_path: Path) -> None:
    """Rotated while it is compressed, a file gets its new number."""
    (tmp_path / "log.1").write_bytes(b"old" * 1000)
    (tmp_path / "log.compressing").write_bytes(b"left by one that was killed")
    compressor = Compressor(loop, str(tmp_path / "log"), 5, gzip_filter.__file__)
    compressor.rotated()
    os.rename(tmp_path / "log.1", tmp_path / "log.2")
    (tmp_path / "log.1").write_bytes(b"new" * 1000)
    compressor.rotated()
    until(loop, lambda: sorted(os.listdir(tmp_path)) == ["log.1.gz", "log.2.gz"])
    assert gzip.decompress((tmp_path / "log.2.gz").read_bytes()) == b"old" * 1000


def test_compressor_stopped_leaves_the_original(loop: Loop, tmp_path: Path) -> None:
    """A container that ends does not wait; nothing half is left."""
    (tmp_path / "log.1").write_bytes(os.urandom(1 << 22))
    compressor = Compressor(loop, str(tmp_path / "log"), 5, gzip_filter.__file__)
    compressor.rotated()
    compressor.stop()
    loop.call_later(0.2, loop.stop)
    loop.run()
    assert os.listdir(tmp_path) == ["log.1"]


def test_compressor_filter_that_fails_leaves_the_original(loop: Loop, tmp_path: Path) -> None:
    """What has no whole end is thrown away."""
    (tmp_path / "log.1").write_bytes(b"data" * 1000)
    Compressor(loop, str(tmp_path / "log"), 5, "/no/such/script").rotated()
    until(loop, lambda: os.listdir(tmp_path) == ["log.1"])


def test_disposal_frees_a_file_step_by_step(loop: Loop, tmp_path: Path) -> None:
    """The name goes at once, the space with the loop in between."""
    path = tmp_path / "old"
    path.write_bytes(b"x" * (3 << 20))
    disposal = Disposal(loop)
    before = len(os.listdir("/proc/self/fd"))
    disposal.remove(str(path))
    assert not path.exists()
    disposal.remove(str(path))
    until(loop, lambda: len(os.listdir("/proc/self/fd")) <= before)
    disposal.close()


def test_disposal_leaves_a_file_that_is_read_whole(loop: Loop, tmp_path: Path) -> None:
    """Who has it open reads it to its end."""
    path = tmp_path / "old"
    path.write_bytes(b"x" * (3 << 20))
    with path.open("rb") as reader:
        disposal = Disposal(loop)
        disposal.remove(str(path))
        loop.call_later(0.05, loop.stop)
        loop.run()
        assert len(reader.read()) == 3 << 20
        disposal.close()
