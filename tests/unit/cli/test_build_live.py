"""The picture of a build on a terminal: rows that fit, times, marks, and output that can't move the cursor."""

from __future__ import annotations

from shoal.cli.building.live_table import Step, block, failed_rows, finished_row
from shoal.cli.style import Style

_PLAIN = Style(on=False)


def step(number: int, text: str, *output: str) -> Step:
    """A step that began at second 10 and has written this."""
    made = Step(number, text, 10.0)
    for piece in output:
        made.wrote(piece)
    return made


def test_block_shows_every_step_at_work_with_its_time_and_last_words() -> None:
    """Steps side by side have a row each; a line that is not whole yet is shown too."""
    steps = {3: step(3, "RUN make\nmore", "one\ntwo\n", "thr", "ee"), 7: step(7, "RUN npm ci")}
    rows = block(steps, (2, 1, 9), 3.04, 12.5, height=20, width=40, style=_PLAIN)
    assert rows == [
        "[3.0 s] 2 of 9 steps, 1 cached",
        "3/9 RUN make                      2.5 s",
        "  │ one",
        "  │ two",
        "  │ three",
        "7/9 RUN npm ci                    2.5 s",
    ]


def test_block_fits_whatever_is_at_work() -> None:
    """Neither many steps nor long lines make it higher or wider than the terminal."""
    steps = {number: step(number, "RUN " + "x" * 200, "y" * 300 + "\n") for number in range(1, 30)}
    for height, width in ((24, 80), (5, 20), (2, 30)):
        rows = block(steps, (0, 0, 30), 1, 11, height=height, width=width, style=_PLAIN)
        assert len(rows) <= height
        assert max(map(len, rows)) < width


def test_finished_row_has_the_time_or_the_mark() -> None:
    """What was cached says so; what took no time worth a look says nothing."""
    made = step(2, "RUN true")
    assert finished_row(made, 3, 14.26, width=30, style=_PLAIN) == "2/3 RUN true            4.3 s"
    assert finished_row(made, 3, 10.01, width=30, style=_PLAIN) == "2/3 RUN true"
    made.is_cached = True
    assert finished_row(made, 3, 14.26, width=30, style=_PLAIN).endswith("cached")


def test_failed_rows_keep_the_output() -> None:
    """All lines of a step that failed stay, up to the two hundredth from the end."""
    rows = failed_rows(step(2, "RUN x", "".join(f"{n}\n" for n in range(300))), 3, 11, width=40, style=_PLAIN)
    assert rows[1:] == [f"  │ {number}" for number in range(100, 300)]


def test_output_moves_no_cursor() -> None:
    """Colours, cursor movements, titles, bars that overwrite themselves and other control characters are plain text."""
    written = step(1, "RUN x", "\033[1;31mred\033[0m\n10%\r20%\r\n\033[2J\033]0;title\athere\n", "a\tb\bc\033")
    assert list(written.tail) == ["red", "20%", "there", "a b c"]
