"""`shoal load`: images from an archive that `save` or another engine made."""

from __future__ import annotations

from shoal.cli.archives import read_archive
from shoal.cli.arguments import Flags, Parser
from shoal.cli.context import Context
from shoal.errors import InvalidArgument, Unsupported


class Options(Flags):
    """The parsed flags."""

    input: str
    platform: str
    quiet: bool


def configure(parser: Parser) -> None:
    """Adds the flags of `docker load`."""
    parser.text("-i", "--input", dest="input", metavar="FILE", help="Read from this file instead of stdin")
    parser.text("--platform", dest="platform", help="Only this one of several (not served)")
    parser.toggle("-q", "--quiet", dest="quiet", help="Do not show progress")


def run(options: Options, context: Context) -> int:
    """Loads it and names what was loaded."""
    if options.platform:
        raise Unsupported("one platform of an archive can't be chosen", fix="load it whole: the machine's own is taken")
    if not options.input and context.stdin.isatty():
        raise InvalidArgument("requested load from stdin, but stdin is empty", fix="shoal load -i FILE")
    with read_archive(options.input or "-", context) as archive:
        for message in context.client.images.load(archive.chunks(), size_bytes=archive.size_bytes, quiet=options.quiet):
            text = message.text("stream")
            if text:
                context.stdout.write(text)
                context.stdout.flush()
    return 0
