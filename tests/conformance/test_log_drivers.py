"""`--log-driver` and `--log-opt`: where output goes, what is refused and in which words, what `docker logs` gives."""

from __future__ import annotations

import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import unquote_plus

import pytest

from shoal.logs.local_file import LocalFormat
from tests.engines.engine import Engine
from tests.engines.shoald import Shoald

pytestmark = pytest.mark.usefixtures("cli")

LIMIT_S = 20.0


def options(driver: str, *pairs: str) -> list[str]:
    """The flags for a driver and its options."""
    return ["--log-driver", driver, *(word for pair in pairs for word in ("--log-opt", pair))]


def ended(engine: Engine, script: str, *flags: str) -> str:
    """The id of a container that has run a shell script to its end."""
    identifier = engine.ok("run", "-d", *flags, "busybox", "sh", "-c", script)
    engine.ok("wait", identifier)
    return identifier


@pytest.fixture
def shoald(engines: Callable[[str], Engine]) -> Iterator[Engine]:
    """shoald, for what dockerd 20.10 cannot do."""
    engine = engines("shoald")
    yield engine
    engine.remove_containers()


@pytest.mark.parametrize(
    ("driver", "pairs", "sentence"),
    [
        ("json-file", ("nope=1",), "unknown log opt 'nope' for json-file log driver"),
        ("local", ("labels=a",), "unknown log opt 'labels' for log driver local"),
        ("journald", ("max-size=1m",), "unknown log opt 'max-size' for journald log driver"),
        ("syslog", ("cache-foo=1",), "unknown log opt 'cache-foo' for syslog log driver"),
        ("json-file", ("mode=foo",), "logger: logging mode not supported: foo"),
        (
            "json-file",
            ("max-buffer-size=1m",),
            "logger: max-buffer-size option is only supported with 'mode=non-blocking'",
        ),
        (
            "json-file",
            ("mode=non-blocking", "max-buffer-size=x"),
            "error parsing option max-buffer-size: invalid size: 'x'",
        ),
        ("syslog", ("syslog-address=foo",), "syslog-address should be in form proto://address, got foo"),
        ("syslog", ("syslog-address=http://x",), "syslog-address should be in form proto://address, got http://x"),
        ("syslog", ("syslog-address=unix:///nope",), "stat /nope: no such file or directory"),
        ("syslog", ("syslog-facility=24",), "invalid syslog facility"),
        ("syslog", ("syslog-format=foo",), "Invalid syslog format"),
    ],
)
def test_create_refuses_what_there_is_not(engine: Engine, driver: str, pairs: tuple[str, ...], sentence: str) -> None:
    """An option that is unknown is told when the container is created, with status 400."""
    config = dict(pair.split("=", 1) for pair in pairs)
    body = {"Image": "busybox", "HostConfig": {"LogConfig": {"Type": driver, "Config": config}}}
    answer = engine.request("POST", "/containers/create", body)
    assert (answer.status, answer.json["message"]) == (400, sentence)


@pytest.mark.parametrize(
    ("driver", "pairs", "sentence"),
    [
        ("json-file", ("max-size=x",), "invalid size: 'x'"),
        ("json-file", ("max-size=0",), "max-size must be a positive number"),
        ("json-file", ("max-file=0",), "max-file cannot be less than 1"),
        ("json-file", ("max-file=x",), 'strconv.Atoi: parsing "x": invalid syntax'),
        (
            "json-file",
            ("compress=true",),
            "compress cannot be true when max-file is less than 2 or max-size is not set",
        ),
        ("json-file", ("compress=maybe",), 'strconv.ParseBool: parsing "maybe": invalid syntax'),
        ("json-file", ("env-regex=(",), "error parsing regexp: missing closing ): `(`"),
        ("json-file", ("labels-regex=[",), "error parsing regexp: missing closing ]: `[`"),
        ("json-file", ("tag={{.ID",), "template: log-tag:1: unclosed action"),
        (
            "json-file",
            ("tag={{.Nope}}",),
            'template: log-tag:1:2: executing "log-tag" at <.Nope>: can\'t evaluate field Nope in type *logger.Info',
        ),
        ("local", ("max-size=x",), "invalid value for max-size: x: invalid size: 'x'"),
        ("local", ("max-file=1",), "compression cannot be enabled when max file count is 1"),
        ("local", ("compress=x",), 'error reading compress log option: strconv.ParseBool: parsing "x": invalid syntax'),
        ("syslog", ("syslog-address=tcp://127.0.0.1:1",), "dial tcp 127.0.0.1:1: connect: connection refused"),
    ],
)
def test_start_refuses_values_that_make_no_sense(
    engine: Engine, driver: str, pairs: tuple[str, ...], sentence: str
) -> None:
    """The values are looked at when the container starts, and it stays there, created."""
    identifier = engine.ok("create", *options(driver, *pairs), "busybox", "true")
    done = engine.docker("start", identifier)
    assert done.returncode == 1
    assert f"failed to initialize logging driver: {sentence}" in done.stderr
    assert engine.ok("inspect", "-f", "{{.State.Status}}", identifier) == "created"


def test_inspect_tells_driver_options_and_path(engine: Engine) -> None:
    """The daemon's default is written out; the path is told of json-file only."""
    plain = engine.inspect(ended(engine, "true"))
    assert plain["HostConfig"]["LogConfig"] == {"Type": "json-file", "Config": {}}  # type: ignore[index]
    assert str(plain["LogPath"]).endswith(f"/{plain['Id']}-json.log")
    local = engine.inspect(ended(engine, "true", *options("local", "max-size=1m")))
    assert local["HostConfig"]["LogConfig"] == {"Type": "local", "Config": {"max-size": "1m"}}  # type: ignore[index]
    assert local["LogPath"] == ""


def test_info_tells_the_drivers(engine: Engine) -> None:
    """The default, and those that there are."""
    info = engine.request("GET", "/info").json
    assert info["LoggingDriver"] == "json-file"
    assert {"json-file", "local", "journald", "syslog"} <= set(info["Plugins"]["Log"])


def test_details_show_labels_environment_and_tag(engine: Engine) -> None:
    """What labels, env, their regular expressions and tag choose stands in front of each line with --details."""
    flags = ["--label", "app=shop", "--label", "team=a b", "--label", "no=1", "-e", "COLOUR=blue", "-e", "SHAPE=x=y"]
    pairs = ["labels=app,none", "labels-regex=^te", "env=COLOUR", "env-regex=^SH", "tag={{.ImageName}}/{{.Name}}"]
    identifier = ended(engine, "echo line", "--name", "shop", *flags, *options("json-file", *pairs))
    expected = "COLOUR=blue,SHAPE=x%3Dy,app=shop,tag=busybox%2Fshop,team=a+b line"
    assert engine.ok("logs", "--details", identifier) == expected
    assert engine.ok("logs", identifier) == "line"


@pytest.mark.parametrize(
    ("template", "tag"),
    [
        ("{{.ID}}-{{.FullID}}", r"(?P<id>[0-9a-f]{12})-(?P=id)[0-9a-f]{52}"),
        ("{{.ImageID}} {{.ImageFullID}}", r"(?:sha256:[0-9a-f]{5}|[0-9a-f]{12}) sha256:[0-9a-f]{64}"),
        ('{{index .ContainerLabels "app"}}|{{.ContainerLabels.none}}', r"shop\|<no value>"),
        ("{{(.ExtraAttributes nil).COLOUR}}", "blue"),
        ("{{.Command}}", "sh -c echo line"),
        ("{{.ContainerName}} {{.ContainerEntrypoint}} {{.ContainerArgs}}", r"/shop sh \[-c echo line\]"),
        ("{{upper .Name}} {{truncate .Name 2}}", "SHOP sh"),
        ("{{json .ContainerLabels}}", r'\{"app":"shop"\}'),
    ],
)
def test_tag_markers(engine: Engine, template: str, tag: str) -> None:
    """Docker's markers are replaced."""
    flags = ["--name", "shop", "--label", "app=shop", "-e", "COLOUR=blue"]
    pairs = options("json-file", f"tag={template}", "env=COLOUR")
    identifier = ended(engine, "echo line", *flags, *pairs)
    shown = engine.request("GET", f"/containers/{identifier}/logs?stdout=1&details=1").body[8:].decode()

    details = dict(pair.split("=", 1) for pair in shown.removesuffix(" line\n").split(","))
    assert re.fullmatch(tag, unquote_plus(details["tag"])), unquote_plus(details["tag"])


def test_local_gives_back_what_was_written(engine: Engine) -> None:
    """The whole, the end, times and both streams, and a last line without an end."""
    script = "seq 1 3000; echo err >&2; printf 'no end'"
    identifier = ended(engine, script, *options("local"))
    done = engine.docker("logs", identifier)
    assert done.stderr == "err\n"
    assert done.stdout == "".join(f"{n}\n" for n in range(1, 3001)) + "no end"
    counted = ended(engine, "seq 1 3000", *options("local"))
    assert engine.ok("logs", "--tail", "2000", counted).split() == [str(n) for n in range(1001, 3001)]
    stamps = [line.split(" ")[0] for line in engine.ok("logs", "-t", identifier).splitlines()]
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z", stamp) for stamp in stamps[:3000])


def test_local_file_is_dockers(engine: Engine) -> None:
    """One reader understands the files of both engines."""
    identifier = ended(engine, "echo one; echo two >&2; head -c 20000 /dev/zero | tr '\\0' x", *options("local"))
    file = Path(engine.data_root) / "containers" / identifier / "local-logs" / "container.log"
    data = file.read_bytes()
    entries, length = LocalFormat().parse(data)
    assert length == len(data)
    assert {entry.data for entry in entries if entry.stream == 2} == {b"two\n"}
    assert b"".join(entry.data for entry in entries if entry.stream == 1) == b"one\n" + b"x" * 20000
    assert all(abs(entry.time_ns / 1e9 - time.time()) < 60 for entry in entries)


def test_local_long_line_is_whole(shoald: Engine) -> None:
    """A line that is kept in pieces comes back with its end, which dockerd loses."""
    script = "head -c 40000 /dev/zero | tr '\\0' x; printf '\\nnext\\n'"
    assert shoald.docker("logs", ended(shoald, script, *options("local"))).stdout == "x" * 40000 + "\nnext\n"


def test_local_follows(engine: Engine) -> None:
    """-f gives what is there and what comes, and ends with the program."""
    script = "echo early; while [ ! -e /go ]; do sleep 0.05; done; echo late"
    engine.ok("run", "-d", "--name", "talker", *options("local"), "busybox", "sh", "-c", script)
    follower = engine.popen("logs", "-f", "talker")
    assert follower.stdout is not None
    assert follower.stdout.readline() == b"early\n"
    engine.ok("exec", "talker", "touch", "/go")
    out, _ = follower.communicate(timeout=20)
    assert (out, follower.returncode) == (b"late\n", 0)


@pytest.mark.parametrize("driver", ["json-file", "local"])
def test_rotated_files_are_compressed_and_read(engine: Engine, driver: str) -> None:
    """With compress, the older files become gzip files, and `docker logs` reads them all the same."""
    pairs = ["max-size=30k", "max-file=4", "compress=true"]
    script = "for i in $(seq 1 15); do seq $((i * 100)) $((i * 100 + 99)); sleep 0.15; done"
    identifier = ended(engine, script, *options(driver, *pairs))
    lines = engine.ok("logs", identifier).split()
    assert lines == [str(n) for n in range(1600 - len(lines), 1600)]
    assert len(lines) > 300
    directory = Path(engine.data_root) / "containers" / identifier
    assert list(directory.rglob("*.gz"))


def test_json_file_ignores_a_buffer(engine: Engine) -> None:
    """mode=non-blocking is for every driver; a file is written all the same."""
    pairs = options("json-file", "mode=non-blocking", "max-buffer-size=4m")
    assert engine.ok("logs", ended(engine, "seq 1 1000", *pairs)).split() == [str(n) for n in range(1, 1001)]


class Server:
    """A syslog server on the engine's machine."""

    def __init__(self, engine: Engine, protocol: str) -> None:
        self.protocol = protocol
        self.sock = engine.datagram_socket() if protocol == "udp" else engine.listen()
        self.sock.settimeout(LIMIT_S)
        self.address = f"syslog-address={protocol}://127.0.0.1:{self.sock.getsockname()[1]}"

    def messages(self, count: int) -> list[str]:
        """The first messages that come."""
        if self.protocol == "udp":
            return [self.sock.recv(65536).decode() for _ in range(count)]
        while True:
            connection, _ = self.sock.accept()
            with connection:
                connection.settimeout(LIMIT_S)
                data = b""
                # A connection that only looks whether the server is there says nothing.
                while data.count(b"\n") < count and (piece := connection.recv(65536)):
                    data += piece
                if data:
                    return data.decode().splitlines(keepends=True)

    def close(self) -> None:
        """Ends it."""
        self.sock.close()


@pytest.mark.parametrize("protocol", ["udp", "tcp"])
@pytest.mark.parametrize(
    ("format", "pattern"),
    [
        ("", r"<{pri}>[A-Z][a-z]{{2}} [ \d]\d \d\d:\d\d:\d\d web/TAG\[\d+\]: {line}\n"),
        ("rfc3164", r"<{pri}>[A-Z][a-z]{{2}} [ \d]\d \d\d:\d\d:\d\d \S+ web/TAG\[\d+\]: {line}\n"),
        ("rfc5424", r"<{pri}>1 \d{{4}}-\d\d-\d\dT\d\d:\d\d:\d\d\S{{1,6}} \S+ web/TAG \d+ web/TAG - {line}\n"),
        (
            "rfc5424micro",
            r"<{pri}>1 \d{{4}}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{{6}}\S{{1,6}} \S+ web/TAG \d+ web/TAG - {line}\n",
        ),
    ],
)
def test_syslog_messages_and_their_copy(engine: Engine, protocol: str, format: str, pattern: str) -> None:
    """Each line is a message in the format asked for; `docker logs` reads the engine's own copy."""
    server = Server(engine, protocol)
    try:
        pairs = [server.address, f"syslog-format={format}", "syslog-facility=local0", "tag={{.Name}}/TAG"]
        script = "echo one; sleep 0.2; echo two >&2; sleep 0.2"
        identifier = engine.ok("run", "-d", "--name", "web", *options("syslog", *pairs), "busybox", "sh", "-c", script)
        first, second = server.messages(2)
        assert re.fullmatch(pattern.format(pri=16 * 8 + 6, line="one"), first), first
        assert re.fullmatch(pattern.format(pri=16 * 8 + 3, line="two"), second), second
        engine.ok("wait", identifier)
        done = engine.docker("logs", identifier)
        assert (done.stdout, done.stderr) == ("one\n", "two\n")
    finally:
        server.close()


def test_syslog_over_unix_sockets(engine: Engine, tmp_path: Path) -> None:
    """unix and unixgram lead to a socket file."""
    for protocol, kind in (("unixgram", socket.SOCK_DGRAM), ("unix", socket.SOCK_STREAM)):
        path = tmp_path / protocol
        with socket.socket(socket.AF_UNIX, kind) as sock:
            sock.bind(str(path))
            sock.settimeout(LIMIT_S)
            if protocol == "unix":
                sock.listen()
            ended(engine, "echo hello", *options("syslog", f"syslog-address={protocol}://{path}"))
            if protocol == "unixgram":
                message = sock.recv(65536)
            else:
                message = b""
                while not message:
                    with sock.accept()[0] as connection:
                        connection.settimeout(LIMIT_S)
                        message = connection.recv(65536)
            assert re.fullmatch(rb"<30>\w{3} [ \d]\d [\d:]{8} [0-9a-f]{12}\[\d+\]: hello\n", message), message


def test_syslog_without_the_copy_cannot_be_read(engine: Engine) -> None:
    """With cache-disabled there is nothing that `docker logs` could show."""
    server = Server(engine, "udp")
    try:
        done = engine.docker("logs", ended(engine, "echo x", *options("syslog", server.address, "cache-disabled=true")))
        assert done.returncode == 1
        assert "configured logging driver does not support reading" in done.stderr
    finally:
        server.close()


def test_syslog_server_that_does_not_read_holds_up_nobody_else(shoald: Engine) -> None:
    """A TCP server that takes nothing stops its container when all buffers are full, and no other one.

    dockerd cannot remove such a container.
    """
    server = Server(shoald, "tcp")
    try:
        flood = ["sh", "-c", "while :; do seq 1 100000; done"]
        shoald.ok("run", "-d", "--name", "flood", *options("syslog", server.address), "busybox", *flood)
        assert shoald.ok("run", "--rm", "busybox", "echo", "other", timeout_s=20) == "other"
        assert shoald.ok("logs", ended(shoald, "echo logged")) == "logged"
        shoald.ok("rm", "-f", "flood", timeout_s=30)
    finally:
        server.close()


def test_daemon_gives_its_driver_and_options_to_containers_that_name_none() -> None:
    """--log-driver and --log-opt of the daemon; a container's own driver takes nothing of them."""
    engine = Shoald("--log-driver", "local", "--log-opt", "max-size=1m", "--log-opt", "max-file=2")
    engine.start()
    try:
        engine.import_busybox()
        found = engine.inspect(ended(engine, "echo x"))["HostConfig"]["LogConfig"]  # type: ignore[index]
        assert found == {"Type": "local", "Config": {"max-size": "1m", "max-file": "2"}}
        own = engine.inspect(ended(engine, "echo x", *options("json-file")))["HostConfig"]  # type: ignore[index]
        assert own["LogConfig"] == {"Type": "json-file", "Config": {}}  # type: ignore[index]
        assert engine.request("GET", "/info").json["LoggingDriver"] == "local"
    finally:
        engine.close()


def test_logs_of_a_big_file_hold_up_nobody(shoald: Engine) -> None:
    """While the end of a big log is looked for and sent, the daemon answers others at once."""
    script = "yes 'a line of some length in a big log' | head -n 600000"
    identifier = ended(shoald, script, "--log-opt", "max-size=1g")
    reader = shoald.popen("logs", "--tail", "560000", identifier)
    assert reader.stdout is not None
    slowest = 0.0
    counter = threading.Thread(target=lambda: counted.append(sum(1 for _ in reader.stdout or ())))
    counted: list[int] = []
    counter.start()
    first = time.monotonic()
    while counter.is_alive():
        begin = time.monotonic()
        assert shoald.request("GET", "/_ping").status == 200
        slowest = max(slowest, time.monotonic() - begin)
    whole = time.monotonic() - first
    reader.wait()
    assert counted == [560_000]
    assert slowest < max(whole / 4, 0.5)


def test_none_keeps_nothing(engine: Engine) -> None:
    """Attached clients see the output, and `docker logs` says that it cannot."""
    assert engine.ok("run", "--name", "mute", *options("none"), "busybox", "echo", "seen") == "seen"
    done = engine.docker("logs", "mute")
    assert (done.returncode, done.stderr.strip()) == (
        1,
        "Error response from daemon: configured logging driver does not support reading",
    )
