"""`shoal network ls`: the networks in a table."""

from __future__ import annotations

from shoal.cli.arguments import Flags, Parser
from shoal.cli.context import Context
from shoal.cli.quantities import go_time
from shoal.cli.verbs.listing import Lookup, Row, parse_filters, print_rows
from shoal.client.document import Document

_COLUMNS = ("ID", "Name", "Driver", "Scope")
_HEADINGS = {
    "ID": "NETWORK ID",
    "Name": "NAME",
    "Driver": "DRIVER",
    "Scope": "SCOPE",
    "IPv4": "IPV4",
    "IPv6": "IPV6",
    "Internal": "INTERNAL",
    "Labels": "LABELS",
    "CreatedAt": "CREATED AT",
}


class Options(Flags):
    """The parsed flags."""

    filter: list[str]
    format: str
    no_trunc: bool
    quiet: bool


def configure(parser: Parser) -> None:
    """Adds the flags of `docker network ls`."""
    parser.texts("-f", "--filter", dest="filter", help="Show only those that match (driver=bridge)", metavar="filter")
    parser.text("--format", dest="format", help="table, json, or a Go template")
    parser.toggle("--no-trunc", dest="no_trunc", help="Do not shorten ids")
    parser.toggle("-q", "--quiet", dest="quiet", help="Show only ids")


def run(options: Options, context: Context) -> int:
    """Prints the list, by name."""
    networks = context.client.networks.list(filters=parse_filters(options.filter))
    networks.sort(key=lambda network: network.text("Name"))
    rows = [_row(network, whole=options.no_trunc) for network in networks]
    if options.quiet and not options.format:
        for row in rows:
            context.print(str(row["ID"]))
        return 0
    print_rows(rows, _COLUMNS, _HEADINGS, options.format, context)
    return 0


def _row(network: Document, *, whole: bool) -> Row:
    return {
        "ID": network.text("Id") if whole else network.text("Id")[:12],
        **{name: network.text(name) for name in ("Name", "Driver", "Scope")},
        # An engine that does not say has IPv4, as all had before API 1.48.
        "IPv4": str(network.value("EnableIPv4") is not False).lower(),
        "IPv6": str(network.flag("EnableIPv6")).lower(),
        "Internal": str(network.flag("Internal")).lower(),
        "Labels": ",".join(f"{name}={value}" for name, value in sorted(network.mapping("Labels").items())),
        "Label": Lookup(network.mapping("Labels")),
        "CreatedAt": go_time(network.text("Created")),
    }
