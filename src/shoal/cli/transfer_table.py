"""What a transfer's block on a terminal looks like: a row for each layer, and one for the whole. Pure."""

from __future__ import annotations

from shoal.cli.quantities import decimal_size

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from shoal.cli.style import Style

_BAR = 24
_STATUS = 20
_DONE = ("Pull complete", "Already exists", "Pushed", "Layer already exists", "Mounted from")
_MOVING = ("Downloading", "Pushing")
_OVER = ("Verifying Checksum", "Download complete", "Extracting", *_DONE)


class Row:
    """One layer: what is told of it, and how far it is."""

    __slots__ = ("current", "id", "status", "total", "travelled")

    def __init__(self, id: str) -> None:
        self.id = id
        self.status = ""
        self.current = self.total = 0
        self.travelled = 0

    def hear(self, status: str, current: int, total: int) -> None:
        """Takes one message of the engine."""
        if status.startswith(_MOVING):
            self.travelled = current
        elif status.startswith(_OVER) and self.travelled:
            self.travelled = max(self.travelled, self.total)
        self.status = status
        self.current = current
        self.total = total or self.total

    @property
    def is_done(self) -> bool:
        """Whether nothing more will be told of it."""
        return self.status.startswith(_DONE)


def block(rows: Sequence[Row], seconds: float, *, height: int, width: int, style: Style) -> list[str]:
    """The lines that show `rows`, at most `height` of them and none wider than `width`.

    Where not all have room, those that are done go first, then those that wait.
    """
    done = [row for row in rows if row.is_done]
    open_rows = [row for row in rows if not row.is_done]
    room = max(1, height - 2)
    if len(rows) <= room:
        shown = list(rows)
    else:
        moving = [row for row in open_rows if row.current] + [row for row in open_rows if not row.current]
        chosen = {row.id for row in (moving + done[::-1])[:room]}
        shown = [row for row in rows if row.id in chosen]
    lines = [_line(row, width, style) for row in shown]
    lines.append(_sum(rows, len(done), len(rows) - len(shown), seconds, width, style))
    return lines


def _line(row: Row, width: int, style: Style) -> str:
    status = row.status
    if not row.current or not row.total or row.is_done:
        look = ("green",) if row.is_done else ("dim",) if status in ("Waiting", "Preparing") else ()
        room = max(0, width - len(row.id) - 3)
        return f" {row.id}  {style(status[:room], *look)}"
    amount = f"{decimal_size(row.current)} / {decimal_size(row.total)}"
    head = f" {row.id}  {status[:_STATUS]:<12} "
    if len(head) + _BAR + 2 + len(amount) > width:
        return f"{head}{amount}"[:width]
    return f"{head}{style(_bar(row.current, row.total), 'cyan')}  {amount}"


def _bar(current: int, total: int) -> str:
    eighths = min(current, total) * _BAR * 8 // total
    full, part = divmod(eighths, 8)
    return ("█" * full + (" ▏▎▍▌▋▊▉"[part] if part else "")).ljust(_BAR, "·")


def _sum(rows: Sequence[Row], done: int, hidden: int, seconds: float, width: int, style: Style) -> str:
    parts = [f"{done} of {len(rows)} layers"]
    if hidden:
        parts.append(f"{hidden} not shown")
    travelled = sum(row.travelled for row in rows)
    if travelled:
        parts.append(decimal_size(travelled))
        if seconds >= 1:
            parts.append(f"{decimal_size(travelled / seconds)}/s")
    return style(" " + ", ".join(parts)[: max(0, width - 1)], "bold")
