"""`shoal image prune`: removes images without a name, or all that no container has."""

from __future__ import annotations

from shoal.cli.arguments import Flags, Parser
from shoal.cli.context import Context
from shoal.cli.pruning import is_confirmed, print_reclaimed, print_removed, removed_images
from shoal.cli.verbs.listing import parse_filters


class Options(Flags):
    """The parsed flags."""

    all: bool
    filter: list[str]
    force: bool


def configure(parser: Parser) -> None:
    """Adds the flags of `docker image prune`."""
    parser.toggle("-a", "--all", dest="all", help="Those with a name too, where no container has them")
    parser.texts(
        "--filter", dest="filter", help="Remove only those that match (until=AGE, label=NAME)", metavar="filter"
    )
    parser.toggle("-f", "--force", dest="force", help="Do not ask")


def run(options: Options, context: Context) -> int:
    """Asks, removes, and tells what is gone."""
    which = "all images without at least one container associated to them" if options.all else "all dangling images"
    if not options.force and not is_confirmed(f"WARNING! This will remove {which}.", context):
        return 1
    filters = {**parse_filters(options.filter), "dangling": ["false" if options.all else "true"]}
    report = context.client.system.prune("images", filters)
    print_removed("Deleted Images:", removed_images(report), context)
    print_reclaimed(report.number("SpaceReclaimed"), context)
    return 0
