"""Columns of text, as Docker's client aligns them."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence


_LEAST_WIDTH = 10
_GAP = 3


def aligned(rows: Sequence[Sequence[str]], least_width: int = _LEAST_WIDTH) -> list[str]:
    """Each row as a line: a column is as wide as its widest cell plus a gap, and at least ten characters. The last
    one is not filled up."""
    if not rows:
        return []
    columns = range(len(rows[0]))
    widths = [max(least_width, *(len(row[column]) + _GAP for row in rows)) for column in columns]
    widths[-1] = 0
    return ["".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows]


def ellipsis(text: str, width: int) -> str:
    """`text`, cut to `width` characters with … as the last if it is longer."""
    return text if len(text) <= width else text[: width - 1] + "…"
