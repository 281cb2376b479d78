"""The display of a pull: rows that change in place on a terminal, lines elsewhere."""

from __future__ import annotations

import fcntl
import io
import os
import re
import struct
import termios
from collections.abc import Iterator, Sequence
from contextlib import suppress

import pytest

from shoal.cli.style import Style
from shoal.cli.transfer_table import Row, block
from shoal.cli.transfers import show_transfer
from shoal.client.document import Document, Json

PLAIN = Style(on=False)


def step(id: str, status: str, current: int = 0, total: int = 0) -> Document:
    """A message of a layer."""
    detail: dict[str, Json] = {"current": current, "total": total} if total else {}
    return Document({"id": id, "status": status, "progressDetail": detail})


def whole(status: str, id: str = "") -> Document:
    """A message of the whole."""
    return Document({"status": status, "id": id} if id else {"status": status})


PULL = [
    whole("Pulling from x/y", "1"),
    step("aaaaaaaaaaaa", "Pulling fs layer"),
    step("bbbbbbbbbbbb", "Waiting"),
    step("aaaaaaaaaaaa", "Downloading", 500, 1000),
    step("aaaaaaaaaaaa", "Download complete"),
    step("aaaaaaaaaaaa", "Pull complete"),
    step("bbbbbbbbbbbb", "Downloading", 10, 40),
    step("bbbbbbbbbbbb", "Pull complete"),
    whole("Digest: sha256:0"),
    whole("Status: Downloaded newer image for x/y:1"),
]


class Screen:
    """A terminal of which only what the display uses is understood: lines, up, clear to the end."""

    def __init__(self, rows: int, columns: int) -> None:
        self.master, slave = os.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self.output = open(slave, "w", encoding="utf-8")  # noqa: SIM115 - closed by `text`

    def text(self) -> list[str]:
        """What stands on it in the end."""
        self.output.flush()
        os.set_blocking(self.master, False)
        data = b""
        with suppress(BlockingIOError):
            while piece := os.read(self.master, 1 << 16):
                data += piece
        self.output.close()
        os.close(self.master)
        lines, row = [""], 0
        for up, clear, newline, letters in re.findall(
            r"\x1b\[(\d+)A|(\r\x1b\[J)|(\r?\n)|([^\x1b\r\n]+)", data.decode()
        ):
            if up:
                row -= int(up)
                assert row >= 0
            elif clear:
                lines = [*lines[:row], ""]
            elif newline:
                row += 1
                lines += [""] * (row + 1 - len(lines))
            else:
                lines[row] += letters
        return lines


@pytest.fixture
def screen() -> Screen:
    """A terminal of ten lines."""
    return Screen(10, 60)


def test_transfer_on_a_terminal_has_one_row_a_layer(screen: Screen) -> None:
    """In the end each layer stands there once, as done, between the sentences about the whole."""
    show_transfer(PULL, screen.output, {"NO_COLOR": "1"}, quiet=False)
    assert screen.text() == [
        "1: Pulling from x/y",
        " aaaaaaaaaaaa  Pull complete",
        " bbbbbbbbbbbb  Pull complete",
        " 2 of 2 layers, 1.04kB",
        "Digest: sha256:0",
        "Status: Downloaded newer image for x/y:1",
        "",
    ]


def test_transfer_that_fails_leaves_the_last_picture(screen: Screen) -> None:
    """The error is told below the rows as they were."""

    def messages() -> Iterator[Document]:
        yield from PULL[:4]
        raise ConnectionError

    with pytest.raises(ConnectionError):
        show_transfer(messages(), screen.output, {}, quiet=False)
    assert "aaaaaaaaaaaa  Downloading" in screen.text()[1]


def test_transfer_in_a_pipe_is_a_line_a_step() -> None:
    """As Docker's client does it: no bytes within a step; with `quiet` nothing."""
    output = io.StringIO()
    show_transfer(PULL, output, {}, quiet=False)
    assert output.getvalue().splitlines() == [
        "1: Pulling from x/y",
        "aaaaaaaaaaaa: Pulling fs layer",
        "bbbbbbbbbbbb: Waiting",
        "aaaaaaaaaaaa: Download complete",
        "aaaaaaaaaaaa: Pull complete",
        "bbbbbbbbbbbb: Pull complete",
        "Digest: sha256:0",
        "Status: Downloaded newer image for x/y:1",
    ]
    silent = io.StringIO()
    show_transfer(PULL, silent, {}, quiet=True)
    assert silent.getvalue() == ""


def rows_of(statuses: Sequence[tuple[str, int]]) -> list[Row]:
    """Rows of 100 bytes each with these statuses."""
    rows = []
    for number, (status, current) in enumerate(statuses):
        row = Row(f"layer-{number:06}")
        row.hear(status, current, 100 if current else 0)
        rows.append(row)
    return rows


@pytest.mark.parametrize("height", [3, 5, 24])
@pytest.mark.parametrize("width", [20, 40, 200])
def test_block_fits_the_terminal(height: int, width: int) -> None:
    """No more lines than it has, none wider, and those that move are what is shown first."""
    rows = rows_of([("Pull complete", 0)] * 4 + [("Waiting", 0)] * 4 + [("Downloading", 50)] * 2)
    lines = block(rows, 2, height=height, width=width, style=PLAIN)
    assert len(lines) < height
    assert all(len(line) <= width for line in lines)
    assert "layer-000008"[: width - 1] in lines[0 if height == 3 else -3]


def test_block_shows_how_far_a_layer_is() -> None:
    """A bar of which half is full, the amounts, and the sum with its speed."""
    lines = block(rows_of([("Downloading", 50)]), 2, height=24, width=80, style=PLAIN)
    assert lines == [
        " layer-000000  Downloading  ████████████············  50B / 100B",
        " 0 of 1 layers, 50B, 25B/s",
    ]
