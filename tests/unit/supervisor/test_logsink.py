"""The json-file log: escaping, partial lines, rotation, and a full disk."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoal.supervisor.logsink import LogSink
from shoal.supervisor.logsink_cutter import PARTIAL_BYTES
from shoal.supervisor.logsink_json import escape
from shoal.supervisor.loop import Loop, Timer

TIME_NS = 1_700_000_000_123_456_000
TIME = "2023-11-14T22:13:20.123456Z"


class Idle:
    """A loop in which nothing happens: enough for a file."""

    def call_later(self, delay_s: float, callback: Callable[[], None]) -> Timer:
        """A timer that never runs."""
        return Timer(delay_s, callback)


class Sink:
    """A sink on a file, and what it complained about."""

    def __init__(self, path: Path, **settings: object) -> None:
        self.path = path
        self.problems: list[str] = []
        body = {"driver": "json-file", "path": str(path), "max_size_bytes": None, "max_files": 1, "attributes": {}}
        body |= {"compressor": "", "remote": None, **settings}
        self.sink = LogSink(body, cast(Loop, Idle()), self.problems.append)  # type: ignore[arg-type]

    def records(self, suffix: str = "") -> list[dict[str, str]]:
        """What is in the file."""
        return [json.loads(line) for line in Path(f"{self.path}{suffix}").read_text().splitlines()]


def test_write_line_gives_the_record_dockers_clients_know(tmp_path: Path) -> None:
    """Byte for byte: order of the keys, escapes, time."""
    log = Sink(tmp_path / "log")
    assert log.sink.write("stdout", b'say "hi" <b>\tx\r\n', TIME_NS) == b""
    assert (tmp_path / "log").read_text() == (
        '{"log":"say \\"hi\\" \\u003cb\\u003e\\u0009x\\r\\n","stream":"stdout","time":"' + TIME + '"}\n'
    )


def test_write_attributes_stand_before_the_time(tmp_path: Path) -> None:
    """Labels and environment that the log options name are in every record."""
    log = Sink(tmp_path / "log", attributes={"b": '"', "a": "1"})
    log.sink.write("stderr", b"x\n", TIME_NS)
    expected = '{"log":"x\\n","stream":"stderr","attrs":{"a":"1","b":"\\""},"time":"' + TIME + '"}\n'
    assert (tmp_path / "log").read_text() == expected


def test_write_several_lines_gives_a_record_each_and_the_rest_back(tmp_path: Path) -> None:
    """Only whole lines are written; the beginning of the next one stays with the caller."""
    log = Sink(tmp_path / "log")
    assert log.sink.write("stdout", b"a\n\nb\nrest", TIME_NS) == b"rest"
    assert [record["log"] for record in log.records()] == ["a\n", "\n", "b\n"]


def test_finish_writes_the_rest_without_a_newline(tmp_path: Path) -> None:
    """`printf x` is logged as what it printed."""
    log = Sink(tmp_path / "log")
    log.sink.finish("stdout", b"rest", TIME_NS)
    assert [record["log"] for record in log.records()] == ["rest"]


@pytest.mark.parametrize("length", [PARTIAL_BYTES - 1, PARTIAL_BYTES, PARTIAL_BYTES + 1, 3 * PARTIAL_BYTES + 5])
def test_write_long_line_is_cut_at_16_kib_with_the_first_ones_time(tmp_path: Path, length: int) -> None:
    """Pieces have no newline but the last; all carry the time of the first."""
    log = Sink(tmp_path / "log")
    line = b"x" * length
    rest = log.sink.write("stdout", line[: length // 2], TIME_NS)
    rest = log.sink.write("stdout", rest + line[length // 2 :], TIME_NS + 1000)
    assert log.sink.write("stdout", rest + b"\n", TIME_NS + 2000) == b""
    logs = [record["log"] for record in log.records()]
    assert "".join(logs) == "x" * length + "\n"
    assert len(logs) == length // PARTIAL_BYTES + 1
    if len(logs) > 1:
        assert len({record["time"] for record in log.records()}) == 1


@given(st.lists(st.binary(max_size=40), max_size=20))
def test_escape_any_bytes_gives_json_of_the_replaced_text(parts: list[bytes]) -> None:
    """Whatever is printed, the record is valid JSON; valid UTF-8 comes back as it was."""
    data = b"\n".join(parts)
    decoded = json.loads(b'"' + escape(data).replace(b"\n", b"\\n") + b'"')
    try:
        assert decoded == data.decode()
    except UnicodeDecodeError:
        assert decoded == data.decode("utf-8", "surrogateescape").translate(dict.fromkeys(range(0xDC80, 0xDD00), "�"))


def test_escape_line_separators_of_javascript() -> None:
    """U+2028 and U+2029 are escaped as Go does."""
    assert escape("a\u2028b\u2029é".encode()) == "a\\u2028b\\u2029é".encode()


def test_rotation_keeps_the_newest_files_and_whole_records(tmp_path: Path) -> None:
    """PATH.1 is the one before PATH; the oldest goes; no record is split."""
    log = Sink(tmp_path / "log", max_size_bytes=300, max_files=3)
    for number in range(40):
        log.sink.write("stdout", b"%d\n" % number, TIME_NS)
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["log", "log.1", "log.2"]
    numbers = [int(record["log"]) for suffix in (".2", ".1", "") for record in log.records(suffix)]
    assert numbers == list(range(numbers[0], 40))
    assert all(path.stat().st_size <= 300 for path in tmp_path.iterdir())


def test_rotation_with_one_file_begins_it_anew(tmp_path: Path) -> None:
    """max-file=1 means that the file is emptied."""
    log = Sink(tmp_path / "log", max_size_bytes=300, max_files=1)
    log.sink.write("stdout", b"".join(b"%d\n" % number for number in range(40)), TIME_NS)
    assert [path.name for path in tmp_path.iterdir()] == ["log"]
    assert log.records()[-1]["log"] == "39\n"


def test_rotation_record_larger_than_the_limit_is_written_whole(tmp_path: Path) -> None:
    """A limit smaller than a record does not lose it."""
    log = Sink(tmp_path / "log", max_size_bytes=10, max_files=2)
    log.sink.write("stdout", b"long enough\nand another\n", TIME_NS)
    assert [record["log"] for record in log.records()] == ["and another\n"]
    assert [record["log"] for record in log.records(".1")] == ["long enough\n"]


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="this system has no /dev/full")
def test_write_on_full_disk_is_told_once_and_goes_on() -> None:
    """The container is not stopped by its log."""
    log = Sink(Path("/dev/full"))
    assert log.sink.write("stdout", b"a\n", TIME_NS) == b""
    assert log.sink.write("stdout", b"b\n", TIME_NS) == b""
    assert log.problems == ["log `/dev/full`: No space left on device, its output is lost"]


def test_rotation_that_gets_no_new_file_costs_no_older_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While there is no descriptor, output is lost; with one the log goes on, and what was rotated is there still."""
    log = Sink(tmp_path / "log", max_size_bytes=100, max_files=3)
    log.sink.write("stdout", b"first\n", TIME_NS)

    def fail(*_: object) -> int:
        raise OSError(24, "Too many open files")

    with monkeypatch.context() as patched:
        patched.setattr(os, "open", fail)
        for _ in range(4):
            log.sink.write("stdout", b"lost\n", TIME_NS)
    log.sink.write("stdout", b"second\n", TIME_NS)
    assert [record["log"] for record in log.records(".1")] == ["first\n"]
    assert [record["log"] for record in log.records()] == ["second\n"]
    assert len(log.problems) == 1
