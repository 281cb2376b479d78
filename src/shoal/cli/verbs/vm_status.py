"""`shoal vm status`: what containers in virtual machines need of this host, and what of it is missing."""

from __future__ import annotations

from shoal.cli.arguments import Flags, Parser
from shoal.cli.context import Context
from shoal.cli.verbs.listing import field_rows
from shoal.client.document import Document


class Options(Flags):
    """The parsed flags."""

    format: str


def configure(parser: Parser) -> None:
    """Adds the flags of `shoal vm status`."""
    parser.text("-f", "--format", dest="format", help="json, or a Go template")


def run(options: Options, context: Context) -> int:
    """Prints a line for each part; the exit code is 1 while one is missing."""
    told = context.client.system.vm_status()
    if options.format:
        field_rows([told.raw], options.format, context)
    else:
        show(told, context)
    return 0 if told.flag("Ready") else 1


def show(told: Document, context: Context) -> None:
    """Prints what is there, what is missing with its mend, and what is to be known about speed."""
    for part in told.children("Parts"):
        state = "ok" if part.flag("Present") else "missing"
        context.print(f"{part.text('Name'):16}{state:9}{part.text('Detail')}")
        if hint := part.text("Hint"):
            context.print(f"{'':25}hint: {hint}")
    for warning in told.texts("Warnings"):
        context.print(f"warning: {warning}")
