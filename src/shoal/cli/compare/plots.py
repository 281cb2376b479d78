"""Drawings of a comparison, as SVG: bars with their raw samples, and stacks of boxes. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from shoal.cli.compare.report import TITLES, Figure, Mode
from shoal.cli.compare.table import cell

_WIDTH, _LABEL, _ROW, _BAR = 720, 130, 30, 18
_TOP = 6
_VALUES = 150  # beside the bars
_BOX, _GAP = 40, 6


def bars(figure: Figure, modes: Sequence[Mode]) -> str:
    """One figure: a bar to the median for each mode, a dot for each sample."""
    present = [mode for mode in modes if figure.samples.get(mode)]
    most = max((max(figure.samples[mode]) for mode in present), default=0.0) or 1.0
    scale = (_WIDTH - _LABEL - _VALUES) / most
    parts = []
    for row, mode in enumerate(present):
        y = _TOP + row * _ROW
        median = figure.median(mode) or 0.0
        parts.append(f'<text x="{_LABEL - 10}" y="{y + 14}" text-anchor="end">{escape(TITLES[mode])}</text>')
        parts.append(
            f'<rect class="{mode}" x="{_LABEL}" y="{y}" width="{max(1.0, median * scale):.1f}" height="{_BAR}" rx="3"/>'
        )
        dots = sorted(figure.samples[mode])[:: max(1, len(figure.samples[mode]) // 100)]
        parts += [f'<circle class="dot" cx="{_LABEL + v * scale:.1f}" cy="{y + _BAR / 2}" r="2.5"/>' for v in dots]
        x = _LABEL + max(median, dots[-1]) * scale + 10
        parts.append(f'<text class="value" x="{x:.1f}" y="{y + 14}">{escape(cell(figure, mode))}</text>')
    height = _TOP + len(present) * _ROW
    label = escape(f"{figure.title}: " + ", ".join(f"{TITLES[mode]} {cell(figure, mode)}" for mode in present))
    return _svg(_WIDTH, height, label, parts)


@dataclass(frozen=True, slots=True)
class Box:
    """One box of a stack. `size` stands at its right, for what was measured."""

    text: str
    size: str = ""


def stack(title: str, private: Sequence[Box], shared: Sequence[Box], *, columns: int = 3) -> str:
    """Boxes on top of each other: what each instance has for itself, above what all of them share."""
    width = 460
    column = (width - _GAP * (columns - 1)) / columns
    parts = []
    y = _TOP
    for box in private:
        for number in range(columns):
            # The sizes are those of one instance; the others are drawn for what there is more than once.
            parts += _box(
                box if number == 0 else Box(box.text), number * (column + _GAP), y, column, "private", lines=2
            )
        y += _BOX + _GAP
    y += _GAP
    for box in shared:
        parts += _box(box, 0, y, width, "shared", lines=1)
        y += _BOX + _GAP
    label = f"{title}. Each has: {'; '.join(f'{b.text} {b.size}'.strip() for b in private)}. Shared: "
    label += "; ".join(f"{b.text} {b.size}".strip() for b in shared)
    return _svg(width, y, escape(label), parts)


def _box(box: Box, x: float, y: float, width: float, kind: str, *, lines: int) -> list[str]:
    parts = [f'<rect class="{kind}" x="{x:.1f}" y="{y}" width="{width:.1f}" height="{_BOX}" rx="4"/>']
    middle = y + _BOX / 2
    if lines == 2:
        first = middle - 4 if box.size else middle + 4
        parts.append(f'<text x="{x + width / 2:.1f}" y="{first}" text-anchor="middle">{escape(box.text)}</text>')
        if box.size:
            where = f'x="{x + width / 2:.1f}" y="{middle + 12}" text-anchor="middle"'
            parts.append(f'<text class="size" {where}>{escape(box.size)}</text>')
        return parts
    parts.append(f'<text x="{x + 12:.1f}" y="{middle + 4}">{escape(box.text)}</text>')
    parts.append(
        f'<text class="size" x="{x + width - 12:.1f}" y="{middle + 4}" text-anchor="end">{escape(box.size)}</text>'
    )
    return parts


def _svg(width: int, height: float, label: str, parts: Sequence[str]) -> str:
    return f'<svg viewBox="0 0 {width} {height:.0f}" role="img" aria-label="{label}">{"".join(parts)}</svg>'
