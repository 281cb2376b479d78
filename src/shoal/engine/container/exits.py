"""What ended each run of a container: a bounded record, kept with the container's own in one transaction. Pure.

somebody asks (stop, kill, …) ─▶ Ask, saved before the signal is sent ─┐
the driver tells the end ──────▶ code or signal, OOM ──────────────────┴▶ cause_of ─▶ ExitRecord
"""

from __future__ import annotations

import signal as signals
from typing import Literal

import msgspec

AskedBy = Literal["stop", "kill", "restart", "remove", "daemon", "unhealthy"]
Cause = Literal[
    "exit",  # its program ended by itself
    "stop",  # stop, restart or kill asked it to end, and it did
    "stop-timeout",  # asked to end it did not in time, and was killed
    "kill",  # a client's signal ended it
    "daemon",  # shoald ended it because it was leaving itself
    "unhealthy",  # its health check failed, and the container wants something done about it
    "oom",  # the kernel killed it for want of memory
    "crash",  # the kernel ended it for what its own program did
    "signal",  # a signal that shoal has not sent
    "start-failed",  # it never ran
    "reboot",  # the machine went down
    "unknown",  # nobody was there to see
]
Scope = Literal["container", "above", "machine", "unknown"]  # whose limit was hit
KEPT = 10
# Signals by which the kernel ends a program for what it does itself, and what that is.
FAULTS = {
    signals.SIGSEGV: "an access to memory that is not there",
    signals.SIGBUS: "an access to memory that its file or device does not have",
    signals.SIGFPE: "an arithmetic error, such as a division by zero",
    signals.SIGILL: "an instruction that this processor does not know",
    signals.SIGABRT: "abort(), after an error that it found itself",
    signals.SIGTRAP: "a breakpoint without a debugger",
    signals.SIGSYS: "a system call that its seccomp profile ends programs for",
    signals.SIGXCPU: "its limit of processor time (ulimit cpu)",
    signals.SIGXFSZ: "its limit of file sizes (ulimit fsize)",
    signals.SIGPIPE: "a write to a pipe that nobody reads",
    signals.SIGALRM: "an alarm that it had set itself",
}
_NS = 1_000_000_000
# An end that comes so soon behind a signal from the API is its effect, also when the program handles the signal.
_EFFECT_NS = 10 * _NS


class Ask(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Who asked a container to end, and how. `timeout_s` None: there was none; `killed`: it was over, SIGKILL followed.

    `restarts`: it is to be started again, whatever its restart policy says.
    """

    by: AskedBy
    signal: int
    at_ns: int
    timeout_s: int | None = None
    killed: bool = False
    restarts: bool = False


class OomRecord(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Processes of one run that were killed for want of memory; the victim is the last one. Sizes in bytes.

    `memory` is what the container had then, by kind (anon, file, kernel, shmem, swap). `number` is the report's in the
    kernel's log; 0, and with it all else unknown, where the kernel did not tell.
    """

    kills: int = 1
    scope: Scope = "unknown"
    limit: int = 0
    usage: int = 0
    victim: str = ""
    pid: int = 0
    victim_memory: dict[str, int] = {}
    memory: dict[str, int] = {}
    number: int = 0


class HealthNote(msgspec.Struct, kw_only=True, omit_defaults=True):
    """The health of a container that was ended for it: failures behind each other, and what the last probe said."""

    failing_streak: int
    output: str = ""
    was_healthy: bool = False


class ExitRecord(msgspec.Struct, kw_only=True, omit_defaults=True):
    """The end of one run. `code` is None where nobody knows it, `signal` 0 where none ended the process.

    `is_alone`: it was the first process of a pid namespace of its own, which no process within can end by a signal.
    """

    cause: Cause
    started_ns: int
    ended_ns: int
    code: int | None = None
    signal: int = 0
    is_alone: bool = True
    ask: Ask | None = None
    oom: OomRecord | None = None
    health: HealthNote | None = None
    why: str = ""


def kept(exits: list[ExitRecord], latest: ExitRecord) -> list[ExitRecord]:
    """The records with one more, bounded; the oldest first."""
    return [*exits, latest][-KEPT:]


def good_run_s(end: ExitRecord) -> float:
    """How long the run lasted in seconds; 0 for one that was ended because it had never become healthy."""
    never_healthy = end.health is not None and not end.health.was_healthy
    return 0.0 if never_healthy else (end.ended_ns - end.started_ns) / _NS


def effective_ask(ask: Ask | None, *, signal: int, ended_ns: int) -> Ask | None:
    """The request that an end goes back to; None where the end has nothing to do with it.

    A signal that the program survived (a SIGHUP, to read its configuration) is no cause of what ends it later.
    """
    if ask is None:
        return None
    if ask.killed or signal:
        return ask if signal == (signals.SIGKILL if ask.killed else ask.signal) else None
    waits_for_ever = ask.timeout_s is not None and ask.timeout_s < 0
    patience_ns = max(ask.timeout_s or 0, 0) * _NS + _EFFECT_NS
    return ask if waits_for_ever or ended_ns - ask.at_ns <= patience_ns else None


def cause_of(*, code: int | None, signal: int, ask: Ask | None, oom: OomRecord | None) -> Cause:
    """What ended a run that began; `ask` is the effective one."""
    if code is None and not signal:
        return "unknown"
    if ask is not None:
        return _asked_cause(ask, signal)
    if oom is not None and (signal == signals.SIGKILL or code == 128 + signals.SIGKILL):
        return "oom"
    if not signal:
        return "exit"
    return "crash" if signal in FAULTS else "signal"


def _asked_cause(ask: Ask, signal: int) -> Cause:
    if ask.by == "unhealthy":
        return "unhealthy"
    if ask.by == "daemon":
        return "daemon"
    if ask.killed:
        return "stop-timeout"
    return "kill" if ask.by in ("kill", "remove") and signal else "stop"
