"""The source tree as data: one parsed `Module` a file, and the imports that it makes."""

from __future__ import annotations

import ast
import gc
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "src" / "shoal"


@dataclass(frozen=True)
class Module:
    """One Python file: its dotted name, where it is, its text and syntax tree."""

    name: str
    path: Path
    text: str
    tree: ast.Module

    @property
    def room(self) -> str:
        """The part of shoal that it belongs to: the first name below `shoal`, empty for `shoal` itself."""
        return room_of(self.name)

    @property
    def docstring(self) -> str:
        """The module's docstring, empty where it has none."""
        return ast.get_docstring(self.tree) or ""

    @property
    def relative(self) -> str:
        """The path from the repository's root, for messages."""
        return str(self.path.relative_to(ROOT))


@dataclass(frozen=True)
class Import:
    """One name that one module imports."""

    importer: Module
    target: str
    line: int
    for_typing: bool = False

    def __str__(self) -> str:
        return f"{self.importer.relative}:{self.line} imports {self.target}"


def room_of(name: str) -> str:
    """The first name below `shoal` in a dotted name, empty for `shoal` itself."""
    return [*name.split("."), ""][1]


def parse(text: str, path: str) -> ast.Module:
    """The syntax tree of a file. Not interrupted by the garbage collector: a finalizer that has a traceback printed
    parses too, and Python before 3.11.5 cannot parse while it parses ("recursion depth mismatch").
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        return ast.parse(text, path)
    finally:
        if was_enabled:
            gc.enable()


def _parse(path: Path, base: Path) -> Module:
    parts = list(path.relative_to(base).with_suffix("").parts)
    if parts[-1] == "__init__":
        parts.pop()
    text = path.read_text(encoding="utf-8")
    return Module(".".join(parts), path, text, parse(text, str(path)))


@cache
def source_modules() -> tuple[Module, ...]:
    """Every module of the package `shoal`."""
    return tuple(_parse(path, PACKAGE.parent) for path in sorted(PACKAGE.rglob("*.py")))


@cache
def test_modules() -> tuple[Module, ...]:
    """Every Python file under tests/."""
    return tuple(_parse(path, ROOT) for path in sorted((ROOT / "tests").rglob("*.py")))


test_modules.__test__ = False  # type: ignore[attr-defined]  # a function that pytest must not collect


def imports(module: Module) -> Iterator[Import]:
    """Every import in a module: at its top, inside functions, and for type checking alone."""
    known = {other.name for other in source_modules()}
    typing_lines = _type_checking_lines(module)
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(module, alias.name, node.lineno, node.lineno in typing_lines)
        elif isinstance(node, ast.ImportFrom):
            base = _absolute(module, node)
            for alias in node.names:
                full = f"{base}.{alias.name}"
                yield Import(module, full if full in known else base, node.lineno, node.lineno in typing_lines)


def _type_checking_lines(module: Module) -> set[int]:
    lines: set[int] = set()
    for node in ast.walk(module.tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            lines.update(range(node.lineno, (node.body[-1].end_lineno or node.lineno) + 1))
    return lines


def _absolute(module: Module, node: ast.ImportFrom) -> str:
    if not node.level:
        return node.module or ""
    package = module.name if module.path.name == "__init__.py" else module.name.rpartition(".")[0]
    parts = package.split(".")
    parts = parts[: len(parts) - node.level + 1]
    return ".".join([*parts, node.module] if node.module else parts)


def is_third_party(name: str) -> bool:
    """Whether a dotted name belongs to neither the standard library nor shoal."""
    top = name.partition(".")[0]
    return top not in sys.stdlib_module_names and top not in {"shoal", "tests", "__future__"}


def tracked_files() -> list[Path]:
    """Every file that git tracks or would add."""
    command = ["git", "-C", str(ROOT), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listing = subprocess.run(command, capture_output=True, check=True, text=True).stdout
    return [path for name in listing.split("\0") if name and (path := ROOT / name).is_file()]
