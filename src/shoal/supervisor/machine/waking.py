"""Waking a copy of a template: its memory is copied, its devices' state read, and devices of its own are added.

    QEMU is started with memory that is empty, and waits ─▶ the template's memory is copied there ─▶ state read
    ─▶ devices added ─▶ it runs; what it is told next makes it one of its own (template.py)

The memory is a copy and no private mapping of the template's: virtiofsd maps it too, and has to see what the guest
writes. A template's holes stay holes. Runs in a monitor and in the maker: standard library only.
"""

from __future__ import annotations

import os
import time

from shoal.supervisor.machine.places import RAM, SHARE_TAG, STATE
from shoal.supervisor.machine.qmp import Qmp

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from shoal.supervisor.loop import Loop
    from shoal.supervisor.protocol import Body

_SEED_BYTES = 64
_FILES = (
    f'{{"execute":"device_add","arguments":{{"driver":"vhost-user-fs-pci","chardev":"files","tag":"{SHARE_TAG}"}}}}'
)


class Waking:
    """One QEMU that is to go on where the template was left; `descriptors` are what its command line names."""

    def __init__(self, loop: Loop, directory: str) -> None:
        self._source = os.open(f"{directory}/{RAM}", os.O_RDONLY | os.O_CLOEXEC)
        self._state = os.open(f"{directory}/{STATE}", os.O_RDONLY | os.O_CLOEXEC)
        self._ram = os.memfd_create("machine", os.MFD_CLOEXEC)
        os.ftruncate(self._ram, os.fstat(self._source).st_size)
        self.qmp = Qmp(loop)

    @property
    def descriptors(self) -> dict[str, int]:
        """The descriptors that QEMU is started with."""
        return {"ram": self._ram, "state": self._state, "qmp": self.qmp.theirs}

    def begin(self, *, with_files: bool, then: Callable[[], None], failed: Callable[[str], None]) -> None:
        """QEMU has been started: fills its memory while it starts; `then` once it runs. Raises: OSError."""

        def moved() -> None:
            self.qmp.execute((_FILES if with_files else "") + '{"execute":"cont"}')
            self.qmp.on_moved = None
            then()

        self.qmp.started()
        self.qmp.on_error, self.qmp.on_moved = failed, moved
        copy_sparse(self._source, self._ram)
        self.qmp.execute(f'{{"execute":"migrate-incoming","arguments":{{"uri":"fd:{self._state}"}}}}')
        os.close(self._source)
        os.close(self._ram)
        # Kept open by QEMU, under the number that it has there.
        os.close(self._state)

    def close(self) -> None:
        """It runs, and needs no orders any more."""
        self.qmp.close()


def spoil(directory: str) -> None:
    """The template there cannot be woken: nobody is to try again."""
    try:
        os.rename(directory, f"{directory}.partial")
    except OSError:
        pass  # another start has done so already


def renewal() -> Body:
    """What makes a copy one of its own."""
    return {"now_ns": time.time_ns(), "entropy": os.urandom(_SEED_BYTES)}


def copy_sparse(source: int, target: int) -> None:
    """Copies what is no hole, to the same places. Raises: OSError."""
    end = os.fstat(source).st_size
    for start, stop in extents(source, end):
        os.lseek(target, start, os.SEEK_SET)
        while start < stop:
            start += os.sendfile(target, source, start, stop - start)


def extents(file: int, end: int) -> list[tuple[int, int]]:
    """(start, stop) of what is no hole in the first `end` bytes of a file. lseek(2), SEEK_DATA."""
    found = []
    place = 0
    while place < end:
        try:
            start = os.lseek(file, place, os.SEEK_DATA)
        except OSError:
            break  # ENXIO: a hole up to the end
        place = os.lseek(file, start, os.SEEK_HOLE)
        found.append((start, place))
    return found
