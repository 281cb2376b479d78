"""What the reader of the demo sees: steps, explanations, figures, and promises that were kept or not."""

from __future__ import annotations

import textwrap
from typing import TextIO

from shoal.cli.style import Style

_WIDTH = 100
_LABEL = 27


class Narration:
    """Writes to one output and remembers whether every promise was kept."""

    def __init__(self, output: TextIO, style: Style) -> None:
        self._output = output
        self._style = style
        self._transient = False
        self.broken: list[str] = []

    def title(self, text: str) -> None:
        """The first line."""
        self._line(self._style(text, "bold"))

    def step(self, number: int, text: str) -> None:
        """The heading of a step (0: the preparation, which has no number)."""
        self._line("")
        self._line(self._style(f"{number}  {text}" if number else f"   {text}", "bold"))

    def explain(self, text: str) -> None:
        """A short explanation, wrapped."""
        for line in textwrap.wrap(text, _WIDTH - 3):
            self._line("   " + self._style(line, "dim"))

    def figure(self, label: str, value: str) -> None:
        """One measured figure."""
        self._line(f"   {label.ljust(_LABEL)} {value}")

    def listing(self, lines: list[str]) -> None:
        """Lines of output from a container, indented."""
        for line in lines:
            self._line("     " + self._style(line, "cyan"))

    def promise(self, text: str, kept: bool) -> bool:
        """States what was promised, and whether it was seen; returns `kept`."""
        if kept:
            self._line(f"   {self._style('ok', 'green')}  {text}")
        else:
            self.broken.append(text)
            self._line(f"   {self._style('FAILED', 'bold', 'red')}  {text}")
        return kept

    def progress(self, text: str) -> None:
        """On a terminal, a line that the next one replaces; nothing elsewhere."""
        if self._style.on:
            self._output.write(f"\r\033[K   {self._style(text[: _WIDTH - 4], 'dim')}")
            self._output.flush()
            self._transient = True

    def _line(self, text: str) -> None:
        if self._transient:
            self._output.write("\r\033[K")
            self._transient = False
        self._output.write(text.rstrip() + "\n")
        self._output.flush()
