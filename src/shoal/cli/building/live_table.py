"""What a build looks like on a terminal: a row for each step that is at work, its last words below it. Pure.

[12.3 s] 4 of 9 steps, 2 cached
5/9 RUN make                                      3.1 s
  │ cc -c main.c
7/9 RUN npm ci                                    8.0 s
  │ added 12 packages
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from shoal.cli.style import Style

_SHOWN_LINES = 6
_KEPT_LINES = 200
_SHORT_S = 0.05  # a step that takes less has no time worth a look


class Step:
    """One step: what is told of it."""

    __slots__ = ("_rest", "began_s", "is_cached", "lines", "number", "text")

    def __init__(self, number: int, text: str, began_s: float) -> None:
        self.number = number
        self.text = text.partition("\n")[0]
        self.began_s = began_s
        self.is_cached = False
        self.lines: list[str] = []
        self._rest = ""

    def wrote(self, text: str) -> None:
        """Takes output; of what a line was overwritten with, the last counts."""
        *lines, self._rest = (self._rest + text).split("\n")
        self.lines += [_visible(line) for line in lines]
        del self.lines[:-_KEPT_LINES]

    @property
    def tail(self) -> Sequence[str]:
        """The last lines, one that has not come to its end included."""
        return [*self.lines, _visible(self._rest)] if self._rest.strip() else self.lines


def finished_row(step: Step, total: int, now_s: float, *, width: int, style: Style) -> str:
    """The line that stays of a step."""
    if step.is_cached:
        return _row(step, total, "cached", width=width, style=style, look="green")
    took_s = now_s - step.began_s
    return _row(step, total, f"{took_s:.1f} s" if took_s >= _SHORT_S else "", width=width, style=style, look="dim")


def failed_rows(step: Step, total: int, now_s: float, *, width: int, style: Style) -> list[str]:
    """What stays of a step that has not come to its end: all that is kept of its output."""
    head = _row(step, total, f"{now_s - step.began_s:.1f} s", width=width, style=style, look="red")
    return [head, *(f"  │ {line}" for line in step.tail)]


def block(
    steps: Mapping[int, Step],
    done: tuple[int, int, int],
    seconds: float,
    now_s: float,
    *,
    height: int,
    width: int,
    style: Style,
) -> list[str]:
    """The lines for the steps at work, no more than `height`, none wider than `width`.

    `done` are the steps that are done, those of them that were cached, and all that there are.
    """
    count, cached, total = done
    head = f"[{seconds:.1f} s] {count} of {total} steps" + (f", {cached} cached" if cached else "")
    room = max(1, height - 2)
    shown = list(steps.values())[:room]
    each = min(_SHOWN_LINES, (room - len(shown)) // len(shown)) if shown else 0
    rows = [style(head[: width - 1], "bold")]
    for step in shown:
        rows.append(_row(step, total, f"{now_s - step.began_s:.1f} s", width=width, style=style, look="cyan"))
        tail = step.tail[-each:] if each else ()
        rows += [style(f"  │ {line}"[: width - 1], "dim") for line in tail]
    return rows


def _row(step: Step, total: int, mark: str, *, width: int, style: Style, look: str) -> str:
    number = f"{step.number}/{total}"
    room = max(1, width - len(number) - len(mark) - 3)
    text = _visible(step.text)
    text = text[: room - 1] + "…" if len(text) > room else text.ljust(room)
    return f"{style(number, 'bold')} {text} {style(mark, look)}".rstrip()


def _visible(line: str) -> str:
    """A line without what would move the cursor: colours and other sequences go, and what a return overwrote."""
    line = line.rstrip("\r").rpartition("\r")[2]
    if line.isprintable():
        return line
    shown = []
    at = 0
    while at < len(line):
        if line[at] == "\033":
            at = _end_of_sequence(line, at)
            continue
        shown.append(line[at] if line[at].isprintable() else " ")
        at += 1
    return "".join(shown)


def _end_of_sequence(line: str, at: int) -> int:
    """Where the terminal sequence that begins at `at` is over. ECMA-48 §5.4, and xterm's OSC."""
    if line[at + 1 : at + 2] == "]":
        end = line.find("\a", at)
        return len(line) if end < 0 else end + 1
    if line[at + 1 : at + 2] != "[":
        return at + 2
    at += 2
    while at < len(line) and not "@" <= line[at] <= "~":
        at += 1
    return at + 1
