"""What ended a run: causes, and the sentences about them."""

from __future__ import annotations

import asyncio
from typing import Any, get_args

import msgspec
import pytest

from shoal.engine.container.exits import (
    KEPT,
    Ask,
    Cause,
    ExitRecord,
    HealthNote,
    OomRecord,
    cause_of,
    effective_ask,
    good_run_s,
    kept,
)
from shoal.engine.container.exits_oom import OomInquiry, memory_by_kind, oom_record
from shoal.engine.container.exits_view import exit_view
from shoal.engine.container.exits_words import duration_text, hint, sentence, size_text
from shoal.errors import SyscallError
from shoal.linux.kernel_log import LogRecord, OomReport

S = 1_000_000_000
MIB = 1 << 20
ID = "a" * 64
_TERM = Ask(by="stop", signal=15, at_ns=100 * S, timeout_s=10)
_KILLED = Ask(by="stop", signal=15, at_ns=100 * S, timeout_s=10, killed=True)
_HUP = Ask(by="kill", signal=1, at_ns=100 * S)
_OOM = OomRecord(
    scope="container",
    limit=20 * MIB,
    usage=20 * MIB,
    victim="tail",
    pid=7,
    victim_memory={"anon": 19 * MIB, "file": MIB},
    memory={"anon": 19 * MIB, "file": 0, "kernel": MIB // 2, "shmem": 0},
    number=9,
)


@pytest.mark.parametrize(
    ("ask", "signal", "ended_s", "is_effective"),
    [
        (_TERM, 15, 101, True),  # it was ended by the signal that was sent
        (_TERM, 0, 101, True),  # it handled the signal, and ended
        (_TERM, 0, 200, False),  # it outlived the request: a stop that was cut short by a kill of shoald
        (_TERM, 9, 101, False),  # somebody else's SIGKILL, or the OOM killer's
        (_TERM, 11, 101, False),  # it crashed on its way out
        (_KILLED, 9, 111, True),
        (_HUP, 0, 105, True),
        (_HUP, 0, 3600, False),  # it has read its configuration anew, and ended later for another reason
        (_HUP, 1, 3600, True),
        (Ask(by="stop", signal=15, at_ns=100 * S, timeout_s=-1), 0, 9999, True),  # whoever asked waits for ever
        (None, 15, 101, False),
    ],
)
def test_effective_ask_is_the_one_that_the_end_goes_back_to(
    ask: Ask | None, signal: int, ended_s: int, is_effective: bool
) -> None:
    """A request that has nothing to do with the end is not blamed for it."""
    found = effective_ask(ask, signal=signal, ended_ns=ended_s * S)
    assert found is (ask if is_effective else None)


@pytest.mark.parametrize(
    ("known", "cause"),
    [
        ({"code": 3}, "exit"),
        ({"code": 137, "signal": 9}, "signal"),
        ({"code": 143, "signal": 15}, "signal"),
        ({"code": 139, "signal": 11}, "crash"),
        ({"code": 159, "signal": 31}, "crash"),
        ({"code": None}, "unknown"),
        ({"code": 137, "signal": 9, "oom": _OOM}, "oom"),
        ({"code": 137, "oom": _OOM}, "oom"),  # a shell says so of its child
        ({"code": 1, "oom": _OOM}, "exit"),
        ({"code": 143, "signal": 15, "ask": _TERM}, "stop"),
        ({"code": 0, "ask": _TERM}, "stop"),
        ({"code": 137, "signal": 9, "ask": _KILLED}, "stop-timeout"),
        ({"code": 137, "signal": 9, "ask": Ask(by="kill", signal=9, at_ns=1)}, "kill"),
        ({"code": 0, "ask": Ask(by="kill", signal=15, at_ns=1)}, "stop"),
        ({"code": 137, "signal": 9, "ask": Ask(by="unhealthy", signal=9, at_ns=1)}, "unhealthy"),
        ({"code": 143, "signal": 15, "ask": Ask(by="daemon", signal=15, at_ns=1)}, "daemon"),
    ],
)
def test_cause_of_each_end(known: dict[str, Any], cause: str) -> None:
    """The table of causes."""
    assert cause_of(**{"signal": 0, "ask": None, "oom": None, **known}) == cause


def _end(cause: Any, **more: Any) -> ExitRecord:
    return ExitRecord(cause=cause, started_ns=90 * S, ended_ns=102 * S, **more)


@pytest.mark.parametrize(
    ("end", "words"),
    [
        (_end("exit", code=0), "It ended by itself after 12 s with exit code 0 (success)."),
        (_end("exit", code=3), "It ended by itself after 12 s with exit code 3."),
        (_end("exit", code=127), "exit code 127 (usually a command that was not found)"),
        (_end("exit", code=143), "(what a shell or an init says when SIGTERM has ended its child)"),
        (_end("stop", code=0, ask=_TERM), "`stop` sent it SIGTERM, and it ended with exit code 0 2 s later."),
        (_end("stop", code=143, signal=15, ask=_TERM), "and it was ended by SIGTERM 2 s later."),
        (_end("stop-timeout", code=137, signal=9, ask=_KILLED), "SIGTERM; it had not ended 10 s later, and was killed"),
        (_end("kill", code=137, signal=9, ask=Ask(by="kill", signal=9, at_ns=1)), "A client ended it with SIGKILL"),
        (_end("daemon", code=143, signal=15, ask=Ask(by="daemon", signal=15, at_ns=1)), "shoald was being stopped"),
        (_end("crash", code=139, signal=11), "crashed after 12 s: SIGSEGV, the kernel's answer to an access to memory"),
        (_end("signal", code=137, signal=9), "it came from outside the container"),
        (_end("signal", code=137, signal=9, is_alone=False), "from a process that it shares its pid namespace with"),
        (_end("start-failed", code=127, why="no such file"), "It could not be started: no such file."),
        (_end("reboot"), "The machine went down while it ran."),
        (_end("unknown"), "neither shoald nor its supervisor was there to see"),
        (_end("oom", code=137, signal=9, oom=OomRecord()), "its log does not tell any more"),
        (_end("exit", code=1, oom=_OOM), "exit code 1. Before that, in the same run: its limit of 20 MiB was used up"),
    ],
)
def test_sentence_tells_each_cause_plainly(end: ExitRecord, words: str) -> None:
    """Every cause has its sentence."""
    assert words in sentence(end)


def test_sentence_of_an_oom_names_victim_limit_and_use() -> None:
    """All that the kernel has told, without what is nought."""
    told = sentence(_end("oom", code=137, signal=9, oom=_OOM))
    assert told == (
        "It ran out of memory after 12 s: its limit of 20 MiB was used up, and the kernel killed `tail` (pid 7,"
        " 20 MiB). Its memory then: 19 MiB of its programs, 512 KiB of the kernel for it."
    )
    assert "--memory 40m" in hint(_end("oom", oom=_OOM), "web")


def test_sentence_of_an_unhealthy_end_has_what_the_check_said() -> None:
    """In one line, and not too much of it."""
    ask = Ask(by="unhealthy", signal=15, at_ns=100 * S, timeout_s=10, killed=True, restarts=True)
    note = HealthNote(failing_streak=3, output="no\nanswer " + "x" * 999)
    told = sentence(_end("unhealthy", code=137, signal=9, ask=ask, health=note))
    assert "with SIGTERM; it had not ended 10 s later, and was killed with SIGKILL" in told
    assert "had failed 3 times behind each other" in told
    assert '"no answer xxx' in told
    assert len(told) < 450


@pytest.mark.parametrize("cause", get_args(Cause))
def test_view_of_every_cause_can_be_made(cause: str) -> None:
    """No cause is without a sentence, whatever else is known."""
    ask = Ask(by="stop", signal=15, at_ns=100 * S)
    shown = exit_view(_end(cause, code=1, signal=11 if cause == "crash" else 0, ask=ask, oom=_OOM), "web")
    assert shown.sentence.endswith(".")


def test_kept_is_bounded() -> None:
    """The oldest goes; what is left is in order."""
    exits: list[ExitRecord] = []
    for code in range(KEPT + 3):
        exits = kept(exits, _end("exit", code=code))
    assert [end.code for end in exits] == list(range(3, KEPT + 3))


def test_record_of_a_plain_end_is_small() -> None:
    """It is written with every change of the container's state."""
    assert len(msgspec.json.encode(_end("exit", code=0))) < 100


def test_good_run_is_none_where_it_never_became_healthy() -> None:
    """Else a container that is restarted for its health after more than ten seconds would have no back-off."""
    assert good_run_s(_end("exit", code=0)) == 12
    assert good_run_s(_end("unhealthy", health=HealthNote(failing_streak=3))) == 0
    assert good_run_s(_end("unhealthy", health=HealthNote(failing_streak=3, was_healthy=True))) == 12


def _report(number: int, group: str, limited: str, **counters: int) -> OomReport:
    return OomReport(number, group, limited, f"p{number}", number, counters=dict(counters), kernel=5)


def test_oom_record_is_of_the_containers_victims_alone() -> None:
    """Also of those in a cgroup below its own; the last one is the victim."""
    own = f"/shoal/{ID}"
    reports = [_report(1, own, own), _report(2, "/shoal/other", "/shoal"), _report(3, f"{own}/x", own)]
    told = oom_record(ID, reports)
    assert (told.kills, told.scope, told.victim, told.number) == (2, "container", "p3", 3)
    assert oom_record(ID, [_report(1, own, "/shoal")]).scope == "above"
    assert oom_record(ID, [_report(1, own, "")]).scope == "machine"
    assert oom_record("b" * 64, reports) == OomRecord()


def test_memory_by_kind_is_one_shape_for_both_versions() -> None:
    """Shared pages are counted once, and the kernel's where each version has them."""
    v1 = _report(1, "", "", rss=1, cache=50, shmem=20, total_rss=100, total_cache=50, total_shmem=20, total_swap=2)
    assert memory_by_kind(v1) == {"anon": 100, "file": 30, "kernel": 5, "shmem": 20, "swap": 2}
    v2 = _report(1, "", "", anon=100, file=50, kernel=7, shmem=20)
    assert memory_by_kind(v2) == {"anon": 100, "file": 30, "kernel": 7, "shmem": 20, "swap": 0}
    assert memory_by_kind(_report(1, "", "")) == {}


def test_inquiry_leaves_out_what_earlier_runs_were_killed_for() -> None:
    """By the number of the report; after a reboot the numbers begin anew."""
    line = (
        "oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=x,mems_allowed=0,"
        f"oom_memcg=/shoal/{ID},task_memcg=/shoal/{ID},task=t,pid=5,uid=0"
    )

    def earlier(number: int) -> list[ExitRecord]:
        return [_end("oom", oom=OomRecord(number=number))]

    inquiry = OomInquiry(lambda: [LogRecord(5, line), LogRecord(9, line)])
    assert asyncio.run(inquiry.explain(ID, [])).kills == 2
    assert asyncio.run(inquiry.explain(ID, earlier(5))).kills == 1
    assert asyncio.run(inquiry.explain(ID, earlier(5000))).kills == 2


def test_inquiry_without_a_kernel_log_knows_nothing_more() -> None:
    """shoald may not read it: the OOM kill itself is told all the same."""

    def read() -> list[LogRecord]:
        raise SyscallError("read", "/dev/kmsg", 1)

    assert asyncio.run(OomInquiry(read).explain(ID, [])) == OomRecord()


@pytest.mark.parametrize(
    ("size", "text"), [(0, "0"), (512, "512 B"), (20 * MIB, "20 MiB"), (1536 * MIB, "1.5 GiB"), (1, "1 B")]
)
def test_size_text_is_short(size: int, text: str) -> None:
    """Three digits are enough for a reader."""
    assert size_text(size) == text


@pytest.mark.parametrize(
    ("duration_s", "text"),
    [(0.123, "0.12 s"), (12.9, "12 s"), (303, "5 min 3 s"), (7800, "2 h 10 min"), (-5, "0 s")],
)
def test_duration_text_is_short(duration_s: float, text: str) -> None:
    """Coarser, the longer it is."""
    assert duration_text(int(duration_s * S)) == text
