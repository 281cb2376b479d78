"""`shoal image tree`: the layers of an image, who made and who shares each, and what of it nobody sees."""

from __future__ import annotations

from collections.abc import Iterator

from shoal.cli.arguments import Flags, Parser
from shoal.cli.context import Context
from shoal.cli.quantities import decimal_size
from shoal.cli.table import ellipsis
from shoal.client.document import Document, json_text

_STEP_WIDTH = 70


class Options(Flags):
    """The parsed flags."""

    no_trunc: bool
    format: str
    image: str


def configure(parser: Parser) -> None:
    """Adds the flags of the verb, which Docker does not have."""
    parser.toggle("--no-trunc", dest="no_trunc", help="Do not shorten anything")
    parser.text("--format", dest="format", help="json, for the engine's own answer")
    parser.add_argument("image", metavar="IMAGE")


def run(options: Options, context: Context) -> int:
    """Prints the tree, the bottom layer first."""
    tree = context.client.images.tree(options.image)
    if options.format == "json":
        context.print(json_text(tree.raw))
        return 0
    layers = tree.children("Layers")
    wasted = tree.number("WastedSize")
    lost = f", {decimal_size(wasted)} of it wasted" if wasted else ""
    context.print(f"{options.image}  {decimal_size(tree.number('Size'))} in {_count(len(layers), 'layer')}{lost}")
    for number, layer in enumerate(layers, 1):
        branch, below = ("└─ ", "   ") if number == len(layers) else ("├─ ", "│  ")
        first, *others = _lines(layer, whole=options.no_trunc)
        context.print(branch + first)
        for line in others:
            context.print(below + "   " + line)
    return 0


def _lines(layer: Document, *, whole: bool) -> Iterator[str]:
    digest, step = layer.text("DiffID").removeprefix("sha256:"), layer.text("CreatedBy").replace("\t", " ")
    size, files = decimal_size(layer.number("Size")), _count(layer.number("Files"), "file")
    shown = f"{digest if whole else digest[:12]}  {size}, {files}"
    yield f"{shown}  {step if whole else ellipsis(step, _STEP_WIDTH)}".rstrip()
    if layer.texts("SharedWith"):
        yield f"shared with {', '.join(layer.texts('SharedWith'))}"
    if layer.number("WastedSize"):
        biggest = [f"{one.text('Path')} ({decimal_size(one.number('Size'))})" for one in layer.children("Wasted")]
        yield f"wasted {decimal_size(layer.number('WastedSize'))}: {', '.join(biggest)}"


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
