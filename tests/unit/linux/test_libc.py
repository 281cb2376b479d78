"""System calls and their errors."""

from __future__ import annotations

import errno
import os

import pytest

from shoal.errors import SyscallError, Unsupported
from shoal.linux import libc
from shoal.linux.fd import Fd
from shoal.linux.libc import SYS_pidfd_open, close_range, numbers_of, path_bytes, syscall


def test_syscall_that_fails_tells_call_object_and_errno() -> None:
    """The error renders as crun's do: call, object in backticks, text."""
    with pytest.raises(SyscallError) as caught:
        syscall(SYS_pidfd_open, "pidfd_open", "-5", -5, 0)
    error = caught.value
    assert (error.syscall, error.object, error.errno) == ("pidfd_open", "-5", errno.EINVAL)
    assert str(error) == "pidfd_open `-5`: invalid argument"


def test_syscall_takes_a_descriptor_by_its_owner() -> None:
    """An Fd goes as its number."""
    with Fd(os.open("/", os.O_PATH)) as fd, Fd(syscall(libc.SYS_openat2, "openat2", ".", *_openat2(fd))) as found:
        assert os.fstat(found.fileno()).st_ino == os.stat("/").st_ino


def _openat2(fd: Fd) -> tuple[object, ...]:
    how = (os.O_PATH).to_bytes(8, "little") + bytes(16)
    return fd, b".", how, len(how)


def test_syscall_interrupted_by_a_signal_is_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    """EINTR never reaches the caller."""
    answers = iter([(-1, errno.EINTR), (-1, errno.EINTR), (42, 0)])

    def answer(*_: object) -> int:
        value, failure = next(answers)
        libc.ctypes.set_errno(failure)
        return value

    monkeypatch.setattr(libc, "_syscall", answer)
    assert syscall(0, "read", "") == 42


@pytest.mark.parametrize(("machine", "mount"), [("x86_64", 165), ("aarch64", 40), ("riscv64", 40)])
def test_numbers_of_each_architecture(machine: str, mount: int) -> None:
    """mount(2) has the number of the kernel's table."""
    assert numbers_of(machine)["mount"] == mount


@pytest.mark.parametrize("machine", ["s390x", "generic", ""])
def test_numbers_of_an_unknown_architecture_is_told(machine: str) -> None:
    """shoal refuses to guess system call numbers."""
    with pytest.raises(Unsupported) as caught:
        numbers_of(machine)
    assert caught.value.what == f"shoal does not run on the architecture {machine!r}"


def test_path_bytes_refuses_a_nul() -> None:
    """The kernel would see only what stands before it."""
    with pytest.raises(SyscallError) as caught:
        path_bytes("/etc\0/passwd")
    assert caught.value.errno == errno.EINVAL


@pytest.mark.parametrize("by_hand", [False, True])
def test_close_range_closes_or_marks(by_hand: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Descriptors from a number on are closed, or only close-on-exec, on old kernels too."""
    if by_hand:
        monkeypatch.setattr(libc, "SYS_close_range", 9999)
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            first = os.dup2(0, 200)
            second = os.dup2(0, 201)
            close_range(first, second, cloexec=True)
            marked = not os.get_inheritable(200) and not os.get_inheritable(201)
            close_range(200, 200)
            left = [number for number in (200, 201) if os.path.exists(f"/proc/self/fd/{number}")]
            code = 0 if marked and left == [201] else 2
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
