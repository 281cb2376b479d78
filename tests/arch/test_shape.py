"""The code's shape: sizes, names and docstrings."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from tests.arch.source import Module, source_modules, test_modules

MOST_LINES_OF_A_FUNCTION = 80
MOST_LINES_OF_A_FILE = 500
# What a module's docstring says when it is a table of constants and may be longer.
DATA_TABLE = "data table"
FORBIDDEN_NAMES = {"util", "utils", "helper", "helpers", "common", "misc", "manager", "managers", "stuff"}

Function = ast.FunctionDef | ast.AsyncFunctionDef


def functions(module: Module) -> Iterator[Function]:
    """Every function and method of a module, nested ones too."""
    return (node for node in ast.walk(module.tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def length(node: Function) -> int:
    """The lines of a function, decorators not counted."""
    return (node.end_lineno or node.lineno) - node.lineno + 1


def public_definitions(module: Module) -> Iterator[ast.ClassDef | Function]:
    """What others may call: public classes and functions of a module, and the classes' public methods."""
    for node in module.tree.body:
        if not isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        if node.name.startswith("_"):
            continue
        yield node
        if isinstance(node, ast.ClassDef):
            for child in node.body:
                if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef) and not child.name.startswith("_"):
                    yield child


def test_functions_are_at_most_80_lines() -> None:
    """A function that does not fit a screen does two things."""
    wrong = [
        f"{module.relative}:{node.lineno} {node.name}: {length(node)} lines"
        for module in (*source_modules(), *test_modules())
        for node in functions(module)
        if length(node) > MOST_LINES_OF_A_FUNCTION
    ]
    assert not wrong, "functions that are too long:\n" + "\n".join(wrong)


def test_files_are_at_most_500_lines_unless_a_declared_data_table() -> None:
    """A file is one concept; only a table of constants, which says so in its docstring, may be longer."""
    wrong = [
        f"{module.relative}: {module.text.count(chr(10))} lines"
        for module in (*source_modules(), *test_modules())
        if module.text.count("\n") > MOST_LINES_OF_A_FILE and DATA_TABLE not in module.docstring.lower()
    ]
    assert not wrong, "files that are too long:\n" + "\n".join(wrong)


def test_modules_have_names_of_things() -> None:
    """No module is a drawer: its name says which concept it holds."""
    wrong = [module.relative for module in source_modules() if FORBIDDEN_NAMES & set(module.name.split("."))]
    assert not wrong, f"modules with names that say nothing: {wrong}"


def test_modules_open_with_their_purpose() -> None:
    """Every module that holds code says in its docstring what it is for."""
    wrong = [module.relative for module in source_modules() if module.text.strip() and not module.docstring]
    assert not wrong, f"modules without a docstring: {wrong}"


def test_public_definitions_have_docstrings() -> None:
    """Whoever calls a public function learns from it what he gets, without reading its body.

    A method that overrides a documented one has that one's docstring, as `inspect.getdoc` says too.
    """
    inherited = _with_inherited_docstrings()
    wrong = [
        f"{module.relative}:{node.lineno} {node.name}"
        for module in source_modules()
        for node in public_definitions(module)
        if not ast.get_docstring(node) and not _is_overload(node) and id(node) not in inherited
    ]
    assert not wrong, "public definitions without a docstring:\n" + "\n".join(wrong)


def _with_inherited_docstrings() -> set[int]:
    """The ids of all methods that override a documented method of a base class of this project."""
    classes = {
        node.name: node for module in source_modules() for node in module.tree.body if isinstance(node, ast.ClassDef)
    }
    return {
        id(method)
        for node in classes.values()
        for method in node.body
        if isinstance(method, ast.FunctionDef | ast.AsyncFunctionDef) and _is_documented_above(node, method, classes)
    }


def _is_documented_above(node: ast.ClassDef, method: Function, classes: dict[str, ast.ClassDef]) -> bool:
    for base in node.bases:
        above = classes.get(ast.unparse(base).rpartition(".")[2])
        if above is None or above is node:
            continue
        documented = (
            isinstance(candidate, ast.FunctionDef | ast.AsyncFunctionDef)
            and candidate.name == method.name
            and bool(ast.get_docstring(candidate))
            for candidate in above.body
        )
        if any(documented) or _is_documented_above(above, method, classes):
            return True
    return False


def _is_overload(node: ast.ClassDef | Function) -> bool:
    names = [ast.unparse(decorator) for decorator in node.decorator_list]
    return any(name.rpartition(".")[2] in {"overload", "setter"} for name in names)


def test_tests_say_what_they_prove() -> None:
    """Every test has a docstring, and no two tests of one file share a name (the first would never run)."""
    wrong = []
    for module in test_modules():
        seen: set[tuple[int, str]] = set()
        for node in functions(module):
            if not node.name.startswith("test_"):
                continue
            if not ast.get_docstring(node):
                wrong.append(f"{module.relative}:{node.lineno} {node.name} has no docstring")
            if (node.col_offset, node.name) in seen and not node.col_offset:
                wrong.append(f"{module.relative}:{node.lineno} {node.name} stands twice")
            seen.add((node.col_offset, node.name))
    assert not wrong, "\n".join(wrong)
