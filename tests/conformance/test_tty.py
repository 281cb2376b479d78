"""Terminals: `-it` as a person uses it, sizes, detaching."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pexpect
import pytest

from tests.engines.engine import DOCKER, Engine

pytestmark = pytest.mark.usefixtures("cli")

PROMPT = "/ # "


@contextmanager
def terminal(engine: Engine, *args: str, rows: int = 24, columns: int = 80) -> Iterator[pexpect.spawn]:
    """The docker command on a terminal of its own, ended at the end."""
    child = pexpect.spawn(
        str(DOCKER), list(args), env=engine.environment(), dimensions=(rows, columns), timeout=20, encoding="utf-8"
    )
    child.delaybeforesend = None
    try:
        yield child
    finally:
        child.close(force=True)


def test_run_it_is_a_shell_on_a_terminal(engine: Engine) -> None:
    """A prompt, a command, its answer, and the shell's exit code as the client's."""
    with terminal(engine, "run", "--rm", "-it", "busybox", "sh") as shell:
        shell.expect_exact(PROMPT)
        shell.sendline("tty; echo $TERM")
        shell.expect("/dev/pts/0\r\n")
        shell.expect("xterm\r\n")
        shell.sendline("exit 5")
        shell.expect(pexpect.EOF)
        shell.wait()
        assert shell.exitstatus == 5


def test_run_it_has_the_clients_size_and_follows_it(engine: Engine) -> None:
    """The terminal inside is as large as the one outside, also after it changes."""
    with terminal(engine, "run", "--rm", "-it", "busybox", "sh", rows=33, columns=101) as shell:
        shell.expect_exact(PROMPT)
        shell.sendline("while ! stty size | grep -q '33 101'; do sleep 0.05; done; echo first=ok")
        shell.expect("first=ok\r\n")
        shell.expect_exact(PROMPT)
        shell.setwinsize(44, 120)
        shell.sendline("while ! stty size 2>/dev/null | grep -q '44 120'; do sleep 0.05; done; echo second=ok")
        shell.expect("second=ok\r\n")


def test_run_it_ctrl_c_interrupts_the_program(engine: Engine) -> None:
    """The terminal turns ^C into SIGINT for the foreground program, not for the client."""
    with terminal(engine, "run", "--rm", "-it", "busybox", "sh") as shell:
        shell.expect_exact(PROMPT)
        # One that has the terminal when it speaks: a shell that has yet to start its program would get the signal.
        shell.sendline("sh -c \"echo sl''eeping; exec sleep 1000\"")
        shell.expect("sleeping\r\n")
        shell.sendcontrol("c")
        shell.expect_exact(PROMPT)
        shell.sendline("echo co''de=$?")
        shell.expect("code=130\r\n")


def test_run_it_ctrl_d_is_the_end_of_input(engine: Engine) -> None:
    """^D ends a program that reads its input."""
    with terminal(engine, "run", "--rm", "-it", "busybox", "cat") as cat:
        cat.sendline("hello")
        cat.expect("hello\r\nhello\r\n")
        cat.sendcontrol("d")
        cat.expect(pexpect.EOF)
        cat.wait()
        assert cat.exitstatus == 0


def test_run_it_detach_keys_leave_it_running(engine: Engine) -> None:
    """^P^Q detaches; attach comes back to the same shell."""
    with terminal(engine, "run", "-it", "--name", "it", "busybox", "sh") as shell:
        shell.expect_exact(PROMPT)
        shell.sendline("here=yes")
        shell.expect_exact(PROMPT)
        shell.send("\x10\x11")
        shell.expect(pexpect.EOF)
    assert engine.ok("inspect", "-f", "{{.State.Running}}", "it") == "true"
    with terminal(engine, "attach", "--detach-keys", "ctrl-x,x", "it") as shell:
        shell.sendline("echo st''ill=$here")
        shell.expect("still=yes\r\n")
        shell.send("\x18x")
        shell.expect("read escape sequence")
    assert engine.ok("inspect", "-f", "{{.State.Running}}", "it") == "true"


def test_exec_it_is_a_terminal_too(engine: Engine) -> None:
    """exec -it has its own terminal, size and exit code."""
    engine.ok("run", "-d", "--name", "it", "busybox", "sleep", "1000")
    with terminal(engine, "exec", "-it", "it", "sh", rows=20, columns=90) as shell:
        shell.expect_exact(PROMPT)
        shell.sendline("while ! stty size | grep -q '20 90'; do sleep 0.05; done; echo si''ze=ok; exit 3")
        shell.expect("size=ok\r\n")
        shell.expect(pexpect.EOF)
        shell.wait()
        assert shell.exitstatus == 3


def test_run_t_detached_has_a_terminal(engine: Engine) -> None:
    """-d -t: the program has a terminal though nobody looks; resize works and is refused once it has ended."""
    script = "while ! stty size 2>/dev/null | grep -q '30 99'; do sleep 0.05; done; [ -t 1 ] && echo tty"
    engine.ok("run", "-d", "-t", "--name", "it", "busybox", "sh", "-c", script)
    assert engine.request("POST", "/containers/it/resize?h=30&w=99").status == 200
    assert engine.ok("wait", "it") == "0"
    assert engine.ok("logs", "it") == "tty\r"
    assert engine.request("POST", "/containers/it/resize?h=30&w=99").status in {409, 500}
    assert engine.request("POST", "/containers/it/resize?h=a&w=99").status == 400


def test_run_t_large_output_is_whole(engine: Engine) -> None:
    """A megabyte through a terminal, with the terminal's line ends."""
    out = engine.docker_bytes("run", "--rm", "-t", "busybox", "seq", "1", "150000").stdout
    assert out == b"".join(b"%d\r\n" % n for n in range(1, 150_001))


def test_run_it_needs_a_terminal(engine: Engine) -> None:
    """-t with input from a file is refused by the client."""
    done = engine.docker("run", "--rm", "-it", "busybox", "true")
    assert done.returncode == 1
    assert "the input device is not a TTY" in done.stderr or sys.stdin.isatty()
