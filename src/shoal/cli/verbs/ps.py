"""`shoal ps`: the containers in a table."""

from __future__ import annotations

import time

from shoal.cli.arguments import Flags, Parser
from shoal.cli.context import Context
from shoal.cli.quantities import decimal_size, duration_words, local_time
from shoal.cli.table import ellipsis
from shoal.cli.verbs.listing import Lookup, Row, parse_filters, print_rows
from shoal.client.document import Document

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

_COLUMNS = ("ID", "Image", "Command", "RunningFor", "Status", "Ports", "Names")
_HEADINGS = {
    "ID": "CONTAINER ID",
    "Image": "IMAGE",
    "Command": "COMMAND",
    "CreatedAt": "CREATED AT",
    "RunningFor": "CREATED",
    "Ports": "PORTS",
    "State": "STATE",
    "Status": "STATUS",
    "Size": "SIZE",
    "Names": "NAMES",
    "Labels": "LABELS",
    "Mounts": "MOUNTS",
    "LocalVolumes": "LOCAL VOLUMES",
    "Networks": "NETWORKS",
}


class Options(Flags):
    """The parsed flags."""

    all: bool
    quiet: bool
    no_trunc: bool
    size: bool
    latest: bool
    last: int | None
    filter: list[str]
    format: str


def configure(parser: Parser) -> None:
    """Adds the flags of `docker ps`."""
    parser.toggle("-a", "--all", dest="all", help="Show all containers, not only the running ones")
    parser.toggle("-q", "--quiet", dest="quiet", help="Show only ids")
    parser.toggle("--no-trunc", dest="no_trunc", help="Do not shorten anything")
    parser.toggle("-s", "--size", dest="size", help="Show sizes")
    parser.toggle("-l", "--latest", dest="latest", help="Show the latest container, in any state")
    parser.integer("-n", "--last", dest="last", help="Show the N last containers, in any state")
    parser.texts("-f", "--filter", dest="filter", help="Show only those that match (NAME=VALUE)")
    parser.text("--format", dest="format", help="table, json, or a Go template")


def run(options: Options, context: Context) -> int:
    """Prints the list."""
    limit = 1 if options.latest else options.last
    wants_size = options.size or any(word in options.format for word in (".Size", "json ."))
    containers = context.client.containers.list(
        all=options.all or limit is not None, limit=limit, size=wants_size, filters=parse_filters(options.filter)
    )
    if options.quiet and not options.format:
        for container in containers:
            context.print(container.text("Id") if options.no_trunc else container.text("Id")[:12])
        return 0
    now = time.time()
    rows = [container_row(container, now, whole=options.no_trunc) for container in containers]
    columns = (*_COLUMNS, "Size") if options.size else _COLUMNS
    print_rows(rows, columns, _HEADINGS, options.format, context, _looks)
    return 0


def container_row(container: Document, now: float, *, whole: bool) -> Row:
    """What templates and the table see of one container; `whole` shortens nothing."""
    command = container.text("Command")
    names = [name.removeprefix("/") for name in container.texts("Names")]
    mounts = [mount.text("Name") or mount.text("Source") for mount in container.children("Mounts")]
    created = container.number("Created")
    labels = container.mapping("Labels")
    return {
        "ID": container.text("Id") if whole else container.text("Id")[:12],
        "Image": container.text("Image") or "<no image>",
        "Command": f'"{command if whole else ellipsis(command, 20)}"',
        "CreatedAt": local_time(created),
        "RunningFor": f"{duration_words(now - created)} ago",
        "Ports": ports_text(container.children("Ports")),
        "State": container.text("State"),
        "Status": container.text("Status"),
        "Size": _size_text(container),
        # A name with a slash in it is a link's alias, which only the unshortened list shows.
        "Names": ",".join(names if whole else [name for name in names if "/" not in name]),
        "Labels": ",".join(f"{name}={labels[name]}" for name in sorted(labels)),
        "Label": Lookup(labels),
        "Platform": container.value("ImageManifestDescriptor", "platform"),
        "Mounts": ",".join(mount if whole else ellipsis(mount, 15) for mount in mounts),
        "LocalVolumes": str(sum(mount.text("Driver") == "local" for mount in container.children("Mounts"))),
        "Networks": ",".join(sorted(container.mapping("NetworkSettings", "Networks"))),
    }


def _looks(row: Row) -> Sequence[str]:
    """What does not run stands back; what needs somebody stands out."""
    status, state = str(row["Status"]), row["State"]
    if "(unhealthy)" in status or state in ("dead", "restarting"):
        return ("red",)
    if state in ("paused", "removing") or "(health: starting)" in status:
        return ("yellow",)
    return () if state == "running" else ("dim",)


def _size_text(container: Document) -> str:
    own, whole = container.number("SizeRw"), container.number("SizeRootFs")
    return f"{decimal_size(own)} (virtual {decimal_size(whole)})" if whole else decimal_size(own)


def ports_text(ports: list[Document]) -> str:
    """`0.0.0.0:8080->80/tcp, 90/tcp`, with runs of ports joined as in `8080-8082->80-82/tcp`."""
    runs: list[tuple[str, str, int, int, int]] = []  # address, protocol, first host port, first port, length
    keyed = [
        (port.text("IP"), port.text("Type"), port.number("PublicPort"), port.number("PrivatePort")) for port in ports
    ]
    for address, protocol, public, private in sorted(keyed, key=lambda key: (key[3], key[1], key[0], key[2])):
        for index, (known_address, known_protocol, first_public, first_private, length) in enumerate(runs):
            follows = private == first_private + length and public == (first_public + length if first_public else 0)
            if (known_address, known_protocol) == (address, protocol) and follows:
                runs[index] = (address, protocol, first_public, first_private, length + 1)
                break
        else:
            runs.append((address, protocol, public, private, 1))
    return ", ".join(_run_text(*run) for run in runs)


def _run_text(address: str, protocol: str, public: int, private: int, length: int) -> str:
    def span(first: int) -> str:
        return str(first) if length == 1 else f"{first}-{first + length - 1}"

    if not public:
        return f"{span(private)}/{protocol}"
    shown = f"[{address}]" if ":" in address else address
    return f"{shown}:{span(public)}->{span(private)}/{protocol}"
