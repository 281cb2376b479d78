"""What the reader sees."""

from __future__ import annotations

import io

from shoal.cli.demo.narration import Narration
from shoal.cli.style import Style


def test_narration_in_a_pipe_is_plain() -> None:
    """No escape sequence, no progress."""
    output = io.StringIO()
    narration = Narration(output, Style(on=False))
    narration.title("Title")
    narration.progress("working")
    narration.step(1, "Step")
    narration.explain("word " * 40)
    narration.figure("label", "value")
    narration.listing(["line"])
    text = output.getvalue()
    assert "\033" not in text
    assert "working" not in text
    assert "\n1  Step\n" in text
    assert "   label                       value\n" in text
    assert max(len(line) for line in text.splitlines()) <= 100


def test_narration_progress_on_a_terminal_is_replaced() -> None:
    """The next line wipes it."""
    output = io.StringIO()
    narration = Narration(output, Style(on=True))
    narration.progress("working")
    narration.figure("a", "b")
    narration.figure("c", "d")
    assert output.getvalue().count("\r\033[K") == 2


def test_narration_remembers_broken_promises() -> None:
    """The demo's exit code depends on it."""
    output = io.StringIO()
    narration = Narration(output, Style(on=False))
    assert narration.promise("kept", True)
    assert not narration.promise("broken", False)
    assert narration.broken == ["broken"]
    assert output.getvalue() == "   ok  kept\n   FAILED  broken\n"
