"""Showing a pull or a push: a block of rows that changes on a terminal, a line for each step everywhere else."""

from __future__ import annotations

import time

from shoal.cli.style import style_for
from shoal.cli.terminal import terminal_size
from shoal.cli.transfer_table import Row, block

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import TextIO

    from shoal.client.document import Document

_PAUSE_S = 0.05  # between two pictures: more nobody sees
_UP, _CLEAR = "\033[{}A", "\r\033[J"


def show_transfer(messages: Iterable[Document], output: TextIO, environment: Mapping[str, str], *, quiet: bool) -> None:
    """Shows the messages of a pull or a push as they come; `quiet` shows nothing of it. Raises: what they raise."""
    if quiet:
        for _ in messages:
            pass
    elif output.isatty() and environment.get("TERM", "") != "dumb" and terminal_size(output.fileno()):
        _show_moving(messages, output, environment)
    else:
        _show_lines(messages, output)


def _show_lines(messages: Iterable[Document], output: TextIO) -> None:
    """A line for each step; how far it is within one is left out."""
    for message in messages:
        text = _sentence(message)
        if text and not message.mapping("progressDetail"):
            output.write(text + "\n")
            output.flush()


def _sentence(message: Document) -> str:
    id, status = message.text("id"), message.text("status")
    return f"{id}: {status}" if id and status else status


def _show_moving(messages: Iterable[Document], output: TextIO, environment: Mapping[str, str]) -> None:
    picture = _Picture(output, environment)
    try:
        for message in messages:
            id = message.text("id")
            if id and "progressDetail" in message.raw:
                detail = message.child("progressDetail")
                picture.hear(id, message.text("status"), detail.number("current"), detail.number("total"))
            elif message.text("status"):
                picture.say(_sentence(message))
    finally:
        picture.draw()


class _Picture:
    """The block of rows at the end of what has been printed."""

    def __init__(self, output: TextIO, environment: Mapping[str, str]) -> None:
        self._output = output
        self._style = style_for(output, environment)
        self._rows: dict[str, Row] = {}
        self._lines = 0
        self._began = self._drawn = time.monotonic()

    def hear(self, id: str, status: str, current: int, total: int) -> None:
        """One message of a layer."""
        if id not in self._rows:
            self._rows[id] = Row(id)
        self._rows[id].hear(status, current, total)
        if time.monotonic() - self._drawn >= _PAUSE_S:
            self.draw()

    def say(self, text: str) -> None:
        """A sentence about the whole. One that comes after the layers ends their block."""
        self.draw()
        self._output.write(text + "\n")
        self._output.flush()
        self._rows, self._lines = {}, 0

    def draw(self) -> None:
        """Shows the rows as they are now."""
        self._drawn = time.monotonic()
        if not self._rows:
            return
        height, width = terminal_size(self._output.fileno()) or (24, 80)
        seconds = self._drawn - self._began
        lines = block(list(self._rows.values()), seconds, height=height, width=width, style=self._style)
        up = _UP.format(self._lines) if self._lines else ""
        self._output.write(up + _CLEAR + "".join(f"{line}\n" for line in lines))
        self._output.flush()
        self._lines = len(lines)
