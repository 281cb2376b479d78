"""How `docker run` ends: the program's own exit code, signals, and 125, 126, 127 where there was no program."""

from __future__ import annotations

import pytest

from tests.engines.engine import Engine

pytestmark = pytest.mark.usefixtures("cli")


@pytest.mark.parametrize("code", [0, 1, 3, 42, 126, 255])
def test_run_exit_code_is_the_programs(engine: Engine, code: int) -> None:
    """`docker run` ends as the program did."""
    assert engine.docker("run", "--rm", "busybox", "sh", "-c", f"exit {code}").returncode == code


def test_run_exit_code_of_a_signal_is_128_and_more(engine: Engine) -> None:
    """A program that a signal ends gives 128 and the signal's number."""
    shot = "sleep 1000 & kill -9 $!; wait $!"
    assert engine.docker("run", "--rm", "busybox", "sh", "-c", shot).returncode == 137
    identifier = engine.ok("run", "-d", "busybox", "sleep", "1000")
    engine.ok("kill", identifier)
    assert engine.ok("wait", identifier) == "137"


def test_run_command_not_found_is_127(engine: Engine) -> None:
    """A program that is not there: Docker's sentence, exit code 127, and the container stays as created."""
    done = engine.docker("run", "--name", "absent", "busybox", "no-such-program")
    assert done.returncode == 127
    assert 'exec: "no-such-program": executable file not found in $PATH' in done.stderr
    assert engine.ok("inspect", "-f", "{{.State.Status}} {{.State.ExitCode}}", "absent") == "created 127"


def test_run_absolute_command_not_found_is_127(engine: Engine) -> None:
    """The same for a path: no such file or directory."""
    done = engine.docker("run", "--rm", "busybox", "/no/such/program")
    assert done.returncode == 127
    assert "no such file or directory" in done.stderr


@pytest.mark.parametrize("program", ["/etc/plain-file", "/etc"])
def test_run_command_not_executable_is_126(engine: Engine, program: str) -> None:
    """A file that may not be executed, or a directory: exit code 126, and why (newer runc names the directory)."""
    done = engine.docker("run", "--rm", "busybox", program)
    assert done.returncode == 126
    assert f'exec: "{program}": ' in done.stderr
    assert "permission denied" in done.stderr or (program == "/etc" and "is a directory" in done.stderr)


def test_run_rm_after_a_failed_start_leaves_nothing(engine: Engine) -> None:
    """--rm removes the container also when its program could not be started."""
    assert engine.docker("run", "--rm", "busybox", "no-such-program").returncode == 127
    assert engine.docker("run", "-d", "--rm", "busybox", "no-such-program").returncode == 127
    assert engine.ok("ps", "-aq") == ""


def test_run_flag_unknown_is_125(engine: Engine) -> None:
    """What the client itself refuses is 125 as well."""
    assert engine.docker("run", "--no-such-flag", "busybox").returncode == 125


def test_run_separates_stdout_from_stderr(engine: Engine) -> None:
    """Without a TTY the two streams arrive where they belong."""
    done = engine.docker("run", "--rm", "busybox", "sh", "-c", "echo out; echo err >&2")
    assert (done.stdout, done.stderr) == ("out\n", "err\n")


def test_run_stdin_half_close_reaches_the_program(engine: Engine) -> None:
    """`echo hi | docker run -i IMG cat`: the end of input is the program's end of input, and all output arrives."""
    assert engine.ok("run", "--rm", "-i", "busybox", "cat", input="hi\n") == "hi"
    late = "cat > /tmp/in; sleep 0.3; wc -c < /tmp/in"
    assert engine.ok("run", "--rm", "-i", "busybox", "sh", "-c", late, input="x" * 1000) == "1000"


def test_run_without_i_has_an_empty_stdin(engine: Engine) -> None:
    """Without -i the client's input goes nowhere."""
    assert engine.ok("run", "--rm", "busybox", "sh", "-c", "cat; echo done", input="lost") == "done"


@pytest.mark.parametrize("size", [65_537, 1 << 20])
def test_run_large_output_arrives_whole(engine: Engine, size: int) -> None:
    """More than a pipe holds arrives in full and in order, on both streams, also through a round trip."""
    script = f"head -c {size} /dev/zero | tr '\\0' o; head -c {size} /dev/zero | tr '\\0' e >&2"
    done = engine.docker_bytes("run", "--rm", "busybox", "sh", "-c", script)
    assert (done.stdout == b"o" * size, done.stderr == b"e" * size) == (True, True)
    data = bytes(range(256)) * (size // 256)
    assert engine.docker_bytes("run", "--rm", "-i", "busybox", "cat", input=data).stdout == data


def test_run_sig_proxy_passes_the_clients_signal(engine: Engine) -> None:
    """A SIGTERM to the attached client goes to the program, whose exit code the client then has."""
    script = "trap 'echo bye; exit 9' TERM; echo ready; while :; do sleep 0.05; done"
    client = engine.popen("run", "--rm", "busybox", "sh", "-c", script)
    assert client.stdout is not None
    assert client.stdout.readline() == b"ready\n"
    client.terminate()
    out, _ = client.communicate(timeout=20)
    assert (out, client.returncode) == (b"bye\n", 9)


def test_run_client_killed_leaves_the_container_running(engine: Engine) -> None:
    """A client that vanishes does not take the program with it."""
    client = engine.popen("run", "--name", "alone", "busybox", "sh", "-c", "echo ready; exec sleep 1000")
    assert client.stdout is not None
    assert client.stdout.readline() == b"ready\n"
    client.kill()
    client.communicate()
    assert engine.ok("inspect", "-f", "{{.State.Running}}", "alone") == "true"
    assert engine.ok("exec", "alone", "echo", "still here") == "still here"


def test_run_many_at_once_all_end_well(engine: Engine) -> None:
    """Eight clients at the same time: each has its own output and exit code."""
    clients = [engine.popen("run", "--rm", "busybox", "sh", "-c", f"echo {n}; exit {n}") for n in range(8)]
    outcome = [(client.communicate(timeout=60)[0], client.returncode) for client in clients]
    assert outcome == [(f"{n}\n".encode(), n) for n in range(8)]


def test_create_and_start_attached_is_a_run(engine: Engine) -> None:
    """`docker create` then `start -a`, and `start -ai` with input, behave as run does."""
    engine.ok("create", "--name", "later", "busybox", "sh", "-c", "echo one; exit 4")
    done = engine.docker("start", "-a", "later")
    assert (done.stdout, done.returncode) == ("one\n", 4)
    engine.ok("create", "-i", "--name", "echoing", "busybox", "cat")
    assert engine.ok("start", "-ai", "echoing", input="in\n") == "in"


def test_start_again_runs_the_same_container_anew(engine: Engine) -> None:
    """A stopped container starts again with its files kept."""
    engine.ok("run", "--name", "again", "busybox", "sh", "-c", "echo x >> /count; wc -l < /count")
    assert engine.ok("start", "-a", "again") == "2"
    assert engine.ok("start", "-a", "again") == "3"
