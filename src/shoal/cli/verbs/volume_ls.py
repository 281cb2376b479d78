"""`shoal volume ls`: the volumes in a table."""

from __future__ import annotations

from shoal.cli.arguments import Flags, Parser
from shoal.cli.context import Context
from shoal.cli.verbs.listing import Lookup, Row, parse_filters, print_rows
from shoal.client.document import Document

_COLUMNS = ("Driver", "Name")
_HEADINGS = {
    "Driver": "DRIVER",
    "Name": "VOLUME NAME",
    "Labels": "LABELS",
    "Mountpoint": "MOUNTPOINT",
    "Scope": "SCOPE",
    "Availability": "AVAILABILITY",
    "Group": "GROUP",
    "Links": "LINKS",
    "Size": "SIZE",
    "Status": "STATUS",
}


class Options(Flags):
    """The parsed flags."""

    filter: list[str]
    cluster: bool
    format: str
    quiet: bool


def configure(parser: Parser) -> None:
    """Adds the flags of `docker volume ls`."""
    parser.toggle("--cluster", dest="cluster", help="Only volumes of a swarm, of which there are none")
    parser.texts("-f", "--filter", dest="filter", help="Show only those that match (dangling, driver, label, name)")
    parser.text("--format", dest="format", help="table, json, or a Go template")
    parser.toggle("-q", "--quiet", dest="quiet", help="Show only names")


def run(options: Options, context: Context) -> int:
    """Prints the list, by name."""
    volumes = context.client.volumes.list(filters=parse_filters(options.filter))
    if options.cluster:
        volumes = [volume for volume in volumes if volume.mapping("ClusterVolume")]
    volumes.sort(key=lambda volume: volume.text("Name"))
    if options.quiet and not options.format:
        for volume in volumes:
            context.print(volume.text("Name"))
        return 0
    print_rows([_row(volume) for volume in volumes], _COLUMNS, _HEADINGS, options.format, context)
    return 0


def _row(volume: Document) -> Row:
    return {
        **{name: volume.text(name) for name in ("Driver", "Name", "Mountpoint", "Scope")},
        "Labels": ",".join(f"{name}={value}" for name, value in sorted(volume.mapping("Labels").items())),
        "Label": Lookup(volume.mapping("Labels")),
        # What only other endpoints, or volumes of a swarm, tell.
        **dict.fromkeys(("Availability", "Group", "Links", "Size", "Status"), "N/A"),
    }
