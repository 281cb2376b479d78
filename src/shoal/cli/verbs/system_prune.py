"""`shoal system prune`: removes stopped containers, unused networks and images, and volumes if asked."""

from __future__ import annotations

from shoal.cli.arguments import Flags, Parser
from shoal.cli.context import Context
from shoal.cli.pruning import is_confirmed, print_reclaimed, print_removed, removed_images
from shoal.cli.quantities import decimal_size
from shoal.cli.verbs.disk_users import disk_size
from shoal.cli.verbs.listing import parse_filters
from shoal.errors import InvalidArgument


class Options(Flags):
    """The parsed flags."""

    all: bool
    force: bool
    volumes: bool
    filter: list[str]


def configure(parser: Parser) -> None:
    """Adds the flags of `docker system prune`."""
    parser.toggle(
        "-a", "--all", dest="all", help="Remove all images without a container, not only those without a name"
    )
    parser.toggle("-f", "--force", dest="force", help="Do not ask")
    parser.toggle("--volumes", dest="volumes", help="Remove anonymous volumes too")
    parser.texts("--filter", dest="filter", help="Remove only what matches (until=AGE, label=NAME, label!=NAME)")


def run(options: Options, context: Context) -> int:
    """Removes them, containers first: they hold the rest. Says what is gone, and what that is on disk."""
    filters = parse_filters(options.filter)
    if options.volumes and "until" in filters:
        raise InvalidArgument('the "until" filter is not supported with "--volumes"')
    if not options.force and not is_confirmed(_warning(options), context):
        return 1
    prune = context.client.system.prune
    before = disk_size(context)
    containers = prune("containers", filters)
    print_removed("Deleted Containers:", containers.texts("ContainersDeleted"), context)
    print_removed("Deleted Networks:", prune("networks", filters).texts("NetworksDeleted"), context)
    reports = [containers]
    if options.volumes:
        reports.append(prune("volumes", filters))
        print_removed("Deleted Volumes:", reports[-1].texts("VolumesDeleted"), context)
    reports.append(prune("images", {**filters, "dangling": ["false" if options.all else "true"]}))
    print_removed("Deleted Images:", removed_images(reports[-1]), context)
    reports.append(prune("build", filters))
    print_removed("Deleted build cache objects:", reports[-1].texts("CachesDeleted"), context)
    print_reclaimed(sum(report.number("SpaceReclaimed") for report in reports), context)
    if before is not None:
        now = disk_size(context) or 0
        context.print(f"On disk: {decimal_size(before, 4)} before, {decimal_size(now, 4)} now")
    return 0


def _warning(options: Options) -> str:
    objects = ["all stopped containers", "all networks not used by at least one container"]
    if options.volumes:
        objects.append("all anonymous volumes not used by at least one container")
    objects.append(
        "all images without at least one container associated to them" if options.all else "all dangling images"
    )
    objects.append("unused build cache")
    return "WARNING! This will remove:\n" + "".join(f"  - {name}\n" for name in objects)
