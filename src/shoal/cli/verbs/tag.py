"""`shoal tag`: gives an image one more name."""

from __future__ import annotations

from shoal.cli.arguments import Flags, Parser
from shoal.cli.context import Context
from shoal.cli.references import split_tag


class Options(Flags):
    """The parsed words."""

    source: str
    target: str


def configure(parser: Parser) -> None:
    """Adds the words of `docker tag`."""
    parser.add_argument("source", metavar="SOURCE_IMAGE[:TAG]")
    parser.add_argument("target", metavar="TARGET_IMAGE[:TAG]")


def run(options: Options, context: Context) -> int:
    """Names it."""
    repo, tag = split_tag(options.target)
    context.client.images.tag(options.source, repo=repo, tag=tag or "latest")
    return 0
