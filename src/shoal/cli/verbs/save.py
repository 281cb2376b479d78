"""`shoal save`: images into an archive."""

from __future__ import annotations

from shoal.cli.archives import deliver_archive
from shoal.cli.arguments import Flags, Parser
from shoal.cli.context import Context
from shoal.cli.platforms import check_platform
from shoal.errors import InvalidArgument


class Options(Flags):
    """The parsed flags."""

    output: str
    platform: str
    images: list[str]


def configure(parser: Parser) -> None:
    """Adds the flags of `docker save`."""
    parser.text("-o", "--output", dest="output", metavar="FILE", help="Write to this file instead of stdout")
    parser.text("--platform", dest="platform", help="Only this one, if it has several (OS[/ARCH[/VARIANT]])")
    parser.add_argument("images", metavar="IMAGE", nargs="+")


def run(options: Options, context: Context) -> int:
    """Writes the archive."""
    if not options.output and context.stdout.isatty():
        raise InvalidArgument("cowardly refusing to save to a terminal", fix="shoal save -o FILE IMAGE, or redirect")
    for ref in options.images:
        check_platform(context.client, ref, options.platform)
    deliver_archive(context.client.images.save(options.images), options.output, context)
    return 0
