"""The user's terminal: its size, raw mode with a certain restore, and signals as bytes that a select loop can read."""

from __future__ import annotations

# The module behind `signal`, which would import `enum`, for 3 ms; the stubs do not know what it is made of.
import _signal as signal  # type: ignore[import-not-found]
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import FrameType, TracebackType


def terminal_size(fd: int) -> tuple[int, int] | None:
    """(rows, cols) of the terminal on `fd`, None where it is none or does not know."""
    try:
        size = os.get_terminal_size(fd)
    except OSError:
        return None
    return (size.lines, size.columns) if size.lines and size.columns else None


class RawTerminal:
    """Puts the terminal on `fd` into raw mode while the context lasts; does nothing where `fd` is no terminal.

    The settings come back on every way out of the context, an exception or a signal's too. termios(3).
    """

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._saved: list[int | list[bytes | int]] | None = None

    def __enter__(self) -> RawTerminal:
        if self._fd >= 0 and os.isatty(self._fd):
            import termios
            import tty

            self._saved = termios.tcgetattr(self._fd)
            tty.setraw(self._fd, termios.TCSADRAIN)
        return self

    def __exit__(self, *_: object) -> None:
        if self._saved is not None:
            import termios

            saved, self._saved = self._saved, None
            try:
                termios.tcsetattr(self._fd, termios.TCSADRAIN, saved)
            except termios.error:
                # The terminal is gone (hung up): nobody sees its settings any more.
                pass


SIGWINCH: int = signal.SIGWINCH
# What a proxy does not hand on: the kernel's and the terminal's own business with this process.
_NOT_FORWARDED = frozenset(
    {signal.SIGCHLD, signal.SIGPIPE, signal.SIGURG, signal.SIGWINCH, signal.SIGKILL, signal.SIGSTOP}
    | {signal.SIGSEGV, signal.SIGBUS, signal.SIGFPE, signal.SIGILL, signal.SIGTTIN, signal.SIGTTOU, signal.SIGTSTP}
)
_REAL_TIME = frozenset(range(signal.SIGRTMIN, signal.SIGRTMAX + 1))
FORWARDED: tuple[int, ...] = tuple(sorted(signal.valid_signals() - _NOT_FORWARDED - _REAL_TIME))


class SignalInbox:
    """Collects the signals of `numbers` while the context lasts; `fileno` becomes readable when one came.

    Main thread only. The former handlers come back at the end. signal.set_wakeup_fd.
    """

    def __init__(self, numbers: Iterable[int]) -> None:
        self._numbers = tuple(numbers)
        self._former: dict[int, object] = {}
        self._read_fd = self._write_fd = -1
        self._former_wakeup = -1

    def __enter__(self) -> SignalInbox:
        self._read_fd, self._write_fd = os.pipe()
        os.set_blocking(self._read_fd, False)
        os.set_blocking(self._write_fd, False)
        self._former_wakeup = signal.set_wakeup_fd(self._write_fd, warn_on_full_buffer=False)
        for number in self._numbers:
            self._former[number] = signal.signal(number, _collected)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, former in self._former.items():
            # None: the handler was not set from Python, and can't be named to set it back.
            signal.signal(number, signal.SIG_DFL if former is None else former)
        signal.set_wakeup_fd(self._former_wakeup)
        os.close(self._read_fd)
        os.close(self._write_fd)

    def fileno(self) -> int:
        """The descriptor to select on."""
        return self._read_fd

    def take_nowait(self) -> list[int]:
        """The numbers of the signals that came since the last call, in order."""
        try:
            return [number for number in os.read(self._read_fd, 512) if number in self._former]
        except BlockingIOError:
            return []


def _collected(_number: int, _frame: FrameType | None) -> None:
    """Python writes the number to the wakeup descriptor before it calls this: nothing is left to do."""


def signal_name(number: int) -> str:
    """`TERM` for 15, as the API names signals; the number itself where it has no name."""
    import signal

    try:
        return signal.Signals(number).name.removeprefix("SIG")
    except ValueError:
        return str(number)
