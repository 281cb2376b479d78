"""`shoal system df`: what is used on disk, and how much of it could be had back."""

from __future__ import annotations

from shoal.cli.arguments import Flags, Parser
from shoal.cli.context import Context
from shoal.cli.quantities import decimal_size
from shoal.cli.verbs.disk_tables import print_each
from shoal.cli.verbs.disk_users import print_disk_users
from shoal.cli.verbs.listing import print_rows
from shoal.client.document import Document

_COLUMNS = ("Type", "TotalCount", "Active", "Size", "Reclaimable")
_HEADINGS = {
    "Type": "TYPE",
    "TotalCount": "TOTAL",
    "Active": "ACTIVE",
    "Size": "SIZE",
    "Reclaimable": "RECLAIMABLE",
}
_LIVE = ("running", "paused", "restarting")


class Options(Flags):
    """The parsed flags."""

    format: str
    verbose: bool


def configure(parser: Parser) -> None:
    """Adds the flags of `docker system df`."""
    parser.text("--format", dest="format", help="table, json, or a Go template")
    parser.toggle("-v", "--verbose", dest="verbose", help="Show each object")


def run(options: Options, context: Context) -> int:
    """Prints a row for each kind of object, with -v a table for each kind; and whose every byte on disk is."""
    usage = context.client.system.disk_usage()
    if options.verbose:
        print_each(usage, options.format, context)
    else:
        rows = [_images(usage), _containers(usage), _volumes(usage), _build_cache(usage)]
        print_rows(rows, _COLUMNS, _HEADINGS, options.format, context)
    if not options.format:
        print_disk_users(context, each=options.verbose)
    return 0


def _row(kind: str, total: int, active: int, size: int, reclaimable: int, *, with_share: bool = True) -> dict[str, str]:
    shown = decimal_size(reclaimable, 4)
    if with_share and size > 0:
        shown += f" ({100 * reclaimable // size}%)"
    return {
        "Type": kind,
        "TotalCount": str(total),
        "Active": str(active),
        "Size": decimal_size(size, 4),
        "Reclaimable": shown,
    }


def _images(usage: Document) -> dict[str, str]:
    images = usage.children("Images")
    size = usage.number("LayersSize")
    used = [image for image in images if image.number("Containers") > 0]
    # Layers that images share stay as long as one of them is used.
    held = sum(image.number("Size") - image.number("SharedSize") for image in used if image.number("SharedSize") >= 0)
    return _row("Images", len(images), len(used), size, max(size - held, 0))


def _containers(usage: Document) -> dict[str, str]:
    containers = usage.children("Containers")
    live = [container for container in containers if container.text("State") in _LIVE]
    size = sum(container.number("SizeRw") for container in containers)
    held = sum(container.number("SizeRw") for container in live)
    return _row("Containers", len(containers), len(live), size, size - held)


def _volumes(usage: Document) -> dict[str, str]:
    volumes = [volume for volume in usage.children("Volumes") if volume.number("UsageData", "Size") >= 0]
    used = [volume for volume in volumes if volume.number("UsageData", "RefCount") > 0]
    size = sum(volume.number("UsageData", "Size") for volume in volumes)
    held = sum(volume.number("UsageData", "Size") for volume in used)
    return _row("Local Volumes", len(volumes), len(used), size, size - held)


def _build_cache(usage: Document) -> dict[str, str]:
    records = usage.children("BuildCache")
    used = [record for record in records if record.flag("InUse")]
    size = sum(record.number("Size") for record in records if not record.flag("Shared"))
    held = sum(record.number("Size") for record in used if not record.flag("Shared"))
    return _row("Build Cache", len(records), len(used), size, size - held, with_share=False)
