"""Runs the examples in docstrings and documents, those that await too."""

from __future__ import annotations

import ast
import asyncio
import doctest
import io
import re
import sys
import traceback
import types
from contextlib import redirect_stdout

_FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
_FENCE = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)


def examples_in(module: types.ModuleType) -> dict[str, str]:
    """The docstrings of a module that have examples, by the name of what they document."""
    found: dict[str, str] = {}
    for name, value in vars(module).items():
        if getattr(value, "__module__", "") != module.__name__:
            continue
        members = {f"{name}.{key}": item for key, item in vars(value).items()} if isinstance(value, type) else {}
        for key, item in {name: value, **members}.items():
            if ">>>" in (text := getattr(item, "__doc__", None) or ""):
                found[key] = text
    return found


def fenced_examples(markdown: str) -> list[str]:
    """The blocks of a Markdown document that are sessions of Python."""
    return [block for block in _FENCE.findall(markdown) if ">>>" in block]


async def run_examples(text: str, names: dict[str, object]) -> None:
    """Runs the examples of one text one after another. Raises: AssertionError where one prints something else."""
    checker = doctest.OutputChecker()
    for example in doctest.DocTestParser().get_examples(text):
        got = await _outcome(example.source, names)
        if example.exc_msg is not None:
            assert example.exc_msg.strip() in got, f"{example.source}gave {got!r}, not {example.exc_msg!r}"
        else:
            assert checker.check_output(example.want, got, _FLAGS), (
                f"{example.source}gave {got!r}, not {example.want!r}"
            )


async def _outcome(source: str, names: dict[str, object]) -> str:
    """What the interpreter would print, or the last lines of a traceback."""
    code = compile(source, "<example>", "single", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    printed = io.StringIO()
    show, sys.displayhook = sys.displayhook, _show
    try:
        with redirect_stdout(printed):
            result = types.FunctionType(code, names)()
            if asyncio.iscoroutine(result):
                await result
    except Exception as error:  # noqa: BLE001  # what an example raises is what it shows
        return "".join(traceback.format_exception_only(error))
    finally:
        sys.displayhook = show
    return printed.getvalue()


def _show(value: object) -> None:
    if value is not None:
        print(repr(value))
