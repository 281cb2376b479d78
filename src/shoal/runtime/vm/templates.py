"""Templates: machines that have booted once, of which each start wakes a copy (supervisor/machine/waking.py).

DIRECTORY/RECIPE-SHAPE/{ram, state}: RECIPE stands for all that a template is made of (QEMU, kernel, initramfs, command
line), SHAPE for memory and processors. It is made beside its place and moved there whole; what is found half-made was a
dead shoald's. Those of other recipes are of no use any more, and few shapes are kept. Runs in shoald.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import marshal
import os
import shutil
from asyncio.subprocess import DEVNULL, PIPE
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import shoal
from shoal.errors import ShoalError, Unavailable
from shoal.runtime.native.interpreter import this_interpreter
from shoal.runtime.vm.qemu import Shape, maker_command, trial_command
from shoal.supervisor.machine.places import RECIPE

_FORMAT = 1
_MOST_SHAPES = 4
# A shape that was asked for once may never be again: the second start makes its template, the third wakes from it.
_STARTS_BEFORE = 2
_PARTIAL = ".partial"
_PROGRAM = """import sys
sys.path.append(sys.argv[1])
from shoal.supervisor.machine.maker import main
main(sys.argv[2])
"""
_MIB = 1 << 20
_log = logging.getLogger(__name__)


class Templates:
    """The templates kept in `directory`."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._making = asyncio.Lock()
        self._starts: dict[str, int] = {}

    def find(self, shape: Shape) -> Path | None:
        """The template of this shape, which counts as used now; None where there is none."""
        place = self._place(shape)
        try:
            os.utime(place)
        except OSError:
            return None
        # Should it be spoiled, it is made again as the first one was.
        self._starts.pop(place.name, None)
        return place

    async def wanted(self, shape: Shape) -> None:
        """A machine of this shape has to boot: makes a template when it is not the first one."""
        name = self._place(shape).name
        self._starts[name] = self._starts.get(name, 0) + 1
        if self._starts[name] != _STARTS_BEFORE:
            return
        try:
            await self.make(shape)
        except (ShoalError, OSError) as error:
            _log.warning("machines of %d MB go on booting: %s", shape.memory_mib, error)

    async def make(self, shape: Shape) -> None:
        """Makes the template of this shape, if there is none. Takes seconds. Raises: Unavailable, OSError."""
        async with self._making:
            place = self._place(shape)
            if place.exists():
                return
            await asyncio.to_thread(self._make_room, place)
            partial = place.with_suffix(_PARTIAL)
            partial.mkdir(mode=0o700, parents=True)
            try:
                (partial / RECIPE).write_bytes(marshal.dumps(_recipe(shape)))
                await _run_maker(partial)
                partial.rename(place)
            finally:
                await asyncio.to_thread(shutil.rmtree, partial, True)

    def _make_room(self, place: Path) -> None:
        """Removes what is half-made, of another recipe, or used least of too many."""
        found = sorted(self._directory.glob("*"), key=lambda path: path.stat().st_mtime, reverse=True)
        recipe = place.name.partition("-")[0]
        kept = [path for path in found if path.suffix != _PARTIAL and path.name.startswith(f"{recipe}-")]
        for path in sorted(set(found) - set(kept[: _MOST_SHAPES - 1]), key=lambda path: path.suffix != _PARTIAL):
            # What is removed in part is not to be found: first it gives up its name.
            shutil.rmtree(path if path.suffix == _PARTIAL else path.rename(path.with_suffix(_PARTIAL)), True)

    def _place(self, shape: Shape) -> Path:
        return self._directory / f"{_recipe_name(shape)}-{shape.memory_mib}m-{shape.processors}"


def _recipe_name(shape: Shape) -> str:
    """What a template is made of beside its shape, in sixteen digits."""
    files = [(about.st_mtime_ns, about.st_size) for about in (os.stat(shape.program), shape.kernel.stat())]
    common = maker_command(replace(shape, memory_mib=0, processors=0))
    return hashlib.sha256(json.dumps([_FORMAT, files, common]).encode()).hexdigest()[:16]


def _recipe(shape: Shape) -> dict[str, object]:
    return {"maker": maker_command(shape), "trial": trial_command(shape), "memory_bytes": shape.memory_mib * _MIB}


async def _run_maker(directory: Path) -> None:
    """Has the template made by a process of its own, which ends with us. Raises: Unavailable with its last words."""
    packages = str(Path(shoal.__file__).parents[1])
    command = [this_interpreter(), "-SIB", "-c", _PROGRAM, packages, str(directory)]
    maker = await asyncio.create_subprocess_exec(*command, stdin=PIPE, stdout=DEVNULL, stderr=PIPE, cwd="/")
    assert maker.stderr is not None
    try:
        words = await maker.stderr.read()
        code = await maker.wait()
    finally:
        with suppress(ProcessLookupError):
            maker.kill()
    if code:
        raise Unavailable("no template was made", why=words.decode(errors="replace").strip() or f"exit code {code}")
