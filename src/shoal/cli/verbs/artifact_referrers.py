"""`shoal artifact referrers`: what a registry has about an image of it: signatures, lists of contents."""

from __future__ import annotations

from shoal.cli.arguments import Flags, Parser
from shoal.cli.context import Context
from shoal.cli.quantities import decimal_size
from shoal.cli.registry_auth import RegistryAuth
from shoal.cli.verbs.listing import Row, print_rows
from shoal.client.document import Document

_HEADINGS = {
    "Digest": "DIGEST",
    "Type": "TYPE",
    "MediaType": "MEDIA TYPE",
    "Size": "SIZE",
    "Annotations": "ANNOTATIONS",
}
_COLUMNS = ("Digest", "Type", "Size", "Annotations")


class Options(Flags):
    """The parsed flags."""

    format: str
    image: str


def configure(parser: Parser) -> None:
    """Adds the flags of the verb, which Docker does not have."""
    parser.text("--format", dest="format", help="table, json, or a Go template")
    parser.add_argument("image", metavar="IMAGE")


def run(options: Options, context: Context) -> int:
    """Prints the list as the registry has it."""
    auth = RegistryAuth(context.config_directory).header(options.image)
    found = context.client.artifacts.referrers(options.image, auth=auth)
    print_rows([_row(referrer) for referrer in found], _COLUMNS, _HEADINGS, options.format, context)
    return 0


def _row(referrer: Document) -> Row:
    annotations = referrer.mapping("Annotations").items()
    return {
        "Digest": referrer.text("Digest"),
        "Type": referrer.text("ArtifactType") or referrer.text("MediaType"),
        "MediaType": referrer.text("MediaType"),
        "Size": decimal_size(referrer.number("Size")),
        "Annotations": ",".join(f"{name}={value}" for name, value in sorted(annotations)),
    }
