"""The command line's grammar: argparse with Docker's habits.

What differs from plain argparse: no abbreviations, `--flag=false` for switches, a wrong usage raises UsageError instead
of exiting, and options stop at the first positional word where a container's command follows.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import NoReturn, TypeVar

from shoal.errors import InvalidArgument

_TRUE = ("true", "1", "t", "TRUE", "True")
_FALSE = ("false", "0", "f", "FALSE", "False")

Options = argparse.Namespace
OptionsType = TypeVar("OptionsType", bound=argparse.Namespace)


class UsageError(InvalidArgument):
    """The words after `shoal` make no sense; exit code 125 as Docker's client has it."""


class HelpShown(Exception):  # not an error: the reader got what they asked for
    """Help was asked for; `text` is it."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.text = text


class _HelpAction(argparse.Action):
    def __call__(self, parser: argparse.ArgumentParser, *_: object, **__: object) -> NoReturn:
        raise HelpShown(parser.format_help())


class Parser(argparse.ArgumentParser):
    """The parser of one verb."""

    def __init__(self, verb: str, usage: str, summary: str) -> None:
        super().__init__(
            prog=f"shoal {verb}".rstrip(),
            usage=f"shoal {verb} {usage}".rstrip(),
            description=summary,
            add_help=False,
            allow_abbrev=False,
            formatter_class=lambda prog: argparse.HelpFormatter(prog, max_help_position=32, width=110),
        )
        self.add_argument("--help", action=_HelpAction, nargs=0, help="Print this text")

    def toggle(self, *names: str, dest: str, help: str, default: bool = False) -> None:
        """Adds a switch that also understands `--name=true` and `--name=false`."""
        long_names = [name for name in names if name.startswith("--")]
        self.add_argument(*names, dest=dest, action="store_true", default=default, help=help)
        for words, action in ((_TRUE, "store_true"), (_FALSE, "store_false")):
            spelled = [f"{name}={word}" for name in long_names for word in words]
            if spelled:
                self.add_argument(*spelled, dest=dest, action=action, default=default, help=argparse.SUPPRESS)

    def text(self, *names: str, dest: str, help: str, metavar: str = "TEXT", default: str = "") -> None:
        """Adds an option with one value."""
        self.add_argument(*names, dest=dest, help=help, metavar=metavar, default=default)

    def texts(self, *names: str, dest: str, help: str, metavar: str = "TEXT") -> None:
        """Adds an option that may be given several times."""
        self.add_argument(*names, dest=dest, help=help, metavar=metavar, action="append", default=[])

    def integer(self, *names: str, dest: str, help: str, metavar: str = "N", default: int | None = None) -> None:
        """Adds an option with one whole number."""
        self.add_argument(*names, dest=dest, help=help, metavar=metavar, type=int, default=default)

    def error(self, message: str) -> NoReturn:
        """Raises: UsageError in the words that users of Docker's client know."""
        unknown = "unrecognized arguments: "
        missing = "the following arguments are required: "
        if message.startswith(unknown):
            first = message[len(unknown) :].split()[0]
            message = f"unknown flag: {first}" if first.startswith("-") else f"unexpected argument `{first}`"
        elif message.startswith(missing):
            message = f"`{self.prog}` requires {message[len(missing) :]}"
        raise UsageError(message, fix=f"{self.prog} --help")


def parse(parser: Parser, words: Sequence[str], options: OptionsType, *, interspersed: bool) -> OptionsType:
    """`options`, filled from `words`. With `interspersed`, options may stand between and after the positional words.

    Raises: UsageError, HelpShown.
    """
    if interspersed:
        return parser.parse_intermixed_args(list(words), namespace=options)
    return parser.parse_args(list(words), namespace=options)
