"""`shoal volume inspect`: everything about volumes."""

from __future__ import annotations

from shoal.cli.arguments import Flags, Parser
from shoal.cli.context import Context
from shoal.cli.verbs.listing import field_rows
from shoal.client.document import Json
from shoal.errors import ShoalError


class Options(Flags):
    """The parsed flags."""

    format: str
    volumes: list[str]


def configure(parser: Parser) -> None:
    """Adds the flags of `docker volume inspect`."""
    parser.text("-f", "--format", dest="format", help="json, or a Go template")
    parser.add_argument("volumes", metavar="VOLUME", nargs="+")


def run(options: Options, context: Context) -> int:
    """Prints what was found; 1 if something was not."""
    found: list[Json] = []
    problems: list[ShoalError] = []
    for name in options.volumes:
        try:
            found.append(context.client.volumes.inspect(name).raw)
        except ShoalError as error:
            problems.append(error)
    if found or not options.format:
        field_rows(found, options.format, context)
    for problem in problems:
        context.report(problem)
    return 1 if problems else 0
