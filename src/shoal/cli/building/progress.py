"""What `shoal build` shows where no terminal is: each step as it goes on, its time, or that it was cached.

Steps run side by side, so that every line says which one it belongs to: `3/9 │ output`.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from shoal.cli.context import Context
from shoal.cli.terminal import terminal_size
from shoal.client.document import Document


def can_draw(context: Context) -> bool:
    """Whether standard output is a terminal that a picture can be drawn on (live.py)."""
    output = context.stdout
    is_dumb = context.environment.get("TERM", "") in ("", "dumb")
    return output.isatty() and not is_dumb and terminal_size(output.fileno()) is not None


class Progress:
    """Shows the events of one build. `why` is the step whose misses are explained, "" for none, "all" for each."""

    def __init__(self, context: Context, *, quiet: bool, why: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._context = context
        self._style = context.style
        self._quiet = quiet
        self._why = why
        self._clock = clock
        self._texts: dict[int, str] = {}
        self._begun: dict[int, float] = {}
        self._shown: set[int] = set()
        self._total = 0
        self._rests: dict[int, str] = {}

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing stays open."""

    def fail(self) -> None:
        """The build has failed; all that it has said is shown already."""

    def show(self, message: Document) -> None:
        """One message of the engine."""
        step = message.number("buildStep", "step")
        if not step:
            text = message.text("stream")
            if text and not self._quiet:
                self._write(text)
            return
        event, text = message.text("buildStep", "event"), message.text("buildStep", "text")
        if event == "missed":
            self._explain(step, message.texts("buildStep", "reasons"))
        elif not self._quiet:
            self._event(step, event, text, message.number("buildStep", "total"))

    def _event(self, step: int, event: str, text: str, total: int) -> None:
        if event == "began":
            self._texts[step], self._begun[step], self._total = text, self._clock(), total
        elif event == "cached":
            self._head(step, self._style("cached ", "green"))
        elif event == "running":
            self._head(step)
        elif event == "wrote":
            self._head(step)
            self._output(step, text)
        elif event == "finished":
            self._head(step)
            self._output(step, "", is_end=True)
            took_s = self._clock() - self._begun.get(step, 0)
            if took_s >= 0.05:
                self._line(step, self._style(f"done in {took_s:.1f} s", "dim"))

    def _head(self, step: int, mark: str = "") -> None:
        if step not in self._shown:
            self._shown.add(step)
            first = self._texts.get(step, "").partition("\n")[0]
            self._write(f"{self._style(f'{step}/{self._total}', 'bold')} {mark}{first}\n")

    def _output(self, step: int, text: str, *, is_end: bool = False) -> None:
        """Whole lines; the beginning of one waits for its end."""
        *lines, rest = (self._rests.pop(step, "") + text).split("\n")
        if rest and is_end:
            lines.append(rest)
        elif rest:
            self._rests[step] = rest
        for line in lines:
            self._line(step, line)

    def _line(self, step: int, text: str) -> None:
        self._write(f"{step}/{self._total} │ {text.rstrip(chr(13))}\n")

    def _explain(self, step: int, reasons: list[str]) -> None:
        if self._why in ("all", str(step)):
            self._context.warn(f"step {step} is made anew: {self._texts.get(step, '')}")
            for reason in reasons or ["it was never made before"]:
                self._context.warn(f"  {reason}")

    def _write(self, text: str) -> None:
        self._context.stdout.write(text)
        self._context.stdout.flush()
