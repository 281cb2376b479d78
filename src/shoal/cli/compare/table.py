"""A comparison for a terminal: a column for each mode, and what follows from it. Pure."""

from __future__ import annotations

from shoal.cli.compare.report import BOUNDARY, MODES, SHARED, TITLES, VM, Figure, Mode, Report
from shoal.cli.table import aligned


def table(report: Report) -> list[str]:
    """The report as lines."""
    modes = report.modes
    rows = [[report.application, *(TITLES[mode] for mode in modes)]]
    rows += [[figure.title, *(cell(figure, mode) for mode in modes)] for figure in report.figures]
    rows.append(["", *("" for _ in modes)])
    rows += [[f"sees: {sight.title}", *(sight.seen.get(mode, "") for mode in modes)] for sight in report.sights]
    rows.append(["", *("" for _ in modes)])
    rows.append(["instances that fit into memory", *(_fit(report, mode) for mode in modes)])
    lines = [line.rstrip() for line in aligned(rows)]
    for heading, told in (("The boundary", BOUNDARY), ("What neighbours share", SHARED)):
        lines += ["", f"{heading}:", *(f"  {TITLES[mode]}: {told[mode]}" for mode in modes)]
    lines += ["", *(f"{TITLES[mode]}: not measured: {report.absent[mode]}" for mode in MODES if mode in report.absent)]
    lines += report.notes
    lines.append(f"Taken on {', '.join(f'{name} {value}' for name, value in report.machine.items())}.")
    return lines


def cell(figure: Figure, mode: Mode) -> str:
    """`12.3 ms (p95 14.0)`; "-" for what was not measured."""
    median = figure.median(mode)
    if median is None:
        return "-"
    p95 = figure.p95(mode)
    return f"{number(median)} {figure.unit}" + (f" (p95 {number(p95)})" if p95 is not None else "")


def number(value: float) -> str:
    """Three digits that matter."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def ratio_sentence(report: Report) -> str:
    """What a kernel of one's own costs, in one sentence; "" where there is nothing to compare."""
    parts = []
    for key, what in (("start", "to start"), ("memory_each", "memory"), ("stop", "to stop")):
        container, machine = report.value(key, "container"), report.value(key, VM)
        if container and machine:
            parts.append(
                f"{machine / container:,.0f} times as much {what}"
                if what == "memory"
                else f"{machine / container:,.0f} times as long {what}"
            )
    return f"The virtual machine takes {', '.join(parts)}." if parts else ""


def _fit(report: Report, mode: Mode) -> str:
    fit = report.fits.get(mode)
    if fit is None:
        return "-"
    more = f"{fit.extrapolated:,} extrapolated" if fit.extrapolated is not None else "too small to tell"
    return f"{fit.measured} ran, {more}"
