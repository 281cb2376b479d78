"""The client that waits is derived from the one that awaits: the same text without `async` and `await`.

Run as `./dev twins` to write the derived modules anew, after a change in `client/aio` or `aio`.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.arch.source import PACKAGE

# Where the modules that await are, and where their twins go.
PAIRS = {PACKAGE / "client" / "aio": PACKAGE / "client", PACKAGE / "aio": PACKAGE / "sync"}
# Written by hand on both sides: what the two clients do differently.
BY_HAND = {"driver.py", "endings.py"}
NOTICE = "# Derived from {source} by ./dev twins: change it there.\n"

REPLACEMENTS = [
    (r"\basync (def|with|for)\b", r"\1"),
    (r"\bawait ", ""),
    (r"\bAsync(Iterator|Iterable|Generator)\b", r"\1"),
    (r"\basynccontextmanager\b", "contextmanager"),
    (r"\bStopAsyncIteration\b", "StopIteration"),
    (r"\b__a(enter|exit|iter|next)__", r"__\1__"),
    (r"\banext\b", "next"),
    (r"\baclose\b", "close"),
    (r"\bAwaitable\[([^\[\]]+)\]", r"\1"),
    (r"\bshoal\.client\.aio\b", "shoal.client"),
    (r"\bfrom shoal\.aio\b", "from shoal.sync"),
    (r"\bshoal\.aio\.", "shoal."),
]


def twins() -> Iterator[tuple[Path, Path]]:
    """Every module that awaits, and the path of its twin."""
    for here, there in PAIRS.items():
        for path in sorted(here.glob("*.py")):
            if path.name not in BY_HAND and path.read_text(encoding="utf-8"):
                yield path, there / path.name


def derived(source: Path) -> str:
    """The text of a module's twin."""
    text = source.read_text(encoding="utf-8")
    for pattern, replacement in REPLACEMENTS:
        text = re.sub(pattern, replacement, text)
    text = NOTICE.format(source=source.relative_to(PACKAGE.parents[1])) + text
    tidied = _ruff(["check", "--quiet", "--select=I,UP028", "--unsafe-fixes", "--fix-only"], text, source)
    return _ruff(["format", "--quiet"], tidied, source)


def _ruff(arguments: list[str], text: str, source: Path) -> str:
    command = [sys.executable, "-m", "ruff", *arguments, f"--stdin-filename={source}", "-"]
    return subprocess.run(command, input=text, capture_output=True, text=True, check=True, cwd=PACKAGE).stdout


def write() -> None:
    """Write every twin anew."""
    for source, target in twins():
        target.parent.mkdir(exist_ok=True)
        target.write_text(derived(source), encoding="utf-8")


if __name__ == "__main__":
    write()
