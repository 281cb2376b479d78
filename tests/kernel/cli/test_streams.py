"""`shoal` in pipes: streams, exit codes and signals of real containers."""

from __future__ import annotations

import hashlib
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.engines.shoald import Shoald
from tests.kernel.cli.shoal import shoal, started

pytestmark = pytest.mark.root

MUCH = bytes(range(256)) * 8192  # 2 MiB


def test_run_keeps_the_streams_apart_and_the_code(shoald: Shoald) -> None:
    """stdout, stderr, exit code: each as the program gave it."""
    done = shoal(shoald, "run", "--rm", "busybox", "sh", "-c", "echo out; echo err >&2; exit 7")
    assert (done.returncode, done.stdout, done.stderr) == (7, b"out\n", b"err\n")


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        (("busybox", "nosuch"), 127, b"executable file not found in $PATH"),
        (("busybox", "/etc/passwd"), 126, b"permission denied"),
        (("--bogus", "busybox"), 125, b"unknown flag: --bogus"),
        (("--pull", "never", "nosuchimage"), 125, b"No such image: nosuchimage:latest"),
        (("nosuchimage",), 125, b"Unable to find image 'nosuchimage:latest' locally"),
        (("-w", "relative", "busybox"), 125, b"relative"),
        (("--network", "nosuch", "busybox"), 125, b"nosuch"),
    ],
)
def test_run_failures_have_dockers_codes(shoald: Shoald, words: tuple[str, ...], code: int, sentence: bytes) -> None:
    """125 the engine, 126 not executable, 127 not found; --rm removes in every case."""
    done = shoal(shoald, "run", "--rm", *words)
    assert done.returncode == code, done.stderr
    assert sentence in done.stderr
    assert done.stdout == b""
    assert shoal(shoald, "ps", "-aq").stdout == b""


def test_run_i_passes_much_through_both_ways(shoald: Shoald) -> None:
    """More than every buffer on the way, unchanged, with the end of stdin handed on."""
    done = shoal(shoald, "run", "--rm", "-i", "busybox", "cat", input=MUCH)
    assert done.returncode == 0
    assert hashlib.sha256(done.stdout).digest() == hashlib.sha256(MUCH).digest()


def test_exec_i_passes_much_through_both_ways(shoald: Shoald) -> None:
    """The same through an exec, and its exit code."""
    shoal(shoald, "run", "-d", "--name", "cc", "busybox", "sleep", "1000")
    done = shoal(shoald, "exec", "-i", "cc", "sh", "-c", "cat; echo err >&2; exit 5", input=MUCH)
    assert (done.returncode, done.stderr) == (5, b"err\n")
    assert hashlib.sha256(done.stdout).digest() == hashlib.sha256(MUCH).digest()


def test_run_without_i_has_no_input(shoald: Shoald) -> None:
    """The program reads an end at once; nothing of the client's input is taken."""
    assert shoal(shoald, "run", "--rm", "busybox", "cat", input=b"unread").stdout == b""


def test_run_output_to_a_closed_pipe_ends_the_client(shoald: Shoald) -> None:
    """`shoal run … | head -1` ends when head does."""
    with started(shoald, "run", "--rm", "--name", "cc", "busybox", "yes") as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"y\n"
        process.stdout.close()
        assert process.wait(20) == 141


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1])
def test_run_forwards_signals(shoald: Shoald, number: signal.Signals) -> None:
    """What the client gets the program gets, and the program's answer is the end of both."""
    name = number.name.removeprefix("SIG")
    script = f"trap 'echo got {name}; exit 4' {name}; echo ready; while :; do sleep 0.05; done"
    with started(shoald, "run", "--rm", "busybox", "sh", "-c", script) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        process.send_signal(number)
        assert process.stdout.read() == f"got {name}\n".encode()
        assert process.wait(20) == 4


def test_run_forwards_signals_after_the_program_closed_its_output(shoald: Shoald, tmp_path: Path) -> None:
    """A program that nobody can hear any more is still awaited, and still signalled."""
    script = "trap 'exit 4' INT; exec >&- 2>&-; touch /mark/closed; while :; do sleep 0.05; done"
    words = ("run", "--rm", "-v", f"{tmp_path}:/mark", "busybox", "sh", "-c", script)
    with started(shoald, *words) as process:
        while process.poll() is None and not (tmp_path / "closed").exists():
            time.sleep(0.01)  # nothing but the file tells
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 4


def test_run_sig_proxy_false_ends_only_the_client(shoald: Shoald) -> None:
    """Ctrl-C leaves the container alone."""
    words = ("run", "--sig-proxy=false", "--name", "cc", "busybox", "sh", "-c", "echo ready; sleep 1000")
    with started(shoald, *words) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 130
    assert shoal(shoald, "inspect", "-f", "{{.State.Running}}", "cc").stdout == b"true\n"


def test_logs_show_what_was_written(shoald: Shoald) -> None:
    """Both streams, the last lines, and with -f until the end."""
    script = "for i in 1 2 3; do echo $i; done; echo err >&2"
    shoal(shoald, "run", "--name", "cc", "busybox", "sh", "-c", script)
    done = shoal(shoald, "logs", "-f", "cc")
    assert (done.stdout, done.stderr) == (b"1\n2\n3\n", b"err\n")
    assert shoal(shoald, "logs", "-n", "2", "cc").stdout == b"3\n"
    stamped = shoal(shoald, "logs", "-t", "-n", "all", "cc").stdout.splitlines()
    assert [line.split()[1] for line in stamped] == [b"1", b"2", b"3"]
    assert shoal(shoald, "logs", "--since", "1h", "cc").stdout == b"1\n2\n3\n"
    assert shoal(shoald, "logs", "--until", "1h", "cc").stdout == b""


def test_verbs_of_a_containers_life(shoald: Shoald) -> None:
    """create, start, kill, wait, restart, stop, rename, rm: each tells what it did."""
    created = shoal(shoald, "create", "--name", "cc", "busybox", "sleep", "1000")
    assert len(created.stdout) == 65
    for words, shown in (
        (("start", "cc"), b"cc\n"),
        (("kill", "cc"), b"cc\n"),
        (("wait", "cc"), b"137\n"),
        (("restart", "-t", "0", "cc"), b"cc\n"),
        (("stop", "-t", "0", "cc"), b"cc\n"),
        (("rename", "cc", "dd"), b""),
        (("rm", "dd"), b"dd\n"),
    ):
        done = shoal(shoald, *words)
        assert (done.returncode, done.stdout) == (0, shown), (words, done.stderr)


def test_images_round_trip(shoald: Shoald, tmp_path: Path) -> None:
    """tag, save, rmi, load, history: an image comes back under its name."""
    path = tmp_path / "x.tar"
    assert shoal(shoald, "tag", "busybox", "copy:1").returncode == 0
    assert shoal(shoald, "save", "-o", str(path), "copy:1").returncode == 0
    assert shoal(shoald, "rmi", "copy:1").stdout == b"Untagged: copy:1\n"
    assert shoal(shoald, "load", input=path.read_bytes()).stdout == b"Loaded image: copy:1\n"
    assert shoal(shoald, "images", "--format", "{{.Repository}}:{{.Tag}}", "copy").stdout == b"copy:1\n"
    assert shoal(shoald, "history", "-q", "copy:1").stdout
    shoal(shoald, "rmi", "copy:1")


def test_import_makes_an_image_with_changes(shoald: Shoald) -> None:
    """A tar of a file system on stdin."""
    archive = subprocess.run(["tar", "-c", "-C", "/", "bin/busybox"], capture_output=True, check=True).stdout
    done = shoal(shoald, "import", "-c", 'CMD ["/bin/busybox","echo","hi"]', "-", "tiny", input=archive)
    assert done.stdout.startswith(b"sha256:"), done.stderr
    assert shoal(shoald, "run", "--rm", "tiny").stdout == b"hi\n"
    shoal(shoald, "rmi", "tiny")
