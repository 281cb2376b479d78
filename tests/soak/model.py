"""What Docker's containers may answer and be: a state machine of which one may know the present state in part only.

    absent ──create──▶ created ──start──▶ running ──kill, its own end──▶ ending ──▶ exited ──start──▶ running …
                                           │  ▲
                                        pause  unpause          each of them but running and paused: ──remove──▶ absent
                                           ▼  │
                                          paused

"ending" is a container that runs, and of which it is known that it will end by itself; "fading" is one that was paused
when its process had ended, which had not been told yet. A belief is a set of states: it grows when an answer was lost
with the daemon, and shrinks with each answer and each look. An answer that no state in the belief allows is a surprise.
"""

from __future__ import annotations

from dataclasses import dataclass, field

Answers = dict[int, tuple[str, ...]]


@dataclass(frozen=True)
class Program:
    """What a container runs: how it ends by itself, how when asked to, and how many lines it prints before that."""

    script: str
    ends: int | None = None
    on_term: int | None = None
    lines: int = 0

    @property
    def alive(self) -> str:
        """The state behind its start."""
        return "running" if self.ends is None else "ending"


PROGRAMS = {
    "sleeper": Program("exec sleep 1000"),
    "trapper": Program("trap 'exit 3' TERM; while :; do usleep 20000; done", on_term=3),
    "leaver": Program("exit 4", ends=4),
    "counter": Program(
        "echo begin; i=0; while [ $i -lt 60 ]; do i=$((i+1)); echo $i; usleep 3000; done; exit 7", ends=7, lines=60
    ),
}

PRESENT = "created exited running ending paused"
ALIVE = "alive"  # stands for the state of the program behind its start
SAME = "same"


def each(states: str, answers: Answers) -> dict[str, Answers]:
    """The same answers in each of these states."""
    return dict.fromkeys(states.split(), answers)


# operation → state → answer → the states that it may lead to. Where a state is missing, the answer is 404.
RULES: dict[str, dict[str, Answers]] = {
    "create": {
        "absent": {201: ("created",)},
        **each(PRESENT, {409: (SAME,)}),
    },
    "start": {
        **each("created exited", {204: (ALIVE,)}),
        **each("running ending", {304: (SAME,)}),
        "paused": {409: (SAME,)},
    },
    "stop": {
        **each("created exited", {304: (SAME,)}),
        **each("running paused", {204: ("exited",)}),
        "ending": {204: ("exited",), 304: ("exited",)},
    },
    "kill": {
        **each("created exited", {409: (SAME,)}),
        **each("running paused", {204: ("ending",)}),
        "ending": {204: ("ending",), 409: ("exited",)},
    },
    "terminate": {
        **each("created exited", {409: (SAME,)}),
        "running": {204: ("running", "ending")},
        # The signal waits until it goes on.
        "paused": {204: ("paused", "running", "ending")},
        "ending": {204: ("ending",), 409: ("exited",)},
    },
    "restart": each(PRESENT, {204: (ALIVE,)}),
    "pause": {
        **each("created exited", {409: (SAME,)}),
        "paused": {409: (SAME,)},
        "running": {204: ("paused",)},
        # Its end may have come, and not been told yet.
        "ending": {204: ("paused", "fading", "exited"), 409: ("ending", "exited")},
    },
    "unpause": {
        **each("created exited running ending", {409: (SAME,)}),
        "paused": {204: ("running", "ending")},
    },
    "remove": {
        **each("created exited", {204: ("absent",)}),
        **each("running paused", {409: (SAME,)}),
        "ending": {409: ("ending",)},
    },
    "remove-force": each(PRESENT, {204: ("absent",)}),
    "rename": each(PRESENT, {204: (SAME,)}),
    "update": each(PRESENT, {200: (SAME,)}),
    "commit": each(PRESENT, {201: (SAME,)}),
    "logs": each(PRESENT, {200: (SAME,)}),
    "put": each(PRESENT, {200: (SAME,)}),
    "get": each(PRESENT, {200: (SAME,), 404: (SAME,)}),
    "stats": each(PRESENT, {200: (SAME,)}),
    "top": {
        **each("created exited", {409: (SAME,)}),
        **each("running paused", {200: (SAME,)}),
        # It may have ended between the look and ps.
        "ending": {200: ("ending",), 409: ("ending", "exited"), 500: ("ending", "exited")},
    },
    "exec": {
        **each("created exited paused", {409: (SAME,)}),
        "running": {201: (SAME,)},
        "ending": {201: ("ending",), 409: ("ending", "exited")},
    },
    "attach": {
        **each("created exited running ending", {101: (SAME,)}),
        "paused": {409: (SAME,)},
    },
}
for _rules in RULES.values():
    if "paused" in _rules:
        _rules["fading"] = _rules["paused"]
# Every look is "absent" or Docker's word for the state.
SHOWN = {
    "created": "created",
    "running": "running",
    "ending": "running",
    "paused": "paused",
    "fading": "paused",
    "exited": "exited",
}
SIGKILLED = 137


class SurpriseError(Exception):
    """Something that no state of the belief allows."""


@dataclass
class Belief:
    """What is known of one container."""

    program: Program = PROGRAMS["sleeper"]
    states: frozenset[str] = frozenset({"absent"})
    codes: set[int] = field(default_factory=set)
    # Whether a supervisor died since its start: then the exit code may be unknown, which is told as -1.
    witness_lost: bool = False
    pid: int | None = None

    def begin(self, program: Program) -> None:
        """A new container is about to be made in this place."""
        if self.states == {"absent"}:
            self.program, self.codes, self.witness_lost, self.pid = program, {0}, False, None

    def possible(self) -> frozenset[str]:
        """The states of this moment: what was ending may have ended."""
        return self.states | ({"exited"} if self.states & {"ending", "fading"} else set())

    def told(self, operation: str, answer: int) -> None:
        """Takes an answer in. Raises: SurpriseError when it may not come."""
        before = self.possible()
        after = {state for now in before for state in self._next(operation, now).get(answer, ())}
        if not after:
            raise SurpriseError(f"{operation} was answered {answer}, where a container is {'|'.join(sorted(before))}")
        self._codes_behind(operation, certain=answer < 300)
        self.states = frozenset(after)

    def lost(self, operation: str) -> None:
        """The answer did not come: whatever it would have been, or nothing, has happened."""
        before = self.possible()
        after = {state for now in before for answers in self._next(operation, now).values() for state in answers}
        self._codes_behind(operation, certain=False)
        if operation in ("start", "restart"):
            # It ran, and was ended, or did not get that far.
            after |= {"ending", "exited"}
            self.codes |= {126, 127, 128, 255, SIGKILLED, -1} | ({self.program.on_term} - {None})
            self.pid = None
        if operation in ("stop", "kill", "terminate", "remove-force"):
            after.add("ending")
        self.states = before | after

    def seen(self, status: str | None, code: int, pid: int) -> None:
        """Takes a look in; `status` is None for a container that is not there. Raises: SurpriseError."""
        before = self.possible()
        shown = status or "absent"
        after = frozenset(state for state in before if SHOWN.get(state, state) == shown)
        if not after:
            raise SurpriseError(f"it is shown as {shown}, where it must be {'|'.join(sorted(before))}")
        self.states = after
        if shown == "exited" and code not in self.codes and not (code == -1 and self.witness_lost):
            raise SurpriseError(f"its exit code is {code}, where only {sorted(self.codes)} may be")
        if (shown in ("running", "paused")) != (pid > 0):
            raise SurpriseError(f"it is {shown} with the process id {pid}")
        if pid and self.pid not in (None, pid):
            raise SurpriseError(f"its process was {self.pid}, and is {pid} without a start in between")
        self.pid = pid or None

    def _next(self, operation: str, state: str) -> Answers:
        rules = RULES[operation]
        if state not in rules:
            return {404: (state,)}
        names = {SAME: state, ALIVE: self.program.alive}
        return {answer: tuple(names.get(name, name) for name in after) for answer, after in rules[state].items()}

    def _codes_behind(self, operation: str, *, certain: bool) -> None:
        own = set() if self.program.ends is None else {self.program.ends}
        if operation in ("start", "restart"):
            self.codes = own if certain else self.codes | own
            if certain:
                self.witness_lost, self.pid = False, None
        elif operation in ("stop", "kill", "remove-force"):
            self.codes |= {SIGKILLED}
        if operation in ("stop", "terminate", "remove-force") and self.program.on_term is not None:
            self.codes.add(self.program.on_term)


def whole_runs(text: str, lines: int) -> str | None:
    """What is wrong with the log of a program that counts, None where nothing is: runs count from 1 without gaps."""
    expected = 0
    for number, line in enumerate(text.splitlines()):
        if line == "begin":
            expected = 1
        elif line != str(expected) or not expected or expected > lines:
            return f"line {number + 1} is {line!r}, where {expected} was to come"
        else:
            expected += 1
    return None


def complete(text: str, lines: int) -> bool:
    """Whether the last run of a program that counts is there to its last line."""
    return text.splitlines()[-1:] == [str(lines)]
