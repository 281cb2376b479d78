"""What `docker top` makes of ps."""

from __future__ import annotations

import math
import os
import shutil
from typing import Any, cast

import pytest

from shoal.engine.container.ps import check_arguments, own_columns, parse_table
from shoal.engine.container.top import ProcessLister
from shoal.errors import Conflict, Internal, InvalidArgument, Unsupported
from shoal.linux.process_table import AUX, FULL, column_titles, read_processes, row
from tests.unit.engine.container.bench import ID, Bench, run

TABLE = """  PID CMD
    1 init
   20 sh -c  sleep 1
    - thread of it
  300 other
    - thread of another
"""


def test_parse_table_keeps_the_containers_processes_and_their_threads() -> None:
    """Rows of other processes go, and so do threads below them; the last column keeps its words."""
    table = parse_table(TABLE, {20})
    assert table.titles == ["PID", "CMD"]
    assert table.processes == [["20", "sh -c sleep 1"], ["-", "thread of it"]]


def test_parse_table_without_pids_is_an_error() -> None:
    """Nobody could tell whose the processes are."""
    with pytest.raises(Internal, match="Couldn't find PID field in ps output"):
        parse_table("CMD\nsh\n", {1})


def test_check_arguments_refuses_another_column_as_pid() -> None:
    """A column renamed to PID would show foreign processes."""
    check_arguments("-o pid=PID,args")
    with pytest.raises(InvalidArgument, match='specifying "args=PID" is not allowed'):
        check_arguments("-o args=PID")


@pytest.mark.timeout(5)
def test_check_arguments_of_blanks_is_quick() -> None:
    """However many blanks a client sends, they are looked at once."""
    check_arguments(" " * 31_000 + "x")


@pytest.mark.parametrize("arguments", ["-e\0f", "a" * 200_000])
def test_check_arguments_refuses_what_no_program_can_be_given(arguments: str) -> None:
    """The client is told; it is no failure of the engine's."""
    with pytest.raises(InvalidArgument, match="invalid ps arguments"):
        check_arguments(arguments)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["-ef"], FULL),
        (["aux"], AUX),
        (["-o", "pid,args"], ["pid", "args"]),
        (["-eo", "pid", "-o", "comm"], ["pid", "comm"]),
    ],
)
def test_own_columns_of_the_forms_that_people_use(arguments: list[str], expected: object) -> None:
    """Without ps on the machine these still work."""
    assert own_columns(arguments) == expected


def test_own_columns_refuses_what_it_does_not_know() -> None:
    """A sentence that says what would help."""
    with pytest.raises(Unsupported, match="ps --forest"):
        own_columns(["--forest"])


def test_process_table_shows_this_process() -> None:
    """Every column of both usual forms can be filled from /proc."""
    (process,) = read_processes([os.getpid(), 0x7FFFFFFF])
    assert (process.pid, process.ppid) == (os.getpid(), os.getppid())
    shown = dict(zip(column_titles(FULL), row(process, FULL), strict=True))
    assert shown["PID"] == str(os.getpid())
    assert "pytest" in shown["CMD"] or "python" in shown["CMD"]
    assert len(row(process, AUX)) == len(column_titles(AUX)) == 11
    with pytest.raises(InvalidArgument, match="unknown user-defined format specifier 'nonsense'"):
        column_titles(["nonsense"])


def _minutes_apart(one: str, other: str) -> float:
    if one == other:
        return 0
    minutes = [int(text[:2]) * 60 + int(text[3:]) for text in (one, other) if ":" in text]
    return min(abs(minutes[0] - minutes[1]), 24 * 60 - abs(minutes[0] - minutes[1])) if len(minutes) == 2 else math.inf


def test_lister_shows_the_same_columns_without_ps(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a machine that has no ps, the default table has Docker's headings."""

    class Group:
        def pids(self) -> list[int]:
            return [os.getpid()]

    class Groups:
        def open(self, path: str) -> Group:
            assert path == ID
            return Group()

    async def scenario(bench: Bench) -> None:
        lister = ProcessLister(cast(Any, Groups()), lambda record: record.id, bench.events, cast(Any, bench.driver))
        record = bench.add()
        with pytest.raises(Conflict, match="is not running"):
            await lister.list(record, "")
        record.state.status = "running"
        with_ps = await lister.list(record, "") if shutil.which("ps") else None
        monkeypatch.setattr("shoal.engine.container.top.shutil.which", lambda _: None)
        without = await lister.list(record, "")
        assert without.titles == ["UID", "PID", "PPID", "C", "STIME", "TTY", "TIME", "CMD"]
        if with_ps is not None:
            assert with_ps.titles == without.titles
            for column in (0, 1, 2, 5):
                assert with_ps.processes[0][column] == without.processes[0][column]
            assert _minutes_apart(with_ps.processes[0][4], without.processes[0][4]) <= 1  # ps rounds by its own clock
        assert await bench.actions() == ["top"] * (2 if with_ps else 1)

    run(scenario)
