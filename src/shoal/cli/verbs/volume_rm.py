"""`shoal volume rm`: removes volumes."""

from __future__ import annotations

from shoal.cli.arguments import Flags, Parser
from shoal.cli.context import Context
from shoal.cli.verbs.each import for_each


class Options(Flags):
    """The parsed flags."""

    force: bool
    volumes: list[str]


def configure(parser: Parser) -> None:
    """Adds the flags of `docker volume rm`."""
    parser.toggle("-f", "--force", dest="force", help="Let those that are not there be")
    parser.add_argument("volumes", metavar="VOLUME", nargs="+")


def run(options: Options, context: Context) -> int:
    """Removes each that no container has."""

    def remove(name: str) -> None:
        context.client.volumes.remove(name, force=options.force)

    return for_each(options.volumes, remove, context)
