"""`shoal volume prune`: removes the volumes that no container has."""

from __future__ import annotations

import argparse

from shoal.cli.arguments import Parser
from shoal.cli.context import Context
from shoal.cli.quantities import decimal_size
from shoal.cli.verbs.listing import parse_filters


class Options(argparse.Namespace):
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
    if not options.force:
        context.warn(f"WARNING! This will remove {kind} local volumes not used by at least one container.")
        context.stderr.write("Are you sure you want to continue? [y/N] ")
        context.stderr.flush()
        if context.stdin.readline().strip().lower() not in ("y", "yes"):
            return 1
    filters = parse_filters(options.filter)
    if options.all:
        filters["all"] = ["true"]
    report = context.client.volumes.prune(filters=filters)
    removed = report.texts("VolumesDeleted")
    if removed:
        context.print("\n".join(["Deleted Volumes:", *removed, ""]))
    context.print(f"Total reclaimed space: {decimal_size(report.number('SpaceReclaimed'))}")
    return 0
