"""`docker logs`: the whole, the end, a span of time, following, and both streams."""

from __future__ import annotations

import re
import time
from datetime import datetime

import pytest

from tests.engines.engine import Engine

pytestmark = pytest.mark.usefixtures("cli")


def ended(engine: Engine, script: str, *options: str) -> str:
    """The id of a container that has run a shell script to its end."""
    identifier = engine.ok("run", "-d", *options, "busybox", "sh", "-c", script)
    engine.ok("wait", identifier)
    return identifier


def test_logs_keep_streams_apart(engine: Engine) -> None:
    """What went to stdout comes on stdout and what went to stderr on stderr."""
    done = engine.docker("logs", ended(engine, "echo out; echo err >&2"))
    assert (done.stdout, done.stderr) == ("out\n", "err\n")


def test_logs_tail_gives_the_last_lines(engine: Engine) -> None:
    """--tail N, 0, all, and more than there is."""
    identifier = ended(engine, "seq 1 100")
    assert engine.ok("logs", "--tail", "3", identifier).split() == ["98", "99", "100"]
    assert engine.ok("logs", "--tail", "0", identifier) == ""
    assert engine.ok("logs", "--tail", "all", identifier) == engine.ok("logs", "--tail", "1000", identifier)


def test_logs_timestamps_are_rfc3339_with_nanoseconds(engine: Engine) -> None:
    """-t puts the time in front of each line, in UTC and in order."""
    lines = engine.ok("logs", "-t", ended(engine, "echo a; sleep 0.1; echo b")).splitlines()
    stamps = [line.split(" ")[0] for line in lines]
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z", stamp) for stamp in stamps)
    assert stamps == sorted(stamps)
    assert [line.split(" ")[1] for line in lines] == ["a", "b"]
    assert abs(datetime.fromisoformat(stamps[0][:26] + "+00:00").timestamp() - time.time()) < 60


def test_logs_since_and_until_bound_the_time(engine: Engine) -> None:
    """--since and --until take what -t printed, and a duration."""
    identifier = ended(engine, "echo a; sleep 0.4; echo b; sleep 0.4; echo c")
    stamps = [line.split(" ")[0] for line in engine.ok("logs", "-t", identifier).splitlines()]
    assert engine.ok("logs", "--since", stamps[1], identifier).split() == ["b", "c"]
    assert engine.ok("logs", "--until", stamps[1], identifier).split()[:1] == ["a"]
    assert "c" not in engine.ok("logs", "--until", stamps[1], identifier).split()
    assert engine.ok("logs", "--since", "1h", identifier).split() == ["a", "b", "c"]


def test_logs_follow_ends_with_the_container(engine: Engine) -> None:
    """-f gives what is there and what comes, and ends when the program does."""
    script = "echo early; while [ ! -e /go ]; do sleep 0.05; done; echo late"
    engine.ok("run", "-d", "--name", "talker", "busybox", "sh", "-c", script)
    follower = engine.popen("logs", "-f", "talker")
    assert follower.stdout is not None
    assert follower.stdout.readline() == b"early\n"
    engine.ok("exec", "talker", "touch", "/go")
    out, _ = follower.communicate(timeout=20)
    assert (out, follower.returncode) == (b"late\n", 0)


def test_logs_follow_of_an_ended_container_returns(engine: Engine) -> None:
    """-f on a container that has ended gives all and returns."""
    assert engine.ok("logs", "-f", ended(engine, "echo all"), timeout_s=20) == "all"


def test_logs_follow_tail_starts_near_the_end(engine: Engine) -> None:
    """-f --tail 1 begins with the last line and goes on."""
    script = "echo one; echo two; while [ ! -e /go ]; do sleep 0.05; done; echo three"
    engine.ok("run", "-d", "--name", "talker", "busybox", "sh", "-c", script)
    while "two" not in engine.ok("logs", "talker"):
        pass
    follower = engine.popen("logs", "-f", "--tail", "1", "talker")
    assert follower.stdout is not None
    assert follower.stdout.readline() == b"two\n"
    engine.ok("exec", "talker", "touch", "/go")
    assert follower.communicate(timeout=20)[0] == b"three\n"


def test_logs_of_a_large_output_are_whole(engine: Engine) -> None:
    """A megabyte in lines, and one line longer than any buffer, come back as they were written."""
    out = engine.docker_bytes("logs", ended(engine, "seq 1 150000; head -c 200000 /dev/zero | tr '\\0' x")).stdout
    lines = out.split(b"\n")
    assert lines[:150_000] == [str(n).encode() for n in range(1, 150_001)]
    assert lines[150_000] == b"x" * 200_000


def test_logs_of_bytes_that_are_no_text(engine: Engine) -> None:
    """A last line without its end is kept, and so is text of any language."""
    identifier = ended(engine, "printf 'grüße \\t \"quoted\" \\\\ <&>\\nno end'")
    assert engine.docker("logs", identifier).stdout == 'grüße \t "quoted" \\ <&>\nno end'


def test_logs_with_a_tty_are_one_stream(engine: Engine) -> None:
    """With -t both streams are one, with a terminal's line ends."""
    done = engine.docker("logs", ended(engine, "echo out; echo err >&2", "-t"))
    assert (done.stdout, done.stderr) == ("out\r\nerr\r\n", "")


def test_logs_of_driver_none_cannot_be_read(engine: Engine) -> None:
    """--log-driver none keeps nothing, and says so."""
    done = engine.docker("logs", ended(engine, "echo x", "--log-driver", "none"))
    assert done.returncode == 1
    assert "configured logging driver does not support reading" in done.stderr


def test_logs_rotate_at_the_size_that_was_asked_for(engine: Engine) -> None:
    """--log-opt max-size and max-file bound the log; the newest lines are what is left."""
    options = ["--log-opt", "max-size=20k", "--log-opt", "max-file=2"]
    lines = engine.ok("logs", ended(engine, "seq 1 5000", *options)).split()
    assert lines[-1] == "5000"
    assert 100 < len(lines) < 5000
    assert lines == [str(n) for n in range(5001 - len(lines), 5001)]


def test_logs_of_a_container_started_twice_have_both_runs(engine: Engine) -> None:
    """A second start appends."""
    identifier = ended(engine, "echo again")
    engine.ok("start", "-a", identifier)
    assert engine.ok("logs", identifier).split() == ["again", "again"]
