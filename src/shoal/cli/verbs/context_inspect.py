"""`shoal context inspect`: everything about contexts."""

from __future__ import annotations

from shoal.cli.arguments import Flags, Parser
from shoal.cli.context import Context
from shoal.cli.contexts import ContextStore
from shoal.cli.endpoint import DEFAULT_CONTEXT, context_name, default_address
from shoal.cli.verbs.listing import field_rows
from shoal.client.document import Json
from shoal.errors import ShoalError


class Options(Flags):
    """The parsed flags."""

    format: str
    names: list[str]


def configure(parser: Parser) -> None:
    """Adds the flags of `docker context inspect`."""
    parser.text("-f", "--format", dest="format", help="json, or a Go template")
    parser.add_argument("names", metavar="CONTEXT", nargs="*")


def run(options: Options, context: Context) -> int:
    """Prints what was found, of the context in use where none is named; 1 if one was not."""
    found: list[Json] = []
    problems: list[ShoalError] = []
    for name in options.names or [context_name(context)]:
        try:
            found.append(_described(name, context))
        except ShoalError as error:
            problems.append(error)
    if found or not options.format:
        field_rows(found, options.format, context)
    for problem in problems:
        context.report(problem)
    return 1 if problems else 0


def _described(name: str, context: Context) -> dict[str, Json]:
    if name == DEFAULT_CONTEXT:
        endpoint: dict[str, Json] = {"Host": default_address(context), "SkipTLSVerify": False}
        storage: dict[str, Json] = {"MetadataPath": "<IN MEMORY>", "TLSPath": "<IN MEMORY>"}
        return {
            "Name": name,
            "Metadata": {},
            "Endpoints": {"docker": endpoint},
            "TLSMaterial": {},
            "Storage": storage,
        }
    stored = ContextStore(context.config_directory).get(name)
    return {
        **stored.metadata(),
        "TLSMaterial": {"docker": [*sorted(stored.tls)]} if stored.tls else {},
        "Storage": {"MetadataPath": stored.meta_directory, "TLSPath": stored.tls_directory},
    }
