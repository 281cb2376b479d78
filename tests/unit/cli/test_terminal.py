"""Raw mode and signals."""

from __future__ import annotations

import fcntl
import os
import pty
import signal
import struct
import termios

from shoal.cli.terminal import FORWARDED, RawTerminal, SignalInbox, signal_name, terminal_size


def test_raw_terminal_restores_the_settings_after_an_error() -> None:
    """Whatever ends the session, the user's terminal is as it was."""
    master, slave = pty.openpty()
    try:
        before = termios.tcgetattr(slave)
        raw = RawTerminal(slave)
        raw.__enter__()
        assert not termios.tcgetattr(slave)[3] & (termios.ECHO | termios.ICANON | termios.ISIG)
        raw.__exit__(RuntimeError, RuntimeError(), None)
        assert termios.tcgetattr(slave) == before
    finally:
        os.close(master)
        os.close(slave)


def test_raw_terminal_of_a_pipe_does_nothing() -> None:
    """Input from a file has no mode."""
    read_fd, write_fd = os.pipe()
    with RawTerminal(read_fd), RawTerminal(-1):
        pass
    os.close(read_fd)
    os.close(write_fd)


def test_terminal_size_is_rows_and_columns() -> None:
    """None for what is no terminal, or does not know."""
    master, slave = pty.openpty()
    assert terminal_size(slave) is None
    fcntl.ioctl(master, termios.TIOCSWINSZ, struct.pack("HHHH", 33, 101, 0, 0))
    assert terminal_size(slave) == (33, 101)
    os.close(master)
    os.close(slave)
    read_fd, write_fd = os.pipe()
    assert terminal_size(read_fd) is None
    os.close(read_fd)
    os.close(write_fd)


def test_signal_inbox_collects_in_order_and_restores() -> None:
    """Two signals, then silence; the former handlers are back afterwards."""
    before = signal.getsignal(signal.SIGUSR1)
    with SignalInbox((signal.SIGUSR1, signal.SIGUSR2)) as inbox:
        assert inbox.take_nowait() == []
        os.kill(os.getpid(), signal.SIGUSR2)
        os.kill(os.getpid(), signal.SIGUSR1)
        assert sorted(inbox.take_nowait()) == [signal.SIGUSR1, signal.SIGUSR2]
        assert inbox.take_nowait() == []
    assert signal.getsignal(signal.SIGUSR1) is before


def test_forwarded_signals_are_those_that_docker_forwards() -> None:
    """The usual ones are, the kernel's own business with this process is not."""
    assert {signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGCONT} <= set(FORWARDED)
    assert not {signal.SIGCHLD, signal.SIGPIPE, signal.SIGKILL, signal.SIGWINCH} & set(FORWARDED)


def test_signal_name_is_the_apis() -> None:
    """Without SIG; a number where there is no name."""
    assert signal_name(15) == "TERM"
    assert signal_name(50) == "50"
