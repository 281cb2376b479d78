"""The end of a run told in plain sentences, and what would help. Pure."""

from __future__ import annotations

import signal as signals

from shoal.engine.container.exits import FAULTS, Ask, ExitRecord, OomRecord

_NS = 1_000_000_000
_KINDS = {
    "anon": "of its programs",
    "file": "of files",
    "kernel": "of the kernel for it",
    "shmem": "shared or tmpfs",
    "swap": "swapped out",
}
_VERBS = {
    "stop": "`stop`",
    "kill": "`kill`",
    "restart": "`restart`",
    "remove": "`rm -f`",
    "daemon": "shoald, which was being stopped itself,",
    "unhealthy": "shoald, by --on-unhealthy,",
}
_USUAL_CODES = {
    126: "usually a command that may not be executed",
    127: "usually a command that was not found",
}
_MOST_SAID = 200


def signal_name(number: int) -> str:
    """SIGTERM for 15; the number for a real-time signal."""
    try:
        return signals.Signals(number).name
    except ValueError:
        return f"signal {number}"


def sentence(end: ExitRecord) -> str:
    """What ended the run, in one or two sentences whose subject is the container."""
    text = _SENTENCES[end.cause](end)
    if end.oom is not None and end.cause != "oom":
        text += " Before that, in the same run: " + _out_of_memory(end.oom)
    return text


def hint(end: ExitRecord, name: str) -> str:
    """What the reader may do about it, "" where there is nothing to say."""
    if end.cause == "oom" and end.oom is not None and end.oom.scope == "container" and end.oom.limit:
        more_mib = 2 * end.oom.limit // (1 << 20)
        return f"give it more: shoal update --memory {more_mib}m --memory-swap {more_mib}m {name}"
    if end.cause == "oom" and end.oom is not None and end.oom.scope == "machine":
        return "the machine itself had no more memory: limit what else runs on it, see `shoal stats`"
    if end.cause == "stop-timeout" and end.ask is not None:
        return (
            f"a first process gets {signal_name(end.ask.signal)} only if it handles it: handle it, run it with --init,"
            " name another with --stop-signal, or allow more time with --stop-timeout"
        )
    if end.cause == "unhealthy":
        return f"see what its checks said: shoal inspect -f '{{{{json .State.Health}}}}' {name}"
    if end.cause in ("exit", "crash") and end.code:
        return f"see what it said: shoal logs --tail 20 {name}"
    if end.cause == "unknown":
        return "it is told by the next end that shoald or its supervisor is there to see"
    return ""


def size_text(size: int) -> str:
    """`size` bytes as `20 MiB`, `1.5 GiB`, `0`."""
    value, unit = float(size), "B"
    for larger in ("KiB", "MiB", "GiB", "TiB"):
        if value < 1024:
            break
        value, unit = value / 1024, larger
    return f"{value:.3g} {unit}" if value else "0"


def duration_text(duration_ns: int) -> str:
    """A duration as `0.35 s`, `12 s`, `5 min 3 s`, `2 h 10 min`."""
    seconds = max(duration_ns, 0) / _NS
    if seconds < 10:
        return f"{seconds:.2g} s"
    whole = int(seconds)
    if whole < 120:
        return f"{whole} s"
    if whole < 7200:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def _ran(end: ExitRecord) -> str:
    return f"after {duration_text(end.ended_ns - end.started_ns)}"


def _exit(end: ExitRecord) -> str:
    code = end.code or 0
    usual = "success" if code == 0 else _USUAL_CODES.get(code, "")
    if 128 < code < 128 + 65:
        usual = f"what a shell or an init says when {signal_name(code - 128)} has ended its child"
    return f"It ended by itself {_ran(end)} with exit code {code}{f' ({usual})' if usual else ''}."


def _stop(end: ExitRecord) -> str:
    ask = _ask(end)
    took = duration_text(end.ended_ns - ask.at_ns)
    how = f"ended with exit code {end.code}" if not end.signal else f"was ended by {signal_name(end.signal)}"
    return f"{_VERBS[ask.by]} sent it {signal_name(ask.signal)}, and it {how} {took} later."


def _stop_timeout(end: ExitRecord) -> str:
    ask = _ask(end)
    return (
        f"{_VERBS[ask.by]} sent it {signal_name(ask.signal)}; it had not ended {ask.timeout_s} s later, and was killed"
        " with SIGKILL."
    )


def _kill(end: ExitRecord) -> str:
    return f"A client ended it with {signal_name(end.signal)}, by {_VERBS[_ask(end).by]}."


def _daemon(end: ExitRecord) -> str:
    ask = _ask(end)
    late = f" It had not ended {ask.timeout_s} s later, and was killed with SIGKILL." if ask.killed else ""
    return f"shoald was being stopped and sent it {signal_name(ask.signal)} first.{late}"


def _unhealthy(end: ExitRecord) -> str:
    ask = _ask(end)
    late = f"; it had not ended {ask.timeout_s} s later, and was killed with SIGKILL" if ask.killed else ""
    text = f"It was ended by --on-unhealthy, with {signal_name(ask.signal)}{late}."
    if end.health is not None:
        text += f" Its health check had failed {_times(end.health.failing_streak)} behind each other"
        said = " ".join(end.health.output.split())[:_MOST_SAID]
        text += f', the last time with "{said}".' if said else "."
    return text


def _oom(end: ExitRecord) -> str:
    assert end.oom is not None
    how = "" if end.signal else f" It then ended with exit code {end.code}."
    return f"It ran out of memory {_ran(end)}: {_out_of_memory(end.oom)}{how}"


def _out_of_memory(oom: OomRecord) -> str:
    if not oom.number:
        return "the kernel killed a process of it, and its log does not tell any more which, and at what limit."
    where = {
        "container": f"its limit of {size_text(oom.limit)} was used up",
        "above": f"the limit of {size_text(oom.limit)} of the cgroup above it was used up",
        "machine": "the whole machine had none left",
    }.get(oom.scope, "a limit was used up")
    victim = f"the kernel killed `{oom.victim}` (pid {oom.pid}, {size_text(sum(oom.victim_memory.values()))})"
    more = f", the last of {oom.kills} processes" if oom.kills > 1 else ""
    used = ", ".join(f"{size_text(oom.memory[kind])} {words}" for kind, words in _KINDS.items() if oom.memory.get(kind))
    return f"{where}, and {victim}{more}." + (f" Its memory then: {used}." if used else "")


def _crash(end: ExitRecord) -> str:
    why = FAULTS[signals.Signals(end.signal)]
    return f"Its program crashed {_ran(end)}: {signal_name(end.signal)}, the kernel's answer to {why}."


def _signal(end: ExitRecord) -> str:
    who = "from outside the container" if end.is_alone else "from a process that it shares its pid namespace with"
    return (
        f"{signal_name(end.signal)} ended it {_ran(end)}. shoal did not send it, nor the kernel for a reason that it"
        f" tells of: it came {who}."
    )


def _start_failed(end: ExitRecord) -> str:
    return f"It could not be started: {end.why}."


def _reboot(end: ExitRecord) -> str:
    del end
    return "The machine went down while it ran."


def _unknown(end: ExitRecord) -> str:
    del end
    return "It ended while neither shoald nor its supervisor was there to see, and the kernel does not tell how."


def _ask(end: ExitRecord) -> Ask:
    assert end.ask is not None
    return end.ask


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"


_SENTENCES = {
    "exit": _exit,
    "stop": _stop,
    "stop-timeout": _stop_timeout,
    "kill": _kill,
    "daemon": _daemon,
    "unhealthy": _unhealthy,
    "oom": _oom,
    "crash": _crash,
    "signal": _signal,
    "start-failed": _start_failed,
    "reboot": _reboot,
    "unknown": _unknown,
}
