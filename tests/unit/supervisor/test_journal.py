"""The journal: at whatever point a supervisor is killed, its successor has every byte once."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import cast

import pytest

from shoal.supervisor.journal import Journal
from shoal.supervisor.logsink import LogSink
from shoal.supervisor.loop import Loop

STREAMS = ("stdout", "stderr")
TIME_NS = 1_700_000_000_000_000_000


class Killed(Exception):
    """Stands for SIGKILL: nothing runs behind it."""


def new_sink(directory: Path) -> LogSink:
    """A log in the directory."""
    body = {"driver": "json-file", "path": str(directory / "log"), "max_size_bytes": None, "max_files": 1}
    body |= {"attributes": {}, "compressor": "", "remote": None}
    return LogSink(body, cast(Loop, None), lambda _: None)  # type: ignore[arg-type]


def logged(directory: Path) -> str:
    """The text of the log."""
    return "".join(json.loads(line)["log"] for line in (directory / "log").read_text().splitlines())


def work(journal: Journal, sink: LogSink, fifo: int) -> None:
    """One step of a supervisor: takes what is there, logs it, settles."""
    data = journal.take("stdout", fifo, 1 << 16)
    tail = sink.write("stdout", journal.tails["stdout"] + data, TIME_NS)
    journal.settle("stdout", tail, sink.inode, sink.size_bytes)


def successor(directory: Path) -> tuple[Journal, LogSink]:
    """What takes over: recovered, and the interrupted work done again."""
    journal = Journal(str(directory), STREAMS, fresh=False)
    journal.recover(str(directory / "log"))
    sink = new_sink(directory)
    for name, tail in journal.tails.items():
        rest = sink.write(name, tail, TIME_NS)
        journal.settle(name, rest, sink.inode, sink.size_bytes)
    return journal, sink


SYSTEM_CALLS = ("splice", "pread", "pwrite", "write", "ftruncate")


@pytest.mark.parametrize("moment", range(60))
def test_killed_before_any_system_call_successor_has_everything_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: int
) -> None:
    """Dies before its nth system call, for every n; then a successor finishes the work."""
    path = tmp_path / "fifo"
    os.mkfifo(path)
    fifo = os.open(path, os.O_RDWR | os.O_NONBLOCK)
    pieces = [b"a" * 30_000 + b"\nbegin", b" of a line\nwhole\n", b"x" * 40_000, b"\nend\nlast"]
    calls = 0

    def dying(name: str) -> None:
        real = getattr(os, name)

        def call(*arguments: object, **options: object) -> object:
            nonlocal calls
            calls += 1
            if calls > moment:
                raise Killed
            return real(*arguments, **options)

        monkeypatch.setattr(os, name, call)

    journal = Journal(str(tmp_path), STREAMS, fresh=True)
    sink = new_sink(tmp_path)
    journal.begin(sink.inode, sink.size_bytes)
    done = 0
    with monkeypatch.context():
        real_write = os.write
        for name in SYSTEM_CALLS:
            dying(name)
        try:
            for piece in pieces:
                real_write(fifo, piece)
                done += 1
                work(journal, sink, fifo)
        except Killed:
            pass
        monkeypatch.undo()
    journal, sink = successor(tmp_path)
    for piece in (b"", *pieces[done:]):
        os.write(fifo, piece)
        try:
            work(journal, sink, fifo)
        except BlockingIOError:
            pass  # nothing was left in the FIFO
    sink.finish("stdout", journal.tails["stdout"], TIME_NS)
    assert logged(tmp_path) == b"".join(pieces).decode()
    os.close(fifo)


def test_journal_of_endless_output_stays_small(tmp_path: Path) -> None:
    """What is settled is given back."""
    read_end, write_end = os.pipe()
    journal = Journal(str(tmp_path), STREAMS, fresh=True)
    sink = new_sink(tmp_path)
    journal.begin(sink.inode, sink.size_bytes)
    for _ in range(100):
        os.write(write_end, b"line of text\n" * 1000)
        work(journal, sink, read_end)
    assert (tmp_path / "stdout.journal").stat().st_size < 512 * 1024
    os.close(read_end)
    os.close(write_end)


def test_remove_leaves_nothing(tmp_path: Path) -> None:
    """The streams have ended: their files go."""
    journal = Journal(str(tmp_path), STREAMS, fresh=True)
    journal.remove()
    assert list(tmp_path.iterdir()) == []
