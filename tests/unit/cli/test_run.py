"""`run`, `create`, `exec` and the image verbs against a scripted engine, without streams."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from shoal.cli.exits import start_failure_code
from tests.unit.cli.invocation import shoal
from tests.unit.client.scripted import answer, chunked

CREATED = answer(201, {"Id": "c0ffee", "Warnings": []})
NO_IMAGE = answer(404, {"message": "No such image: busybox:latest"})


def test_run_detached_prints_the_id() -> None:
    """Create, start, id; nothing is attached."""
    outcome = shoal("run", "-d", "--name", "x", "busybox", "true", scripts=[[CREATED, answer(204)]])
    assert (outcome.code, outcome.stdout) == (0, "c0ffee\n")
    assert outcome.requests == ["POST /v1.50/containers/create?name=x", "POST /v1.50/containers/c0ffee/start"]


def test_run_shows_the_engines_warnings() -> None:
    """A limit that can't be applied is told on stderr."""
    created = answer(201, {"Id": "c0ffee", "Warnings": ["no swap limit"]})
    outcome = shoal("run", "-d", "busybox", scripts=[[created, answer(204)]])
    assert outcome.stderr == "WARNING: no swap limit\n"


def test_run_pulls_a_missing_image_and_tries_again() -> None:
    """Docker's sentence, then the pull, then the second create."""
    pulled = chunked(b'{"status":"Pulling from library/busybox","id":"latest"}\n', b'{"status":"Done"}\n')
    outcome = shoal("run", "-d", "busybox", scripts=[[NO_IMAGE, pulled, CREATED, answer(204)]])
    assert outcome.code == 0
    assert outcome.stderr.splitlines() == [
        "Unable to find image 'busybox:latest' locally",
        "latest: Pulling from library/busybox",
        "Done",
    ]
    assert outcome.requests[1] == "POST /v1.50/images/create?fromImage=busybox&tag=latest"


def test_run_that_can_not_pull_is_an_engine_error() -> None:
    """125, and the engine's reason."""
    refused = answer(501, {"message": "pulling is not served yet", "fix": "shoal load"})
    outcome = shoal("run", "-d", "busybox", scripts=[[NO_IMAGE, refused]])
    assert outcome.code == 125
    assert outcome.stderr.splitlines()[1:] == ["shoal: pulling is not served yet", "hint: shoal load"]


def test_run_pull_never_does_not_pull() -> None:
    """The engine's sentence is all there is."""
    outcome = shoal("run", "--pull", "never", "-d", "busybox", scripts=[[NO_IMAGE]])
    assert outcome.code == 125
    assert outcome.stderr == "shoal: No such image: busybox:latest\n"


def test_run_pull_policy_unknown_is_a_usage_error() -> None:
    """Nothing is sent."""
    outcome = shoal("run", "--pull", "maybe", "busybox")
    assert (outcome.code, outcome.requests) == (125, [])
    assert "invalid pull option" in outcome.stderr


def test_run_attach_and_detach_conflict() -> None:
    """Docker's sentence."""
    outcome = shoal("run", "-d", "-a", "stdout", "busybox")
    assert outcome.code == 1
    assert "cannot specify both --attach and --detach" in outcome.stderr


def test_run_terminal_needs_a_terminal() -> None:
    """`-it` from a pipe is refused before anything is created."""
    outcome = shoal("run", "-it", "busybox")
    assert (outcome.code, outcome.requests) == (1, [])
    assert "the input device is not a TTY" in outcome.stderr


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ('exec: "x": executable file not found in $PATH: unknown', 127),
        ("exec: /nowhere: no such file or directory", 127),
        ('exec: "/etc": permission denied', 126),
        ('exec: "/etc": is a directory', 126),
        ("driver failed programming external connectivity", 125),
    ],
)
def test_start_failure_codes_are_dockers(message: str, code: int) -> None:
    """The engine's words decide, as with Docker's client."""
    assert start_failure_code(message) == code
    outcome = shoal("run", "-d", "busybox", scripts=[[CREATED, answer(400, {"message": message})]])
    assert outcome.code == code
    assert outcome.stdout == "c0ffee\n"


def test_run_cidfile_gets_the_id(tmp_path: Path) -> None:
    """A file that exists is refused before the create."""
    path = tmp_path / "cid"
    words = ("create", "--cidfile", str(path), "busybox")
    assert shoal(*words, scripts=[[CREATED]]).code == 0
    assert path.read_text() == "c0ffee"
    outcome = shoal(*words)
    assert (outcome.code, outcome.requests) == (1, [])
    assert "container ID file found" in outcome.stderr


def test_exec_detached_sends_the_command() -> None:
    """Create and start; the command's own flags are its own."""
    script = [answer(201, {"Id": "e1"}), answer(200)]
    outcome = shoal("exec", "-d", "-e", "A=1", "-w", "/x", "c", "ls", "-l", "-d", scripts=[script])
    assert outcome.code == 0
    assert outcome.requests == ["POST /v1.50/containers/c/exec", "POST /v1.50/exec/e1/start"]
    body = json.loads(outcome.received[0].body)
    assert body["Cmd"] == ["ls", "-l", "-d"]
    assert (body["Env"], body["WorkingDir"], body["AttachStdout"]) == (["A=1"], "/x", False)


def test_exec_in_a_stopped_container_fails_with_1() -> None:
    """As Docker's client: 125 is for run."""
    outcome = shoal("exec", "c", "true", scripts=[[answer(409, {"message": "Container c is not running"})]])
    assert (outcome.code, outcome.stderr) == (1, "shoal: Container c is not running\n")


def test_rm_force_of_a_missing_container_is_told_and_no_failure() -> None:
    """`rm -f` is idempotent."""
    missing = answer(404, {"message": "No such container: c"})
    assert shoal("rm", "-f", "c", scripts=[[missing]]).code == 0
    assert shoal("rm", "c", scripts=[[missing]]).code == 1


def test_wait_prints_each_exit_code() -> None:
    """One line for each container."""
    scripts = [[answer(200, {"StatusCode": 3}), answer(200, {"StatusCode": 0})]]
    assert shoal("wait", "a", "b", scripts=scripts).stdout == "3\n0\n"


def test_rmi_tells_what_was_done() -> None:
    """Untagged and Deleted lines."""
    done = answer(200, [{"Untagged": "busybox:latest"}, {"Deleted": "sha256:aa"}])
    outcome = shoal("rmi", "-f", "busybox", scripts=[[done]])
    assert outcome.stdout == "Untagged: busybox:latest\nDeleted: sha256:aa\n"
    assert outcome.requests == ["DELETE /v1.50/images/busybox?force=1"]


def test_tag_splits_the_target() -> None:
    """A registry's port is no tag."""
    requests = shoal("tag", "a", "localhost:5000/b", scripts=[[answer(201)]]).requests
    assert requests == ["POST /v1.50/images/a/tag?repo=localhost%3A5000%2Fb&tag=latest"]


def test_load_reads_a_file_and_names_the_images(tmp_path: Path) -> None:
    """The length is sent, progress is not shown."""
    path = tmp_path / "x.tar"
    path.write_bytes(b"archive")
    reply = chunked(b'{"status":"Loading layer"}\n{"stream":"Loaded image: x:latest\\n"}\n')
    outcome = shoal("load", "-i", str(path), scripts=[[reply]])
    assert outcome.stdout == "Loaded image: x:latest\n"
    assert (outcome.received[0].headers["content-length"], outcome.received[0].body) == ("7", b"archive")
    assert shoal("load", "-i", str(tmp_path / "no")).stderr.endswith("no: no such file or directory\n")


def test_save_writes_the_file_whole_or_not_at_all(tmp_path: Path) -> None:
    """A save that breaks off leaves nothing behind."""
    path = tmp_path / "x.tar"
    assert shoal("save", "-o", str(path), "x", scripts=[[chunked(b"arch", b"ive")]]).code == 0
    assert path.read_bytes() == b"archive"
    cut = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\narch"
    assert shoal("save", "-o", str(tmp_path / "y.tar"), "x", scripts=[[cut]]).code == 1
    assert [entry.name for entry in tmp_path.iterdir()] == ["x.tar"]


def test_save_to_stdout_is_the_archive() -> None:
    """Byte by byte."""
    assert shoal("save", "a", "b", scripts=[[chunked(b"arch", b"ive")]]).stdout == "archive"


def test_import_prints_the_new_id(tmp_path: Path) -> None:
    """Changes and the name are sent as Docker's client sends them."""
    path = tmp_path / "x.tar"
    path.write_bytes(b"")
    reply = chunked(b'{"status":"sha256:aa"}\n')
    outcome = shoal("import", "-c", 'CMD ["sh"]', str(path), "x:1", scripts=[[reply]])
    assert outcome.stdout == "sha256:aa\n"
    assert outcome.requests == ["POST /v1.50/images/create?fromSrc=-&repo=x%3A1&changes=CMD+%5B%22sh%22%5D"]


def test_port_lists_what_is_published() -> None:
    """All ports in order, or the addresses of one."""
    ports = {"80/tcp": [{"HostIp": "0.0.0.0", "HostPort": "8080"}], "53/udp": [{"HostIp": "::", "HostPort": "53"}]}
    inspected = answer(200, {"NetworkSettings": {"Ports": ports | {"90/tcp": None}}})
    assert shoal("port", "c", scripts=[[inspected]]).stdout == "53/udp -> [::]:53\n80/tcp -> 0.0.0.0:8080\n"
    assert shoal("port", "c", "80", scripts=[[inspected]]).stdout == "0.0.0.0:8080\n"
    assert "No public port '90' published for c" in shoal("port", "c", "90", scripts=[[inspected]]).stderr


def test_events_shows_a_line_for_each() -> None:
    """Time, type, action, who, and attributes in order."""
    event = {
        "Type": "container",
        "Action": "start",
        "Actor": {"ID": "c0ffee", "Attributes": {"name": "web", "image": "busybox"}},
        "timeNano": 1_700_000_000_000_000_001,
    }
    line = json.dumps(event).encode() + b"\n"
    outcome = shoal("events", "--until", "0s", scripts=[[chunked(line)]])
    assert outcome.stdout.rstrip().endswith(" container start c0ffee (image=busybox, name=web)")
    assert ".000000001" in outcome.stdout
    outcome = shoal("events", "--until", "0s", "--format", "{{.Action}}", scripts=[[chunked(line)]])
    assert outcome.stdout == "start\n"


def test_version_without_an_engine_shows_the_client() -> None:
    """The client's half, then the reason, and code 1."""
    outcome = shoal("version", scripts=[[b""]])
    assert outcome.code == 1
    assert outcome.stdout.startswith("Client:\n Version:")
    assert "closed the connection" in outcome.stderr


def test_logs_keeps_the_streams_apart() -> None:
    """What was written to stderr goes to stderr; a terminal's log is raw."""
    framed = b"\1\0\0\0\0\0\0\4out\n" + b"\2\0\0\0\0\0\0\4err\n"
    inspected = answer(200, {"Id": "c0ffee", "Config": {"Tty": False}})
    outcome = shoal("logs", "-n", "5", "c", scripts=[[inspected, chunked(framed[:10], framed[10:])]])
    assert (outcome.stdout, outcome.stderr) == ("out\n", "err\n")
    assert outcome.requests[1] == "GET /v1.50/containers/c0ffee/logs?stdout=1&stderr=1&tail=5"
    inspected = answer(200, {"Id": "c0ffee", "Config": {"Tty": True}})
    assert shoal("logs", "c", scripts=[[inspected, chunked(b"raw\r\n")]]).stdout == "raw\r\n"
