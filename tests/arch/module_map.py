"""The module map in ARCHITECTURE.md: made from the modules' docstrings, checked against the tree.

Run as `./dev map` to write it anew.
"""

from __future__ import annotations

import re
import sys

from tests.arch.rooms import LEVELS
from tests.arch.source import ROOT, Module, source_modules

DOCUMENT = ROOT / "ARCHITECTURE.md"
BEGIN = "<!-- module map: written by ./dev map -->"
END = "<!-- end of the module map -->"
ROW = re.compile(r"^\| `([\w.]+)` \|", re.MULTILINE)


def first_sentence(module: Module) -> str:
    """What a module's docstring says first, on one line and without its full stop."""
    paragraph = " ".join(module.docstring.partition("\n\n")[0].split())
    return re.split(r"\.(?:\s|$)", paragraph)[0].replace("|", "\\|")


def mapped_modules() -> list[Module]:
    """Every module that belongs on the map: those that hold code."""
    return [module for module in source_modules() if module.room and module.text.strip()]


def table() -> str:
    """The map as one Markdown table a room."""
    lines: list[str] = []
    for room in LEVELS:
        rows = [module for module in mapped_modules() if module.room == room]
        if rows:
            lines += ["", f"### {room}", "", "| module | what it is |", "|---|---|"]
            lines += [f"| `{module.name.removeprefix('shoal.')}` | {first_sentence(module)} |" for module in rows]
    return "\n".join(lines).strip()


def names_on_the_map() -> set[str]:
    """The modules that ARCHITECTURE.md lists now."""
    section = DOCUMENT.read_text(encoding="utf-8").partition(BEGIN)[2].partition(END)[0]
    return {f"shoal.{name}" for name in ROW.findall(section)}


def write() -> None:
    """Replace the map in ARCHITECTURE.md by one of the present tree."""
    before, _, rest = DOCUMENT.read_text(encoding="utf-8").partition(BEGIN)
    after = rest.partition(END)[2]
    DOCUMENT.write_text(f"{before}{BEGIN}\n\n{table()}\n\n{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    if sys.argv[1:] == ["--write"]:
        write()
    else:
        print(table())
