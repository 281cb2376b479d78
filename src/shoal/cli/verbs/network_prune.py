"""`shoal network prune`: removes the networks that no container is in."""

from __future__ import annotations

from shoal.cli.arguments import Flags, Parser
from shoal.cli.context import Context
from shoal.cli.pruning import is_confirmed, print_removed
from shoal.cli.verbs.listing import parse_filters


class Options(Flags):
    """The parsed flags."""

    filter: list[str]
    force: bool


def configure(parser: Parser) -> None:
    """Adds the flags of `docker network prune`."""
    parser.texts(
        "--filter", dest="filter", help="Remove only those that match (until=AGE, label=NAME)", metavar="filter"
    )
    parser.toggle("-f", "--force", dest="force", help="Do not ask")


def run(options: Options, context: Context) -> int:
    """Asks, removes, and tells what is gone."""
    warning = "WARNING! This will remove all custom networks not used by at least one container."
    if not options.force and not is_confirmed(warning, context):
        return 1
    report = context.client.system.prune("networks", parse_filters(options.filter))
    print_removed("Deleted Networks:", report.texts("NetworksDeleted"), context)
    return 0
