"""Which templates there are, when one is made, and when one is of no use any more."""

from __future__ import annotations

import asyncio
import os
from dataclasses import replace
from pathlib import Path

import pytest

from shoal.errors import Unavailable
from shoal.runtime.vm import templates
from shoal.runtime.vm.qemu import Shape
from shoal.runtime.vm.templates import Templates
from shoal.supervisor.machine.places import RAM, STATE
from shoal.supervisor.machine.waking import spoil


@pytest.fixture
def shape(tmp_path: Path) -> Shape:
    """A machine whose parts are files of no content."""
    for name in ("qemu", "vmlinuz", "initramfs"):
        (tmp_path / name).touch()
    return Shape(str(tmp_path / "qemu"), tmp_path / "vmlinuz", tmp_path / "initramfs", "tcg", 512, 1, 0)


class Maker:
    """Instead of a QEMU that boots: writes the files, or fails."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.made = 0
        self.fails = False
        monkeypatch.setattr(templates, "_run_maker", self.run)

    async def run(self, directory: Path) -> None:
        """As the real one's."""
        self.made += 1
        (directory / STATE).touch()
        if self.fails:
            raise Unavailable("no template was made")
        (directory / RAM).touch()


@pytest.fixture
def maker(monkeypatch: pytest.MonkeyPatch) -> Maker:
    """What makes templates in these tests."""
    return Maker(monkeypatch)


def test_make_is_found_by_its_shape_alone(tmp_path: Path, shape: Shape, maker: Maker) -> None:
    """Memory and processors are in the state; how many interfaces there are to be is not."""
    kept = Templates(tmp_path / "kept")
    assert kept.find(shape) is None
    asyncio.run(kept.make(shape))
    asyncio.run(kept.make(shape))
    place = kept.find(replace(shape, interfaces=2))
    assert place is not None
    assert (place / RAM).exists()
    assert maker.made == 1
    assert kept.find(replace(shape, memory_mib=256)) is None
    assert kept.find(replace(shape, processors=2)) is None


@pytest.mark.usefixtures("maker")
def test_find_of_another_qemu_finds_none(tmp_path: Path, shape: Shape) -> None:
    """A state is read by the QEMU that has written it, and an upgrade's are removed with the next that is made."""
    kept = Templates(tmp_path / "kept")
    asyncio.run(kept.make(shape))
    os.utime(shape.program, (7, 7))
    assert kept.find(shape) is None
    asyncio.run(kept.make(shape))
    assert kept.find(shape) is not None
    assert len(list((tmp_path / "kept").iterdir())) == 1


def test_make_that_fails_leaves_nothing(tmp_path: Path, shape: Shape, maker: Maker) -> None:
    """What is half-made is not found, and takes no room."""
    kept = Templates(tmp_path / "kept")
    maker.fails = True
    with pytest.raises(Unavailable):
        asyncio.run(kept.make(shape))
    assert kept.find(shape) is None
    assert list((tmp_path / "kept").iterdir()) == []


@pytest.mark.usefixtures("maker")
def test_make_removes_what_a_dead_shoald_left_half_made(tmp_path: Path, shape: Shape) -> None:
    """A kill leaves a directory that is never taken for a template."""
    kept = Templates(tmp_path / "kept")
    asyncio.run(kept.make(shape))
    place = kept.find(shape)
    assert place is not None
    place.rename(place.with_suffix(".partial"))
    assert kept.find(shape) is None
    asyncio.run(kept.make(shape))
    assert [path.suffix for path in (tmp_path / "kept").iterdir()] == [""]


@pytest.mark.usefixtures("maker")
def test_make_keeps_the_shapes_used_last(tmp_path: Path, shape: Shape) -> None:
    """Sizes that nobody asks for any more give their room to those that are."""
    kept = Templates(tmp_path / "kept")
    for memory in range(128, 138):
        asyncio.run(kept.make(replace(shape, memory_mib=memory)))
        for number, path in enumerate(sorted((tmp_path / "kept").iterdir(), key=lambda path: path.name)):
            os.utime(path, (number, number))
        assert kept.find(replace(shape, memory_mib=128)) is not None
    assert len(list((tmp_path / "kept").iterdir())) == 4
    assert kept.find(replace(shape, memory_mib=137)) is not None


def test_wanted_makes_it_at_the_second_start(tmp_path: Path, shape: Shape, maker: Maker) -> None:
    """A shape that is used once costs nothing, and one that cannot be made is not tried at every start."""
    kept = Templates(tmp_path / "kept")
    maker.fails = True
    for _ in range(5):
        asyncio.run(kept.wanted(shape))
    assert maker.made == 1


@pytest.mark.usefixtures("maker")
def test_wanted_makes_one_again_that_was_spoiled(tmp_path: Path, shape: Shape) -> None:
    """As the first one was: at the second start that finds none."""
    kept = Templates(tmp_path / "kept")
    for _ in range(2):
        asyncio.run(kept.wanted(shape))
    place = kept.find(shape)
    assert place is not None
    spoil(str(place))
    for _ in range(2):
        assert kept.find(shape) is None
        asyncio.run(kept.wanted(shape))
    assert kept.find(shape) is not None


@pytest.mark.usefixtures("maker")
def test_make_room_takes_the_name_away_first(tmp_path: Path, shape: Shape, monkeypatch: pytest.MonkeyPatch) -> None:
    """A kill in the middle of a removal leaves nothing that is taken for a template."""
    kept = Templates(tmp_path / "kept")
    asyncio.run(kept.make(shape))
    os.utime(shape.program, (7, 7))
    removed: list[str] = []
    monkeypatch.setattr("shutil.rmtree", lambda path, _ignore: removed.append(path.suffix))
    asyncio.run(kept.make(shape))
    assert removed == [".partial", ".partial"]
