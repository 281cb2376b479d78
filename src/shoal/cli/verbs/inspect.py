"""`shoal inspect`: everything about objects, whatever kind they are."""

from __future__ import annotations

from shoal.cli.arguments import Flags, Parser, WrongWords
from shoal.cli.context import Context
from shoal.cli.verbs.listing import field_rows
from shoal.client.client import Client
from shoal.client.document import Document, Json
from shoal.errors import NotFound, ShoalError, Unsupported

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable


class Options(Flags):
    """The parsed flags."""

    format: str
    size: bool
    type: str
    names: list[str]


def configure(parser: Parser) -> None:
    """Adds the flags of `docker inspect`."""
    parser.text("-f", "--format", dest="format", help="json, or a Go template")
    parser.toggle("-s", "--size", dest="size", help="Show the sizes of containers")
    parser.text("--type", dest="type", help="Only this kind (container, image, network, volume)")
    parser.add_argument("names", metavar="NAME|ID", nargs="+")


def run(options: Options, context: Context) -> int:
    """Prints what was found; 1 if something was not."""
    lookups = _lookups(context.client, size=options.size)
    if options.type and options.type not in lookups:
        kinds = ", ".join(f'"{kind}"' for kind in lookups)
        raise WrongWords(f'unknown type: "{options.type}": must be one of {kinds}')
    wanted = [lookups[options.type]] if options.type else list(lookups.values())
    found: list[Json] = []
    problems: list[ShoalError] = []
    for name in options.names:
        try:
            found.append(_first(wanted, name, options.type).raw)
        except ShoalError as error:
            problems.append(error)
    if found or not options.format:
        field_rows(found, options.format, context)
    for problem in problems:
        context.report(problem)
    return 1 if problems else 0


def _lookups(client: Client, *, size: bool) -> dict[str, Callable[[str], Document]]:
    """How each kind is looked up, in the order of Docker's client."""
    return {
        "container": lambda name: client.containers.inspect(name, size=size),
        "image": lambda name: client.images.inspect(name),  # what comes first is mostly it: import no more
        "network": lambda name: client.system.inspect_other("networks", name),
        "volume": lambda name: client.system.inspect_other("volumes", name),
    }


def _first(lookups: list[Callable[[str], Document]], name: str, kind: str) -> Document:
    for lookup in lookups:
        try:
            return lookup(name)
        except (NotFound, Unsupported) as error:
            if kind:
                raise error from None
    raise NotFound(f"No such object: {name}", fix="`shoal ps -a` and `shoal images` list what there is")
