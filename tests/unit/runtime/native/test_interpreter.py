"""The sealed copy of the interpreter."""

from __future__ import annotations

import errno
import fcntl
import mmap
import os
import threading
from collections.abc import Iterator

import pytest

from shoal.linux.fd import Fd
from shoal.runtime.native.interpreter import SealedInterpreter, _seal, this_interpreter

_F_GET_SEALS = 1034


@pytest.fixture
def memory() -> Iterator[Fd]:
    """A page in memory that can be sealed."""
    with Fd(os.memfd_create("page", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)) as fd:
        os.ftruncate(fd.fileno(), mmap.PAGESIZE)
        yield fd


def test_seal_page_in_use_for_a_moment_waits(memory: Fd) -> None:
    """The kernel's EBUSY, while somebody holds a page, is waited out."""
    page = mmap.mmap(memory.fileno(), mmap.PAGESIZE)
    letting_go = threading.Timer(0.03, page.close)
    letting_go.start()
    _seal(memory)
    letting_go.join()
    assert fcntl.fcntl(memory.fileno(), _F_GET_SEALS) == 0b1111


def test_seal_page_in_use_for_good_is_told(memory: Fd) -> None:
    """Who never lets go is not waited for without end."""
    with mmap.mmap(memory.fileno(), mmap.PAGESIZE), pytest.raises(OSError) as caught:
        _seal(memory)
    assert caught.value.errno == errno.EBUSY


def test_sealed_interpreter_copy_is_whole_and_cannot_be_written() -> None:
    """What supervisors run is the interpreter, byte for byte, and nobody can change it."""
    interpreter = SealedInterpreter(this_interpreter())
    try:
        with open(this_interpreter(), "rb") as original, open(interpreter.executable, "rb") as copy:
            assert copy.read() == original.read()
        with pytest.raises(PermissionError):
            os.write(interpreter.fd.fileno(), b"x")
    finally:
        interpreter.close()
