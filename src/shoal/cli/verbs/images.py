"""`shoal images`: the images in a table, one row for each name."""

from __future__ import annotations

import time

from shoal.cli.arguments import Flags, Parser
from shoal.cli.context import Context
from shoal.cli.quantities import decimal_size, duration_words, local_time
from shoal.cli.verbs.listing import Row, parse_filters, print_rows
from shoal.client.document import Document
from shoal.errors import Unsupported

_COLUMNS = ("Repository", "Tag", "ID", "CreatedSince", "Size")
_HEADINGS = {
    "Repository": "REPOSITORY",
    "Tag": "TAG",
    "Digest": "DIGEST",
    "ID": "IMAGE ID",
    "CreatedSince": "CREATED",
    "CreatedAt": "CREATED AT",
    "Size": "SIZE",
    "VirtualSize": "SIZE",
    "SharedSize": "SHARED SIZE",
    "UniqueSize": "UNIQUE SIZE",
    "Containers": "CONTAINERS",
}


class Options(Flags):
    """The parsed flags."""

    all: bool
    quiet: bool
    no_trunc: bool
    digests: bool
    tree: bool
    filter: list[str]
    format: str
    reference: str | None


def configure(parser: Parser) -> None:
    """Adds the flags of `docker images`."""
    parser.toggle("-a", "--all", dest="all", help="Show intermediate images too")
    parser.toggle("-q", "--quiet", dest="quiet", help="Show only ids")
    parser.toggle("--no-trunc", dest="no_trunc", help="Do not shorten anything")
    parser.toggle("--digests", dest="digests", help="Show digests")
    parser.toggle("--tree", dest="tree", help="A tree of platforms (not served: an image has one)")
    parser.texts("-f", "--filter", dest="filter", help="Show only those that match (NAME=VALUE)")
    parser.text("--format", dest="format", help="table, json, or a Go template")
    parser.add_argument("reference", metavar="REPOSITORY[:TAG]", nargs="?")


def run(options: Options, context: Context) -> int:
    """Prints the list."""
    if options.tree:
        raise Unsupported("images have one platform here: there is no tree", fix="leave --tree out")
    filters = parse_filters(options.filter)
    if options.reference:
        filters.setdefault("reference", []).append(options.reference)
    images = context.client.images.list(all=options.all, filters=filters)
    if options.quiet and not options.format:
        # An image with several names is one image: its id is printed once.
        for image in images:
            context.print(shown_id(image.text("Id"), whole=options.no_trunc))
        return 0
    now = time.time()
    rows = [row for image in images for row in image_rows(image, now, whole=options.no_trunc)]
    columns = ("Repository", "Tag", "Digest", *_COLUMNS[2:]) if options.digests else _COLUMNS
    print_rows(rows, columns, _HEADINGS, options.format, context)
    return 0


def shown_id(image_id: str, *, whole: bool) -> str:
    """The id as lists show it: twelve digits, or all with the algorithm."""
    return image_id if whole else image_id.removeprefix("sha256:")[:12]


def image_rows(image: Document, now: float, *, whole: bool) -> list[Row]:
    """One row for each name of the image; one with <none> where it has no name."""
    names = [name for name in image.texts("RepoTags") if name != "<none>:<none>"]
    digests = dict(text.split("@", 1) for text in image.texts("RepoDigests") if "@" in text)
    pairs = [(*_split_name(name), digests.get(_split_name(name)[0], "<none>")) for name in names]
    if not pairs:
        pairs = [(repository, "<none>", digest) for repository, digest in digests.items() if repository != "<none>"]
    created = image.number("Created")
    shared, size = image.number("SharedSize"), image.number("Size")
    return [
        {
            "Repository": repository,
            "Tag": tag,
            "Digest": digest,
            "ID": shown_id(image.text("Id"), whole=whole),
            "CreatedSince": f"{duration_words(now - created)} ago" if created > 0 else "N/A",
            "CreatedAt": local_time(created),
            "Size": decimal_size(size),
            "VirtualSize": decimal_size(size, 4),
            "SharedSize": decimal_size(shared) if shared >= 0 else "N/A",
            "UniqueSize": decimal_size(size - shared, 4) if shared >= 0 else "N/A",
            "Containers": str(image.number("Containers")) if image.number("Containers") >= 0 else "N/A",
        }
        for repository, tag, digest in pairs or [("<none>", "<none>", "<none>")]
    ]


def _split_name(name: str) -> tuple[str, str]:
    repository, _, tag = name.rpartition(":")
    return repository, tag
