"""A shell in what a failed step of a build left: a container of that image, gone when the shell is left."""

from __future__ import annotations

from shoal.cli.arguments import Parser, parse
from shoal.cli.context import Context
from shoal.cli.verbs import run as running


def shell_in(image: str, context: Context) -> int:
    """The exit code of the shell. Raises: as `shoal run`."""
    parser = Parser("run", "IMAGE", "")
    running.configure(parser)
    flags = ["-i", "-t"] if context.stdin.isatty() else ["-i"]
    options = parse(parser, [*flags, "--rm", image], running.Options(), interspersed=False)
    return running.run(options, context)
