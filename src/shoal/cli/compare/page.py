"""A comparison as one page for a browser, which needs nothing else. Pure."""

from __future__ import annotations

from html import escape

from shoal.cli.compare.plots import Box, bars, stack
from shoal.cli.compare.report import BOUNDARY, CONTAINER, MODES, SHARED, TITLES, VM, Mode, Report
from shoal.cli.compare.table import number, ratio_sentence

_STYLE = """
:root { --ink: #1c2733; --dim: #5b6b7b; --paper: #fff; --line: #dde4ea;
        --process: #8a97a5; --container: #1f8a84; --vm: #c7642c; --private: #f6d9c6; --shared: #d5e8e6; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6edf3; --dim: #9aa8b5; --paper: #12181e; --line: #2b3640;
          --private: #5a3620; --shared: #1f4543; } }
body { font: 16px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper);
       max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
h1 { line-height: 1.2; } h2 { margin-top: 2.5rem; } h3 { margin: 1.4rem 0 .2rem; font-size: 1rem; }
.lead { font-size: 1.15rem; } .dim { color: var(--dim); }
.stacks { display: grid; grid-template-columns: repeat(auto-fit, minmax(20rem, 1fr)); gap: 2rem;
          align-items: end; } figure { margin: 0; }
svg { width: 100%; height: auto; } svg text { fill: var(--ink); font-size: 13px; }
svg .value, svg .size { fill: var(--dim); }
.process { fill: var(--process); } .container { fill: var(--container); } .vm { fill: var(--vm); }
.private { fill: var(--private); } .shared { fill: var(--shared); }
.dot { fill: var(--ink); fill-opacity: .45; }
table { border-collapse: collapse; width: 100%; } th, td { text-align: left; padding: .35rem .6rem .35rem 0;
       border-bottom: 1px solid var(--line); vertical-align: top; }
"""


def page(report: Report) -> str:
    """The whole document."""
    parts = [
        "<!doctype html>",
        '<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">',
        f"<title>{escape(report.application)}: container and virtual machine</title><style>{_STYLE}</style></head>",
        "<body><h1>How is a container different from a virtual machine?</h1>",
        f'<p class="lead">Measured with <code>{escape(report.application)}</code>, {report.instances} of each. '
        f"{escape(ratio_sentence(report))}</p>",
        *(
            f'<p class="dim">{escape(TITLES[mode])}: not measured. {escape(why)}</p>'
            for mode, why in report.absent.items()
        ),
        "<h2>What stands on what</h2>",
        _dim("Above: what each instance has for itself, with the size of one. Below: what all of them share."),
        '<div class="stacks">',
        *(_stack(report, mode) for mode in (CONTAINER, VM) if mode in report.modes),
        "</div>",
        "<h2>What it costs</h2>",
        _dim("Bars are medians, dots are the samples."),
        *(_figure(report, key) for key in (figure.key for figure in report.figures)),
        f"<h2>How many fit</h2>{_fits(report)}",
        f"<h2>What an instance sees</h2>{_sights(report)}",
        f"<h2>What holds it, and what it shares</h2>{_bounds(report)}",
        _dim(" ".join(report.notes)),
        _dim(f"Taken on {', '.join(f'{name} {value}' for name, value in report.machine.items())}."),
        "</body></html>",
    ]
    return "\n".join(parts) + "\n"


def _dim(text: str) -> str:
    return f'<p class="dim">{escape(text)}</p>' if text else ""


def _stack(report: Report, mode: Mode) -> str:
    def size(key: str) -> str:
        value = report.value(key, mode)
        return "" if value is None else f"{number(value)} MiB"

    kernel = report.machine.get("kernel", "")
    own = Box("its own files", size("disk_own") and f"{size('disk_own')} of disk")
    private = [Box("the application", size("pss") if mode == CONTAINER else ""), own]
    if mode == VM:
        guest = report.sight("kernel release").seen.get(VM, "")
        private += [Box("a kernel of its own", guest), Box("QEMU, devices", size("pss"))]
    shared = [
        Box("the image's layers, on disk", size("disk_shared")),
        Box("the engine's helper, a part for each", size("helper")),
        Box("the host's kernel" + (", and its page cache" if mode == CONTAINER else ""), kernel),
        Box("the machine", report.machine.get("memory", "")),
    ]
    return f"<figure><h3>{escape(TITLES[mode].capitalize())}</h3>{stack(TITLES[mode], private, shared)}</figure>"


def _figure(report: Report, key: str) -> str:
    figure = next(figure for figure in report.figures if figure.key == key)
    better = ", more is better" if figure.higher_is_better else ""
    return f"<h3>{escape(figure.title)} <span class=dim>({escape(figure.unit)}{better})</span></h3>" + bars(
        figure, MODES
    )


def _fits(report: Report) -> str:
    items = []
    for mode, fit in report.fits.items():
        more = f"about {fit.extrapolated:,}" if fit.extrapolated is not None else "too many to tell"
        items.append(
            f"<li>{escape(TITLES[mode])}: {more} <span class=dim>(extrapolated from the memory of each; {fit.measured} "
            "ran)</span></li>"
        )
    return f"<p>Instances of this application in this machine's memory:</p><ul>{''.join(items)}</ul>"


def _sights(report: Report) -> str:
    return _table(report, [(sight.title, sight.seen) for sight in report.sights])


def _bounds(report: Report) -> str:
    return _table(report, [("the boundary", BOUNDARY), ("neighbours share", SHARED)])


def _table(report: Report, rows: list[tuple[str, dict[Mode, str]]]) -> str:
    head = "".join(f"<th>{escape(TITLES[mode])}</th>" for mode in report.modes)
    body = ""
    for title, told in rows:
        cells = "".join(f"<td>{escape(told.get(mode, '-'))}</td>" for mode in report.modes)
        body += f"<tr><th>{escape(title)}</th>{cells}</tr>"
    return f"<table><tr><th></th>{head}</tr>{body}</table>"
