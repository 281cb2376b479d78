"""Reading json-file logs."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from shoal.api.log import LogEntry
from shoal.logs.changes import Changes
from shoal.logs.files import open_log
from shoal.logs.follow import follow_log
from shoal.logs.json_file import JsonFormat
from shoal.logs.query import LogQuery
from shoal.logs.read import read_log

_SECOND = 1_000_000_000


def _line(text: str, second: int, stream: str = "stdout") -> bytes:
    time = f"1970-01-01T00:{second // 60:02d}:{second % 60:02d}Z"
    return json.dumps({"log": text, "stream": stream, "time": time}).encode() + b"\n"


def _rotate(path: Path) -> None:
    """Moves every file on by a number, as the supervisor does."""
    for number in range(9, 0, -1):
        newer = path.with_name(f"{path.name}.{number - 1}") if number > 1 else path
        if newer.exists():
            newer.rename(path.with_name(f"{path.name}.{number}"))


async def _all(path: Path, query: LogQuery) -> list[bytes]:
    return [entry.data async for entries in read_log(path, JsonFormat(), query) for entry in entries]


async def _follow(path: Path, query: LogQuery, ended: asyncio.Event) -> AsyncIterator[LogEntry]:
    async for entries in follow_log(path, JsonFormat(), query, ended, Changes()):
        for entry in entries:
            yield entry


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """A log of three files with lines 0 to 8, three in each; every third line is on stderr."""
    path = tmp_path / "c-json.log"
    for number, name in enumerate(("c-json.log.2", "c-json.log.1", "c-json.log")):
        lines = [_line(f"{n}\n", n, "stderr" if n % 3 == 2 else "stdout") for n in range(number * 3, number * 3 + 3)]
        path.with_name(name).write_bytes(b"".join(lines))
    return path


def test_open_log_rotated_oldest_first(log: Path) -> None:
    """The files are read in the order in which they were written."""
    files = open_log(log)
    names = {path.stat().st_ino: path.name for path in log.parent.iterdir()}
    assert [names[file.inode] for file in files] == ["c-json.log.2", "c-json.log.1", "c-json.log"]
    for file in files:
        file.close()


def test_open_log_half_rotated_has_every_file(log: Path) -> None:
    """In the middle of a rotation a number is missing, and what is older is read all the same."""
    log.with_name("c-json.log.2").rename(log.with_name("c-json.log.3"))
    log.with_name("c-json.log.1").rename(log.with_name("c-json.log.2"))
    assert asyncio.run(_all(log, LogQuery())) == [f"{n}\n".encode() for n in range(9)]


def test_open_log_of_a_removed_container_is_empty(tmp_path: Path) -> None:
    """A log whose directory has gone is no error."""
    assert asyncio.run(_all(tmp_path / "gone" / "log", LogQuery())) == []


def test_read_log_rotated_meanwhile_tells_each_entry_once(log: Path) -> None:
    """A rotation while the log is read neither doubles nor drops an entry."""

    async def read() -> list[int]:
        seen = []
        async for entries in read_log(log, JsonFormat(), LogQuery()):
            seen += [int(entry.data) for entry in entries]
            if seen[-1] in (2, 5):
                _rotate(log)
                log.write_bytes(_line("new\n", 9))
        return seen

    assert asyncio.run(read()) == list(range(9))


def test_parse_damaged_line_is_passed_over() -> None:
    """A line that a crash cut short is left out, those around it are not."""
    data = _line("a\n", 1) + _line("cut\n", 2)[:-9] + b"\n\n" + _line("b\n", 3) + b'{"log":"unfini'
    entries, length = JsonFormat().parse(data)
    assert ([entry.data for entry in entries], length) == ([b"a\n", b"b\n"], data.rindex(b"\n") + 1)
    assert JsonFormat().parse(b"") == ([], 0)


def test_parse_whole_line_has_time_in_ns() -> None:
    """Stream, time and text come back exactly."""
    line = b'{"log":"\xc3\xa4\\n","stream":"stderr","time":"1970-01-01T00:00:01.000000005Z"}\n'
    assert JsonFormat().parse(line)[0] == [LogEntry(2, _SECOND + 5, "ä\n".encode())]


def test_read_log_all_spans_files(log: Path) -> None:
    """Without bounds every line of every file comes, the oldest first."""
    assert asyncio.run(_all(log, LogQuery())) == [f"{n}\n".encode() for n in range(9)]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        (LogQuery(tail=0), []),
        (LogQuery(tail=4), [5, 6, 7, 8]),
        (LogQuery(tail=99), list(range(9))),
        (LogQuery(tail=2, stdout=False), [5, 8]),
        (LogQuery(since_ns=7 * _SECOND), [7, 8]),
        (LogQuery(until_ns=1 * _SECOND), [0, 1]),
        (LogQuery(until_ns=4 * _SECOND, tail=2), [3, 4]),
        (LogQuery(stderr=False, since_ns=6 * _SECOND), [6, 7]),
    ],
)
def test_read_log_query_selects(log: Path, query: LogQuery, expected: list[int]) -> None:
    """Tail, times and streams select as `docker logs` documents them."""
    assert asyncio.run(_all(log, query)) == [f"{n}\n".encode() for n in expected]


def test_read_tail_parts_of_a_line_count_once(tmp_path: Path) -> None:
    """A line that was logged in parts is one line for --tail."""
    path = tmp_path / "log"
    path.write_bytes(_line("a\n", 1) + _line("part ", 2) + _line("end\n", 3))
    assert asyncio.run(_all(path, LogQuery(tail=1))) == [b"part ", b"end\n"]


def test_read_tail_longer_than_a_block_is_whole(tmp_path: Path) -> None:
    """Reading backwards cuts no line at the border of a block."""
    path = tmp_path / "log"
    path.write_bytes(b"".join(_line(f"{n:060}\n", n % 3600) for n in range(9000)))
    assert [int(data) for data in asyncio.run(_all(path, LogQuery(tail=8000)))] == list(range(1000, 9000))


def test_follow_log_grows_and_rotates_loses_nothing(tmp_path: Path) -> None:
    """Lines written while the log is followed come through, also across two rotations."""
    path = tmp_path / "log"
    path.write_bytes(_line("0\n", 0))

    async def follow() -> list[int]:
        ended = asyncio.Event()
        seen: list[int] = []
        async for entry in _follow(path, LogQuery(), ended):
            seen.append(int(entry.data))
            number = seen[-1] + 1
            if number == 7:
                ended.set()
                continue
            if number in (3, 5):
                _rotate(path)
            with path.open("ab") as file:
                file.write(_line(f"{number}\n", number))
        return seen

    assert asyncio.run(asyncio.wait_for(follow(), 10)) == list(range(7))


def test_follow_log_tail_shows_the_last_and_what_comes(tmp_path: Path) -> None:
    """`logs -f --tail 1` begins with the last line."""
    path = tmp_path / "log"
    path.write_bytes(_line("0\n", 0) + _line("1\n", 1))

    async def follow() -> list[int]:
        ended = asyncio.Event()
        seen: list[int] = []
        async for entry in _follow(path, LogQuery(tail=1), ended):
            seen.append(int(entry.data))
            if seen == [1]:
                with path.open("ab") as file:
                    file.write(_line("2\n", 2))
            else:
                ended.set()
        return seen

    assert asyncio.run(asyncio.wait_for(follow(), 10)) == [1, 2]


def test_follow_log_emptied_goes_on(tmp_path: Path) -> None:
    """A log of one file only (`max-size` without `max-file`) is emptied when it is full; its reader begins anew."""
    path = tmp_path / "log"
    path.write_bytes(b"".join(_line(f"{n}\n", n) for n in range(5)))

    async def follow() -> list[int]:
        ended = asyncio.Event()
        seen: list[int] = []
        async for entry in _follow(path, LogQuery(), ended):
            seen.append(int(entry.data))
            if seen[-1] == 4:
                path.write_bytes(_line("5\n", 5))
            elif seen[-1] == 5:
                ended.set()
        return seen

    assert asyncio.run(asyncio.wait_for(follow(), 10)) == list(range(6))


def test_follow_log_rotated_twice_at_once_loses_nothing(tmp_path: Path) -> None:
    """A reader that was away for two rotations reads the file between them as well."""
    path = tmp_path / "log"
    path.write_bytes(_line("0\n", 0))

    async def follow() -> list[int]:
        ended = asyncio.Event()
        seen: list[int] = []
        async for entry in _follow(path, LogQuery(tail=1), ended):
            seen.append(int(entry.data))
            if seen == [0]:
                with path.open("ab") as file:
                    file.write(_line("1\n", 1))
                path.rename(path.with_name("log.2"))
                path.with_name("log.1").write_bytes(_line("2\n", 2))
                path.write_bytes(_line("3\n", 3))
                ended.set()
        return seen

    assert asyncio.run(asyncio.wait_for(follow(), 10)) == list(range(4))
