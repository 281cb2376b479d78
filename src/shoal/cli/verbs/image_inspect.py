"""`shoal image inspect`: everything about images."""

from __future__ import annotations

from shoal.cli.arguments import Flags, Parser
from shoal.cli.context import Context
from shoal.cli.platforms import check_platform
from shoal.cli.verbs.inspecting import print_found
from shoal.client.document import Document


class Options(Flags):
    """The parsed flags."""

    format: str
    platform: str
    names: list[str]


def configure(parser: Parser) -> None:
    """Adds the flags of `docker image inspect`."""
    parser.text("-f", "--format", dest="format", help="json, or a Go template")
    parser.text("--platform", dest="platform", help="Only this one, if it has several (OS[/ARCH[/VARIANT]])")
    parser.add_argument("names", metavar="IMAGE", nargs="+")


def run(options: Options, context: Context) -> int:
    """Prints what was found; 1 if something was not."""
    client = context.client

    def look_up(name: str) -> Document:
        check_platform(client, name, options.platform)
        return client.images.inspect(name)

    return print_found(options.names, look_up, options.format, context)
