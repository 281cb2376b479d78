"""Pseudo-terminals of any devpts instance. pty(7).

Used by the child (on the container's own devpts) and by tests.
"""

from __future__ import annotations

import fcntl
import os
import struct
import termios

from shoal.errors import SyscallError
from shoal.linux.fd import Fd, FdLike

# include/uapi/asm-generic/ioctls.h; Python's termios has neither.
TIOCSPTLCK = 0x40045431
TIOCGPTPEER = 0x5441
TIOCGPTN = 0x80045430


def open_pty(ptmx_path: str = "/dev/pts/ptmx") -> tuple[Fd, Fd]:
    """(master, slave) of a new terminal, both close-on-exec and owned by the caller.

    The slave comes from the master by TIOCGPTPEER (Linux 4.13), so that no path, which a container could have
    replaced, is opened.

    Raises: SyscallError.
    """
    flags = os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC
    try:
        master = Fd(os.open(ptmx_path, flags))
    except OSError as error:
        raise SyscallError("open", ptmx_path, error.errno or 0) from None
    try:
        fcntl.ioctl(master.fileno(), TIOCSPTLCK, struct.pack("i", 0))
        return master, Fd(fcntl.ioctl(master.fileno(), TIOCGPTPEER, flags))
    except OSError as error:
        master.close()
        raise SyscallError("ioctl", "TIOCGPTPEER", error.errno or 0) from None


def pty_number(master: FdLike) -> int:
    """N of the slave's name /dev/pts/N.

    Raises: SyscallError.
    """
    try:
        answer = fcntl.ioctl(_number(master), TIOCGPTN, struct.pack("I", 0))
    except OSError as error:
        raise SyscallError("ioctl", "TIOCGPTN", error.errno or 0) from None
    number: int = struct.unpack("I", answer)[0]
    return number


def set_winsize(fd: FdLike, rows: int, cols: int) -> None:
    """Tell the terminal its size in characters; its foreground processes get SIGWINCH if it changed.

    Raises: SyscallError.
    """
    try:
        fcntl.ioctl(_number(fd), termios.TIOCSWINSZ, struct.pack("HHHH", rows & 0xFFFF, cols & 0xFFFF, 0, 0))
    except OSError as error:
        raise SyscallError("ioctl", "TIOCSWINSZ", error.errno or 0) from None


def get_winsize(fd: FdLike) -> tuple[int, int]:
    """(rows, cols) of the terminal.

    Raises: SyscallError.
    """
    try:
        answer = fcntl.ioctl(_number(fd), termios.TIOCGWINSZ, bytes(8))
    except OSError as error:
        raise SyscallError("ioctl", "TIOCGWINSZ", error.errno or 0) from None
    rows, cols, _, _ = struct.unpack("HHHH", answer)
    return rows, cols


def set_controlling_terminal(slave: FdLike) -> None:
    """Make `slave` the controlling terminal of this process, which leads a session without one (setsid).

    Raises: SyscallError.
    """
    try:
        fcntl.ioctl(_number(slave), termios.TIOCSCTTY, 0)
    except OSError as error:
        raise SyscallError("ioctl", "TIOCSCTTY", error.errno or 0) from None


def _number(fd: FdLike) -> int:
    return fd if isinstance(fd, int) else fd.fileno()


def make_raw(terminal: FdLike) -> None:
    """Have a terminal only pass on what comes: no echo, no lines, no signals. termios(3).

    Raises: SyscallError (ENOTTY: it is none).
    """
    number = _number(terminal)
    try:
        mode = termios.tcgetattr(number)
        mode[0], mode[1], mode[3] = 0, 0, 0
        mode[6][termios.VMIN], mode[6][termios.VTIME] = 1, 0
        termios.tcsetattr(number, termios.TCSANOW, mode)
    except termios.error as error:
        raise SyscallError("tcsetattr", "terminal", error.args[0]) from None
