"""The owner of a file descriptor."""

from __future__ import annotations

import os

import pytest

from shoal.linux.fd import Fd


def open_null() -> Fd:
    """A descriptor to play with."""
    return Fd(os.open("/dev/null", os.O_RDONLY))


def is_open(number: int) -> bool:
    """Whether the number is a descriptor of this process."""
    return os.path.exists(f"/proc/self/fd/{number}")


def test_close_closes_the_number_once() -> None:
    """A second close can't hit a number that another file has got meanwhile."""
    fd = open_null()
    number = fd.fileno()
    fd.close()
    assert fd.closed
    with open_null() as other:
        assert other.fileno() == number
        fd.close()
        assert is_open(number)


def test_fileno_of_a_closed_fd_is_an_error() -> None:
    """-1 never reaches a system call."""
    fd = open_null()
    fd.close()
    with pytest.raises(ValueError, match="closed"):
        fd.fileno()


def test_detach_gives_the_number_away() -> None:
    """The former owner does not close it any more."""
    fd = open_null()
    number = fd.detach()
    del fd
    assert is_open(number)
    os.close(number)


def test_dup_is_a_second_owner_and_close_on_exec() -> None:
    """Each of the two closes its own number."""
    with open_null() as fd, fd.dup() as second:
        assert second.fileno() != fd.fileno()
        assert not os.get_inheritable(second.fileno())
        fd.close()
        assert is_open(second.fileno())


def test_fd_that_nobody_holds_is_closed() -> None:
    """A forgotten result leaks nothing."""
    number = open_null().fileno()
    assert not is_open(number)


def test_fd_stands_for_its_number_in_the_standard_library() -> None:
    """`os` functions take it where they take a descriptor."""
    with Fd(os.open("/", os.O_PATH)) as fd:
        assert os.fstat(fd).st_ino == os.stat("/").st_ino  # type: ignore[arg-type]
        assert os.stat("dev", dir_fd=fd)  # type: ignore[arg-type]


def test_context_manager_closes_even_when_an_error_passes() -> None:
    """The descriptor is gone behind the block."""
    with pytest.raises(RuntimeError), open_null() as fd:
        raise RuntimeError
    assert fd.closed


def test_close_of_a_number_that_is_closed_already_is_quiet() -> None:
    """Whoever closed it behind our back does no more harm."""
    fd = open_null()
    os.close(fd.fileno())
    fd.close()
    assert fd.closed
