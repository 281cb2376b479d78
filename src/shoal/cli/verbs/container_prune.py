"""`shoal container prune`: removes all containers that do not run."""

from __future__ import annotations

from shoal.cli.arguments import Flags, Parser
from shoal.cli.context import Context
from shoal.cli.pruning import is_confirmed, print_reclaimed, print_removed
from shoal.cli.verbs.listing import parse_filters


class Options(Flags):
    """The parsed flags."""

    force: bool
    filter: list[str]


def configure(parser: Parser) -> None:
    """Adds the flags of `docker container prune`."""
    parser.toggle("-f", "--force", dest="force", help="Do not ask")
    parser.texts("--filter", dest="filter", help="Remove only those that match (until=AGE, label=NAME, label!=NAME)")


def run(options: Options, context: Context) -> int:
    """Removes them and says what is gone."""
    filters = parse_filters(options.filter)
    if not options.force and not is_confirmed("WARNING! This will remove all stopped containers.", context):
        return 1
    report = context.client.system.prune("containers", filters)
    print_removed("Deleted Containers:", report.texts("ContainersDeleted"), context)
    print_reclaimed(report.number("SpaceReclaimed"), context)
    return 0
