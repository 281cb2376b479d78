"""Terminals: given away over a console socket, and joined to the caller's."""

from __future__ import annotations

import os
import socket
import subprocess
import time

import pexpect
import pytest

from tests.kernel.oci_runtime.runtime import Bundle, Runtime, output_of

pytestmark = pytest.mark.root


def read_until(fd: int, text: bytes) -> bytes:
    """What the terminal says, once `text` is in it."""
    said = b""
    deadline = time.monotonic() + 20
    while text not in said:
        assert time.monotonic() < deadline, said
        said += os.read(fd, 4096)
    return said


def receive_console(runtime: Runtime, box: Bundle, *words: str) -> int:
    """The terminal's master, which the call `words` sent over its console socket."""
    # Deeper than a socket's address may be long.
    deep = box.directory / ("d" * 60) / ("e" * 60)
    deep.mkdir(parents=True, exist_ok=True)
    with socket.socket(socket.AF_UNIX) as listener:
        directory = os.open(deep, os.O_PATH)
        listener.bind(f"/proc/self/fd/{directory}/{words[0]}.sock")
        os.close(directory)
        listener.listen(1)
        command = runtime.command(words[0], "--console-socket", str(deep / f"{words[0]}.sock"), *words[1:])
        subprocess.run(command, check=True, stdin=subprocess.DEVNULL)
        connection, _ = listener.accept()
        with connection:
            _, fds, _, _ = socket.recv_fds(connection, 256, 1)
    return fds[0]


def test_console_socket_gets_the_terminal(runtime: Runtime, box: Bundle) -> None:
    """A created container's terminal is with the caller before it starts; its size is the specification's."""
    box.process["terminal"] = True
    box.process["consoleSize"] = {"height": 33, "width": 77}
    box.process["args"] = ["sh"]
    box.write()
    master = receive_console(runtime, box, "create", "--bundle", str(box.directory), "one")
    output_of(runtime.call("start", "one"))
    os.write(master, b"stty size; tty; test -c /dev/console && echo console-$((1+1))\n")
    said = read_until(master, b"console-2")
    assert b"33 77" in said
    assert b"/dev/pts/0" in said
    os.close(master)


def test_exec_gets_a_terminal_of_its_own(runtime: Runtime, box: Bundle) -> None:
    """A detached exec with a terminal gives it away over its own console socket."""
    box.process["args"] = ["sleep", "100"]
    runtime.start(box)
    master = receive_console(runtime, box, "exec", "--detach", "--tty", "one", "sh")
    os.write(master, b"tty; echo answer-$((40+2))\n")
    assert b"/dev/pts/" in read_until(master, b"answer-42")
    os.close(master)


def test_run_in_the_foreground_joins_the_callers_terminal(runtime: Runtime, box: Bundle) -> None:
    """The caller types into the container, sees its answer, and gets its exit code; its own terminal is as before."""
    box.process["terminal"] = True
    box.process["args"] = ["sh"]
    box.write()
    command = runtime.command("run", "--bundle", str(box.directory), "one")
    child = pexpect.spawn(command[0], command[1:], dimensions=(30, 90), timeout=20)
    child.expect("#")
    child.sendline("stty size; exit 6")
    child.expect("30 90")
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 6


@pytest.mark.parametrize(
    ("terminal", "words", "sentence"),
    [
        (True, ("create",), "cannot allocate tty if shoal-runtime will detach without setting console socket"),
        (True, ("run", "--detach"), "cannot allocate tty if shoal-runtime will detach without setting console socket"),
        (False, ("create", "--console-socket", "/x"), "cannot use console socket if the process has no terminal"),
        (True, ("run", "--console-socket", "/x"), "cannot use console socket if shoal-runtime will not detach"),
        (True, ("create", "--console-socket", "/no/such/socket"), "no such file or directory"),
    ],
)
def test_terminal_and_console_socket_must_fit(
    runtime: Runtime, box: Bundle, terminal: bool, words: tuple[str, ...], sentence: str
) -> None:
    """A terminal that nobody would get, or a socket that would get none, is an error that leaves nothing."""
    box.process["terminal"] = terminal
    box.write()
    done = runtime.call(*words, "--bundle", str(box.directory), "one")
    assert (done.returncode, sentence in done.stderr) == (1, True), done.stderr
    assert runtime.call("state", "one").returncode == 1
