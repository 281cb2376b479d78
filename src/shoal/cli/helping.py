"""The text of `--help`, in the shape of Docker's client."""

from __future__ import annotations

import os
import textwrap
from collections.abc import Sequence

from shoal.cli.arguments import Flag, Parser, visible_flags

_LEAST_COLUMNS = 80


def help_text(parser: Parser) -> str:
    """The help of one verb: usage, what it does, its other names, its options."""
    parts = [f"Usage:  {parser.usage}", parser.summary]
    if parser.aliases:
        parts.append("Aliases:\n  " + ", ".join(parser.aliases))
    flags = list(visible_flags(parser))
    if flags:
        parts.append("Options:\n" + options_text(flags))
    return "\n\n".join(parts) + "\n"


def options_text(flags: Sequence[Flag]) -> str:
    """The options in two columns, the second one wrapped."""
    left = [_left(flag) for flag in flags]
    width = max(len(text) for text in left) + 3
    return "\n".join(
        _two_columns(text, _right(flag), width, _columns()) for text, flag in zip(left, flags, strict=True)
    )


def commands_text(commands: Sequence[tuple[str, str]]) -> str:
    """Names and what they do, in two columns."""
    width = max(len(name) for name, _ in commands) + 2
    return "\n".join(f"  {name.ljust(width)}{summary}" for name, summary in commands)


def _columns() -> int:
    try:
        return max(_LEAST_COLUMNS, os.get_terminal_size(1).columns)
    except OSError:
        return _LEAST_COLUMNS


def _left(flag: Flag) -> str:
    letter = f"-{flag.letters[0]}, " if flag.letters else "    "
    return f"  {letter}--{flag.names[0]} {flag.shown}".rstrip()


def _right(flag: Flag) -> str:
    if flag.default in (None, "", False):
        return flag.help
    default = "true" if flag.default is True else f'"{flag.default}"' if flag.kind == "string" else flag.default
    return f"{flag.help} (default {default})"


def _two_columns(left: str, right: str, width: int, columns: int) -> str:
    lines = textwrap.wrap(right, max(columns - width, 30)) or [""]
    first = left.ljust(width) + lines[0]
    return "\n".join([first, *(" " * width + line for line in lines[1:])]).rstrip()
