"""`shoal rmi`: removes images, or names of them."""

from __future__ import annotations

from shoal.cli.arguments import Flags, Parser
from shoal.cli.context import Context
from shoal.cli.platforms import check_platform
from shoal.errors import NotFound, ShoalError


class Options(Flags):
    """The parsed flags."""

    force: bool
    platform: list[str]
    no_prune: bool
    images: list[str]


def configure(parser: Parser) -> None:
    """Adds the flags of `docker rmi`."""
    parser.toggle("-f", "--force", dest="force", help="Remove it even if stopped containers use it")
    parser.toggle("--no-prune", dest="no_prune", help="Keep untagged parents")
    parser.texts("--platform", dest="platform", help="Only this one of several (OS[/ARCH[/VARIANT]])")
    parser.add_argument("images", metavar="IMAGE", nargs="+")


def run(options: Options, context: Context) -> int:
    """Removes each and tells what was untagged and deleted."""
    code = 0
    for ref in options.images:
        try:
            for platform in options.platform:
                check_platform(context.client, ref, platform)
            for done in context.client.images.remove(ref, force=options.force, prune=not options.no_prune):
                deleted = done.text("Deleted")
                context.print(f"Deleted: {deleted}" if deleted else f"Untagged: {done.text('Untagged')}")
        except ShoalError as error:
            context.report(error)
            code = code if options.force and isinstance(error, NotFound) else 1
    return code
