"""A container's terminal: given away over a console socket, or joined to the terminal of whoever runs it."""

from __future__ import annotations

import _socket
import os
import select
import signal
import struct
import termios

from shoal.errors import ShoalError, SyscallError
from shoal.linux.fd import Fd
from shoal.linux.pidfd import pidfd_send_signal
from shoal.linux.pty import get_winsize, set_winsize

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType

_CHUNK = 65536
# What a caller's signals mean for the process that it waits for.
_FORWARDED = (
    signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2, signal.SIGCONT,
    signal.SIGALRM, signal.SIGPIPE,
)  # fmt: skip


def send_console(path: str, master: Fd) -> None:
    """Gives the terminal's master to whoever listens on the unix socket `path`. Raises: SyscallError."""
    directory, _, name = os.path.abspath(path).rpartition("/")
    try:
        sock = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM | _socket.SOCK_CLOEXEC)
        try:
            with Fd(os.open(directory or "/", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)) as place:
                # By the descriptor: the path may be longer than the 107 bytes of a socket's.
                sock.connect(f"/proc/self/fd/{place.fileno()}/{name}")
            rights = struct.pack("i", master.fileno())
            sock.sendmsg([b"/dev/ptmx"], [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, rights)])
        finally:
            sock.close()
    except OSError as error:
        raise SyscallError(
            "connect", path, error.errno or 0, fix="give --console-socket a socket that listens"
        ) from None


class Foreground:
    """A process in the caller's foreground: signals go to it, and with `master` the caller's terminal as well."""

    __slots__ = ("_master", "_pidfd")

    def __init__(self, pidfd: Fd, master: Fd | None) -> None:
        self._pidfd = pidfd
        self._master = master
        for number in _FORWARDED:
            signal.signal(number, self._forward)

    def wait(self) -> int:
        """The exit code of the process, 128 and the signal's number when one ended it. Blocks, and reaps it."""
        if self._master is not None:
            self._carry(self._master)
        result = os.waitid(os.P_PIDFD, self._pidfd.fileno(), os.WEXITED)
        assert result is not None
        return result.si_status if result.si_code == os.CLD_EXITED else 128 + result.si_status

    def _forward(self, number: int, _frame: FrameType | None) -> None:
        try:
            pidfd_send_signal(self._pidfd, number)
        except ShoalError:
            pass  # it has ended

    def _carry(self, master: Fd) -> None:
        """Carries bytes between the caller's standard streams and the terminal until its other end is closed."""
        before = termios.tcgetattr(0) if os.isatty(0) else None
        if before is not None:
            signal.signal(signal.SIGWINCH, lambda *_: self._resize(master))
            self._resize(master)
            _make_raw(0)
        try:
            self._loop(master.fileno())
        finally:
            if before is not None:
                termios.tcsetattr(0, termios.TCSADRAIN, before)

    def _resize(self, master: Fd) -> None:
        rows, columns = get_winsize(0)
        set_winsize(master, rows, columns)

    def _loop(self, master: int) -> None:
        poll = select.poll()
        poll.register(master, select.POLLIN)
        poll.register(0, select.POLLIN)
        poll.register(self._pidfd.fileno(), select.POLLIN)
        while True:
            ready = dict(poll.poll())
            if master in ready:
                data = _read(master)
                if not data:
                    return
                _write(1, data)
            elif self._pidfd.fileno() in ready:
                return  # it has ended, and all that it wrote was read
            if 0 in ready:
                data = _read(0)
                if data:
                    _write(master, data)
                else:
                    poll.unregister(0)
                    _write(master, b"\x04")  # the end of file, as a terminal has it


def _make_raw(fd: int) -> None:
    """Every key goes on as it is: what cfmakeraw(3) does."""
    iflag, oflag, cflag, lflag, ispeed, ospeed, characters = termios.tcgetattr(fd)
    iflag &= ~(termios.BRKINT | termios.ICRNL | termios.INPCK | termios.ISTRIP | termios.IXON)
    oflag &= ~termios.OPOST
    cflag = cflag & ~(termios.CSIZE | termios.PARENB) | termios.CS8
    lflag &= ~(termios.ECHO | termios.ICANON | termios.IEXTEN | termios.ISIG)
    characters[termios.VMIN], characters[termios.VTIME] = 1, 0
    termios.tcsetattr(fd, termios.TCSAFLUSH, [iflag, oflag, cflag, lflag, ispeed, ospeed, characters])


def _read(fd: int) -> bytes:
    try:
        return os.read(fd, _CHUNK)
    except OSError:
        return b""  # EIO: nobody has the other end of the terminal open any more


def _write(fd: int, data: bytes) -> None:
    view = memoryview(data)
    try:
        while view:
            view = view[os.write(fd, view) :]
    except OSError:
        pass  # whoever read has gone
