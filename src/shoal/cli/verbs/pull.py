"""`shoal pull`: brings an image from a registry."""

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
    """Adds the flags of `docker pull`."""
    parser.toggle("-a", "--all-tags", dest="all_tags", help="Pull every tag of the repository")
    parser.toggle("--disable-content-trust", dest="unused", help="Does nothing", default=True, hidden=True)
    parser.text("--platform", dest="platform", help="Platform, if the image has several (OS[/ARCH[/VARIANT]])")
    parser.toggle("-q", "--quiet", dest="quiet", help="Do not show the progress")
    parser.add_argument("image", metavar="NAME[:TAG|@DIGEST]")


def run(options: Options, context: Context) -> int:
    """Pulls it, showing each message of the engine, and prints what it is called in full."""
    if not options.all_tags and with_default_tag(options.image) != options.image:
        context.print("Using default tag: latest")
    whole = options.image if options.all_tags else with_default_tag(options.image)
    repository, tag = split_tag(whole)
    auth = RegistryAuth(context.config_directory).header(repository)
    messages = context.client.images.pull(repository, tag=tag, platform=options.platform, auth=auth)
    show_transfer(messages, context.stdout, context.environment, quiet=options.quiet)
    context.print(whole)
    return 0
