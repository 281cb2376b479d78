"""`shoal volume prune`: removes the volumes that no container has."""

from __future__ import annotations

from shoal.cli.arguments import Flags, Parser
from shoal.cli.context import Context
from shoal.cli.pruning import is_confirmed, print_reclaimed, print_removed
from shoal.cli.verbs.listing import parse_filters


class Options(Flags):
    """The parsed flags."""

    all: bool
    filter: list[str]
    force: bool


def configure(parser: Parser) -> None:
    """Adds the flags of `docker volume prune`."""
    parser.toggle("-a", "--all", dest="all", help="Those with a name too, not only anonymous ones")
    parser.texts("--filter", dest="filter", help="Remove only those that match (label=NAME[=VALUE])")
    parser.toggle("-f", "--force", dest="force", help="Do not ask")


def run(options: Options, context: Context) -> int:
    """Asks, removes, and tells what is gone."""
    kind = "all" if options.all else "anonymous"
    warning = f"WARNING! This will remove {kind} local volumes not used by at least one container."
    if not options.force and not is_confirmed(warning, context):
        return 1
    filters = parse_filters(options.filter)
    if options.all:
        filters["all"] = ["true"]
    report = context.client.volumes.prune(filters=filters)
    print_removed("Deleted Volumes:", report.texts("VolumesDeleted"), context)
    print_reclaimed(report.number("SpaceReclaimed"), context)
    return 0
