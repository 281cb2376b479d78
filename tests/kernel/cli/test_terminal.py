"""`shoal` on a terminal: shells, sizes, detaching, and what is left of the user's own terminal."""

from __future__ import annotations

import os
import signal
import subprocess
import termios
from collections.abc import Callable

import pexpect
import pytest

from tests.engines.shoald import Shoald
from tests.kernel.cli.shoal import COMMAND, environment, exit_code, on_terminal, shoal

pytestmark = pytest.mark.root

PROMPT = "/ # "
DETACH = "\x10\x11"


def settings_of(child: pexpect.spawn) -> list[object]:
    """The settings of the terminal that the command runs on."""
    return list(termios.tcgetattr(child.child_fd))


def wait_until(child: pexpect.spawn, condition: Callable[[], bool], what: str) -> None:
    """Reads on until the condition holds."""
    for _ in range(200):
        if condition():
            return
        child.expect([pexpect.TIMEOUT, pexpect.EOF, "(?s).+"], timeout=0.05)
    raise AssertionError(f"not within 10 s: {what}")


def test_run_it_is_a_shell_with_its_exit_code(shoald: Shoald) -> None:
    """A prompt, a command, its answer; the shell's code is the client's."""
    with on_terminal(shoald, "run", "--rm", "-it", "busybox", "sh") as shell:
        shell.expect_exact(PROMPT)
        shell.sendline("tty; echo $TERM")
        shell.expect("/dev/pts/0\r\n")
        shell.sendline("exit 9")
        assert exit_code(shell) == 9
    assert shoal(shoald, "ps", "-aq").stdout == b""


def test_run_it_has_the_users_size_and_follows_it(shoald: Shoald) -> None:
    """At the start, and after SIGWINCH."""
    with on_terminal(shoald, "run", "--rm", "-it", "busybox", "sh", rows=33, columns=101) as shell:
        shell.expect_exact(PROMPT)
        shell.sendline("until stty size | grep -q '33 101'; do sleep 0.02; done; echo fir''st")
        shell.expect("first\r\n")
        shell.setwinsize(44, 120)
        shell.sendline("until stty size | grep -q '44 120'; do sleep 0.02; done; echo sec''ond")
        shell.expect("second\r\n")


def test_run_it_ctrl_c_is_a_key_for_the_program(shoald: Shoald) -> None:
    """The container's terminal makes SIGINT of it; the client and the shell stay."""
    with on_terminal(shoald, "run", "--rm", "-it", "busybox", "sh") as shell:
        shell.expect_exact(PROMPT)
        shell.sendline("echo be''gun; sleep 1000")
        shell.expect("begun\r\n")
        # The shell may not have made `sleep` the foreground program yet, and then the first key is lost on it.
        while shell.expect_exact([PROMPT, pexpect.TIMEOUT], timeout=0.5):
            shell.sendintr()
        shell.sendline("echo $?")
        shell.expect("130\r\n")


def test_run_it_restores_the_terminal(shoald: Shoald) -> None:
    """Raw while the shell runs, as before afterwards: also when it ends by detaching."""
    with on_terminal(shoald, "run", "--name", "tt", "-it", "busybox", "sh") as shell:
        before = settings_of(shell)
        shell.expect_exact(PROMPT)
        assert settings_of(shell) != before
        shell.send(DETACH)
        wait_until(shell, lambda: settings_of(shell) == before, "the terminal's settings are back")
        assert exit_code(shell) == 0


def test_run_it_killed_by_sigterm_forwards_it_and_restores_the_terminal(shoald: Shoald) -> None:
    """A signal to the client goes to the program, whose code comes back."""
    script = "trap 'echo ended; exit 3' TERM; echo ready; while :; do sleep 0.05; done"
    with on_terminal(shoald, "run", "--rm", "-it", "busybox", "sh", "-c", script) as shell:
        shell.expect("ready\r\n")
        os.kill(shell.pid, signal.SIGTERM)
        shell.expect("ended\r\n")
        assert exit_code(shell) == 3


def test_run_detach_keys_leave_it_running(shoald: Shoald) -> None:
    """Code 0 and no word, as Docker's client; attach joins again, and its detaching is a failure that says so."""
    with on_terminal(shoald, "run", "--name", "tt", "-it", "busybox", "sh") as shell:
        shell.expect_exact(PROMPT)
        shell.send(DETACH)
        assert exit_code(shell) == 0
        assert "escape" not in shell.before
    assert shoal(shoald, "inspect", "-f", "{{.State.Running}}", "tt").stdout == b"true\n"
    with on_terminal(shoald, "attach", "tt") as shell:
        shell.sendline("echo a''gain")
        shell.expect("again\r\n")
        shell.send(DETACH)
        shell.expect("read escape sequence\r\n")
        assert exit_code(shell) == 1
    with on_terminal(shoald, "attach", "tt") as shell:
        shell.sendline("exit 7")
        assert exit_code(shell) == 7


def test_run_detach_keys_of_the_users_own(shoald: Shoald) -> None:
    """`--detach-keys`: the default keys are ordinary ones then."""
    with on_terminal(shoald, "run", "--name", "tt", "--detach-keys", "ctrl-x,x", "-it", "busybox", "cat") as cat:
        cat.send("\x10\x11ab\r")
        cat.expect("ab")
        cat.send("\x18x")
        assert exit_code(cat) == 0
    assert shoal(shoald, "inspect", "-f", "{{.State.Running}}", "tt").stdout == b"true\n"


def test_exec_it_has_a_terminal_of_the_users_size(shoald: Shoald) -> None:
    """Its code comes back; detaching from it is told, and leaves the process."""
    shoal(shoald, "run", "-d", "--name", "tt", "busybox", "sleep", "1000")
    with on_terminal(shoald, "exec", "-it", "tt", "sh", rows=33, columns=101) as shell:
        shell.expect_exact(PROMPT)
        shell.sendline("until stty size | grep -q '33 101'; do sleep 0.02; done; echo si''ze")
        shell.expect("size\r\n")
        shell.sendline("exit 6")
        assert exit_code(shell) == 6
    with on_terminal(shoald, "exec", "-it", "tt", "sh") as shell:
        shell.expect_exact(PROMPT)
        shell.send(DETACH)
        shell.expect("read escape sequence\r\n")
        assert exit_code(shell) == 1


def test_start_ai_of_a_stopped_shell(shoald: Shoald) -> None:
    """The streams are attached before it starts, and its code comes back."""
    assert shoal(shoald, "create", "--name", "tt", "-it", "busybox", "sh").returncode == 0
    with on_terminal(shoald, "start", "-ai", "tt") as shell:
        shell.expect_exact(PROMPT)
        shell.sendline("exit 4")
        assert exit_code(shell) == 4


def test_errors_on_a_terminal_are_coloured_unless_no_color(shoald: Shoald) -> None:
    """NO_COLOR is honoured."""
    with on_terminal(shoald, "inspect", "nothing") as command:
        assert exit_code(command) == 1
        assert "shoal: No such object: nothing" in command.before
        assert "\x1b[" not in command.before


def test_tables_have_colour_on_a_terminal_alone(shoald: Shoald) -> None:
    """What has ended stands back, the heading stands out; NO_COLOR, a dumb terminal and a pipe get plain text."""
    shoald.request("POST", "/containers/create?name=ended", {"Image": "busybox"})
    command, variables = [*COMMAND, "ps", "-a"], environment(shoald)
    try:
        for change, coloured in (({}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False)):
            kept = {name: value for name, value in variables.items() if name != "NO_COLOR"}
            chosen = {**kept, "TERM": "xterm", **change}
            child = pexpect.spawn(command[0], command[1:], env=chosen, encoding="utf-8", dimensions=(40, 200))
            shown = child.read()
            child.close()
            assert ("\033[1mCONTAINER ID" in shown) is coloured
            assert ("\033[2m" in shown) is coloured
            assert "ended" in shown
        piped = subprocess.run(command, capture_output=True, env={**kept, "TERM": "xterm"}, timeout=30)
        assert b"\033" not in piped.stdout
    finally:
        shoald.request("DELETE", "/containers/ended")
