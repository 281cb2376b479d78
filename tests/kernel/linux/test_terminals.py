"""Pseudo-terminals of a devpts instance of its own."""

from __future__ import annotations

import errno
import os
import signal
from pathlib import Path

import pytest

from shoal.errors import SyscallError
from shoal.linux import filesystems, pty
from tests.kernel.child import CONTAINER, run_in_child
from tests.kernel.linux.places import place

pytestmark = pytest.mark.root


def test_open_pty_of_a_container_s_devpts_carries_bytes_both_ways(tmp_path: Path) -> None:
    """The first terminal of a new instance has number 0, and what one side writes the other reads."""

    def inside() -> object:
        with place(tmp_path) as target:
            filesystems.mount_filesystem("devpts", target, options=["newinstance", "ptmxmode=0666", "mode=0620"])
        master, slave = pty.open_pty(str(tmp_path / "ptmx"))
        with master, slave:
            os.write(master.fileno(), b"in\n")
            received = os.read(slave.fileno(), 10)
            os.read(master.fileno(), 10)  # the echo
            os.write(slave.fileno(), b"out\n")
            inherited = [os.get_inheritable(fd.fileno()) for fd in (master, slave)]
            return pty.pty_number(master), received, os.read(master.fileno(), 10), inherited

    assert run_in_child(inside, CONTAINER) == (0, b"in\n", b"out\r\n", [False, False])


def test_open_pty_carries_more_than_64_kib(tmp_path: Path) -> None:
    """Nothing is lost when a program prints much while someone reads."""
    wanted = b"x" * 200_000

    def inside() -> object:
        with place(tmp_path) as target:
            filesystems.mount_filesystem("devpts", target, options=["newinstance", "ptmxmode=0666"])
        master, slave = pty.open_pty(str(tmp_path / "ptmx"))
        if os.fork() == 0:
            rest = wanted
            while rest:
                rest = rest[os.write(slave.fileno(), rest) :]
            os._exit(0)
        slave.close()
        count = 0
        try:
            while part := os.read(master.fileno(), 65536):
                count += len(part)
        except OSError as error:
            if error.errno != errno.EIO:  # the last slave has closed
                raise
        os.wait()
        return count

    assert run_in_child(inside, CONTAINER) == len(wanted)


def test_set_winsize_is_what_the_other_side_sees() -> None:
    """The size set on the master is the slave's."""
    master, slave = pty.open_pty()
    with master, slave:
        pty.set_winsize(master, 33, 120)
        assert pty.get_winsize(slave) == (33, 120)


def test_set_controlling_terminal_makes_it_the_session_s() -> None:
    """Behind setsid the slave becomes /dev/tty of the session."""

    def inside() -> object:
        signal.signal(signal.SIGHUP, signal.SIG_IGN)  # which comes when the master goes, before we have told
        _, slave = pty.open_pty()
        os.setsid()
        pty.set_controlling_terminal(slave)
        with open("/dev/tty", "rb") as terminal:
            return os.ttyname(slave.fileno()).startswith("/dev/pts/"), os.tcgetpgrp(terminal.fileno()) == os.getpgrp()

    assert run_in_child(inside) == (True, True)


def test_open_pty_of_a_missing_ptmx_is_told(tmp_path: Path) -> None:
    """The error names the path."""
    with pytest.raises(SyscallError) as caught:
        pty.open_pty(str(tmp_path / "ptmx"))
    assert str(caught.value) == f"open `{tmp_path}/ptmx`: no such file or directory"


@pytest.mark.parametrize(
    "call", [lambda fd: pty.set_winsize(fd, 1, 1), pty.get_winsize, pty.pty_number, pty.set_controlling_terminal]
)
def test_terminal_calls_on_what_is_no_terminal_are_enotty(call: object) -> None:
    """A pipe is refused by name of the call."""
    assert callable(call)
    with place("/") as plain, open("/dev/null") as null:
        assert plain
        with pytest.raises(SyscallError) as caught:
            call(null.fileno())
    assert (caught.value.syscall, caught.value.errno) == ("ioctl", errno.ENOTTY)
