"""`shoal image diff`: in what two images differ, as `shoal diff` shows what a container has changed."""

from __future__ import annotations

from shoal.cli.arguments import Flags, Parser
from shoal.cli.context import Context
from shoal.cli.quantities import decimal_size
from shoal.client.document import Document, json_text

_LETTERS = "CAD"
_WORDS = {"A": "added", "C": "changed", "D": "deleted"}


class Options(Flags):
    """The parsed flags."""

    format: str
    before: str
    after: str


def configure(parser: Parser) -> None:
    """Adds the flags of the verb, which Docker does not have."""
    parser.text("--format", dest="format", help="json, for an object a line")
    parser.add_argument("before", metavar="IMAGE")
    parser.add_argument("after", metavar="IMAGE")


def run(options: Options, context: Context) -> int:
    """Prints what the second image has otherwise than the first: settings, then paths, then the sum."""
    counts = {"A": 0, "C": 0, "D": 0}
    size = 0
    for difference in context.client.images.differences(options.before, options.after):
        if options.format == "json":
            context.print(json_text(difference.raw))
            continue
        if difference.text("Field"):
            context.print(_setting(difference))
            continue
        letter = _LETTERS[difference.number("Kind")]
        counts[letter] += 1
        size += difference.number("Size")
        context.print(f"{letter} {difference.text('Path')}{_how(difference)}")
    if options.format != "json":
        told = ", ".join(f"{count} {_WORDS[letter]}" for letter, count in counts.items() if count) or "the same files"
        context.print(f"{options.after}: {told}, {_signed(size)}")
    return 0


def _setting(difference: Document) -> str:
    before, after = (json_text(difference.value(side)) for side in ("Before", "After"))
    return f"C {difference.text('Field')}: {before} -> {after}"


def _how(difference: Document) -> str:
    parts = [*difference.texts("What")]
    if difference.number("Size"):
        parts.append(_signed(difference.number("Size")))
    return f"  ({', '.join(parts)})" if parts else ""


def _signed(size: int) -> str:
    return f"{'-' if size < 0 else '+'}{decimal_size(abs(size))}"
