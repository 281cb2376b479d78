"""What a comparison is made of, and how it is shown."""

from __future__ import annotations

import json
from html.parser import HTMLParser

import pytest

from shoal.cli.compare.page import page
from shoal.cli.compare.report import CONTAINER, PROCESS, VM, Figure, Fit, Report
from shoal.cli.compare.table import number, ratio_sentence, table


def a_report() -> Report:
    """Two modes measured, one not."""
    report = Report("web <1>", 3, {"processor": "some (2)", "kernel": "6.1", "memory": "1024 MiB"})
    start = report.figure("start", "time to first output", "ms")
    start.add(CONTAINER, 10.0, 12.0, 11.0)
    start.add(VM, 1100.0)
    memory = report.figure("memory_each", "memory of each", "MiB")
    memory.add(CONTAINER, 2.0)
    memory.add(VM, 100.0)
    report.figure("stream", "stream", "MiB/s", higher_is_better=True).add(CONTAINER, 500.0)
    report.sight("kernel release").seen.update({CONTAINER: "6.1", VM: "6.1-cloud"})
    report.fits[CONTAINER] = Fit(3, 400)
    report.absent[PROCESS] = "no <program>"
    report.notes.append("A note.")
    return report


def test_figure_knows_its_middle_and_its_tail() -> None:
    """The median, and the nearest rank of 95 %, which few samples do not tell."""
    figure = Figure("x", "x", "ms")
    figure.add(VM, *range(1, 101))
    assert (figure.median(VM), figure.p95(VM)) == (50.5, 95)
    figure.add(CONTAINER, 1.0, 2.0)
    assert (figure.median(CONTAINER), figure.p95(CONTAINER), figure.median(PROCESS)) == (1.5, None, None)


def test_report_modes_are_those_that_were_measured() -> None:
    """In the order of their isolation."""
    assert a_report().modes == [CONTAINER, VM]


def test_report_as_json_has_every_sample() -> None:
    """And what was not measured, with the reason."""
    told = json.loads(json.dumps(a_report().to_json()))
    assert told["Figures"][0]["Samples"] == {"container": [10.0, 12.0, 11.0], "vm": [1100.0]}
    assert told["NotMeasured"] == {"process": "no <program>"}
    assert told["Fits"] == {"container": {"Measured": 3, "Extrapolated": 400}}


def test_table_has_a_column_for_each_measured_mode() -> None:
    """A figure that was not taken is a dash; what is missing is explained."""
    lines = table(a_report())
    assert lines[0].split() == ["web", "<1>", "container", "virtual", "machine"]
    assert lines[1].split("  ")[0] == "time to first output"
    assert "11.0 ms (p95 12.0)" in lines[1]
    stream = next(line for line in lines if line.startswith("stream"))
    assert stream.split() == ["stream", "500", "MiB/s", "-"]
    assert "host process: not measured: no <program>" in lines
    assert "A note." in lines


def test_ratio_sentence_names_what_the_kernel_of_its_own_costs() -> None:
    """Only what was measured in both."""
    assert (
        ratio_sentence(a_report()) == "The virtual machine takes 100 times as long to start, 50 times as much memory."
    )
    assert ratio_sentence(Report("x", 1, {})) == ""


@pytest.mark.parametrize(("value", "text"), [(1234.5, "1,234"), (12.34, "12.3"), (1.234, "1.23"), (0.0, "0.00")])
def test_number_has_the_digits_that_matter(value: float, text: str) -> None:
    """Three, as a rule."""
    assert number(value) == text


class _Elements(HTMLParser):
    """Counts elements, and checks that what is opened is closed."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.count: dict[str, int] = {}

    def handle_starttag(self, tag: str, _attrs: object) -> None:
        self.count[tag] = self.count.get(tag, 0) + 1
        if tag not in ("meta", "rect", "circle"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, _attrs: object) -> None:
        self.count[tag] = self.count.get(tag, 0) + 1

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_page_is_whole_and_keeps_names_apart_from_markup() -> None:
    """Two stacks and a plot for each figure, all samples as dots; nothing of the application's is taken for markup."""
    text = page(a_report())
    elements = _Elements()
    elements.feed(text)
    assert elements.open == []
    assert elements.count["svg"] == 2 + 3
    assert elements.count["circle"] == 3 + 1 + 2 + 1
    assert "web &lt;1&gt;" in text
    assert "no &lt;program&gt;" in text
    assert "<1>" not in text
