"""`shoal why port`: what keeps clients from a container's port, in plain words."""

from __future__ import annotations

from shoal.cli.arguments import Flags, Parser
from shoal.cli.context import Context
from shoal.cli.verbs.listing import field_rows


class Options(Flags):
    """The parsed flags."""

    format: str
    container: str
    port: str


def configure(parser: Parser) -> None:
    """Adds the flags of `shoal why port`."""
    parser.text("-f", "--format", dest="format", help="json, or a Go template")
    parser.add_argument("container", metavar="CONTAINER")
    parser.add_argument("port", metavar="PORT[/PROTO]")


def run(options: Options, context: Context) -> int:
    """Prints the first thing that is wrong on the way to the port and how to mend it, or that nothing is."""
    told = context.client.containers.why_port(options.container, options.port)
    if options.format:
        field_rows([told.raw], options.format, context)
        return 0
    if told.flag("Healthy"):
        where = ", ".join(told.texts("Published"))
        reached = f", published at {where}" if where else ""
        context.print(f"Nothing is wrong with {told.text('Port')} of {told.text('Name').removeprefix('/')}{reached}.")
    if sentence := told.text("Sentence"):
        context.print(sentence)
    if hint := told.text("Hint"):
        context.print(f"hint: {hint}")
    return 0
