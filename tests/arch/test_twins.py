"""The two clients, the one that awaits and the one that waits, are one text."""

from __future__ import annotations

import ast
from pathlib import Path

from tests.arch.source import PACKAGE, parse
from tests.arch.twins import BY_HAND, PAIRS, derived, twins


def test_twins_are_derived_from_what_awaits() -> None:
    """No derived module was changed by hand, and none was forgotten after a change."""
    wrong = [
        str(target.relative_to(PACKAGE))
        for source, target in twins()
        if not target.exists() or target.read_text(encoding="utf-8") != derived(source)
    ]
    assert not wrong, f"change their sources in client/aio and aio, then run ./dev twins: {wrong}"


def test_twins_written_by_hand_offer_the_same_names() -> None:
    """The two drivers have the same public functions with the same parameters."""
    for here, there in PAIRS.items():
        for name in BY_HAND:
            if (here / name).exists():
                assert _signatures(here / name) == _signatures(there / name)


def _signatures(path: Path) -> dict[str, list[str]]:
    tree = parse(path.read_text(encoding="utf-8"), str(path))
    return {
        node.name: [argument.arg for argument in node.args.args]
        for node in tree.body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and not node.name.startswith("_")
    }
