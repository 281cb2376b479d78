"""`shoal why dns`: what keeps a container from finding a name, in plain words."""

from __future__ import annotations

from shoal.cli.arguments import Flags, Parser
from shoal.cli.context import Context
from shoal.cli.verbs.listing import field_rows


class Options(Flags):
    """The parsed flags."""

    format: str
    container: str
    name: str


def configure(parser: Parser) -> None:
    """Adds the flags of `shoal why dns`."""
    parser.text("-f", "--format", dest="format", help="json, or a Go template")
    parser.add_argument("container", metavar="CONTAINER")
    parser.add_argument("name", metavar="NAME")


def run(options: Options, context: Context) -> int:
    """Prints the first thing that is wrong on the way to the name and how to mend it, or that nothing is."""
    told = context.client.containers.why_dns(options.container, options.name)
    if options.format:
        field_rows([told.raw], options.format, context)
        return 0
    if told.flag("Healthy"):
        who, addresses = told.text("Name").removeprefix("/"), ", ".join(told.texts("Addresses"))
        context.print(f"Nothing is wrong: {who} finds {told.text('Asked')} at {addresses}.")
        return 0
    context.print(told.text("Sentence"))
    if hint := told.text("Hint"):
        context.print(f"hint: {hint}")
    return 0
