"""`shoal push`: brings an image to a registry."""

from __future__ import annotations

from shoal.cli.arguments import Flags, Parser
from shoal.cli.context import Context
from shoal.cli.references import split_tag, with_default_tag
from shoal.cli.registry_auth import RegistryAuth
from shoal.cli.transfers import show_transfer


class Options(Flags):
    """The parsed flags."""

    all_tags: bool
    platform: str
    quiet: bool
    image: str


def configure(parser: Parser) -> None:
    """Adds the flags of `docker push`."""
    parser.toggle("-a", "--all-tags", dest="all_tags", help="Push every tag of the repository")
    parser.toggle("--disable-content-trust", dest="unused", help="Does nothing", default=True, hidden=True)
    parser.text("--platform", dest="platform", help="Platform, if the image has several (OS[/ARCH[/VARIANT]])")
    parser.toggle("-q", "--quiet", dest="quiet", help="Do not show the progress")
    parser.add_argument("image", metavar="NAME[:TAG]")


def run(options: Options, context: Context) -> int:
    """Pushes it, showing each message of the engine."""
    if not options.all_tags and with_default_tag(options.image) != options.image:
        context.print("Using default tag: latest")
    repository, tag = split_tag(options.image if options.all_tags else with_default_tag(options.image))
    auth = RegistryAuth(context.config_directory).header(repository)
    messages = context.client.images.push(repository, tag=tag, platform=options.platform, auth=auth)
    show_transfer(messages, context.stdout, context.environment, quiet=options.quiet)
    return 0
