"""Colour and weight on a terminal, plain text everywhere else.

NO_COLOR (no-color.org), TERM=dumb, and an output that is no terminal switch it off.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import TextIO


_CODES = {"bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33", "cyan": "36"}


class Style:
    """Dresses text for one output."""

    __slots__ = ("on",)

    def __init__(self, *, on: bool) -> None:
        self.on = on

    def __call__(self, text: str, *looks: str) -> str:
        """`text` in the given looks (bold, dim, red, green, yellow, cyan), or as it is where style is off."""
        if not self.on or not looks:
            return text
        return f"\033[{';'.join(_CODES[look] for look in looks)}m{text}\033[0m"


def style_for(output: TextIO, environment: Mapping[str, str]) -> Style:
    """The style that fits `output`."""
    plain = environment.get("NO_COLOR") or environment.get("TERM", "") == "dumb"
    return Style(on=not plain and output.isatty())
