"""`shoal context ls`: the contexts in a table, the one in use marked."""

from __future__ import annotations

from shoal.cli.arguments import Flags, Parser
from shoal.cli.context import Context
from shoal.cli.contexts import ContextStore
from shoal.cli.endpoint import DEFAULT_CONTEXT, context_name, default_address
from shoal.cli.verbs.listing import Row, print_rows
from shoal.errors import ShoalError

_COLUMNS = ("Name", "Description", "DockerEndpoint", "Error")
_HEADINGS = {
    "Name": "NAME",
    "Description": "DESCRIPTION",
    "DockerEndpoint": "DOCKER ENDPOINT",
    "Error": "ERROR",
    "Current": "CURRENT",
}
_DEFAULT_DESCRIPTION = "Current DOCKER_HOST based configuration"


class Options(Flags):
    """The parsed flags."""

    format: str
    quiet: bool


def configure(parser: Parser) -> None:
    """Adds the flags of `docker context ls`."""
    parser.text("--format", dest="format", help="table, json, or a Go template")
    parser.toggle("-q", "--quiet", dest="quiet", help="Show only names")


def run(options: Options, context: Context) -> int:
    """Prints the list."""
    if context.environment.get("DOCKER_HOST"):
        context.warn(
            "Warning: DOCKER_HOST environment variable overrides the active context. To use a context, either set the "
            "global --context flag, or unset DOCKER_HOST environment variable."
        )
    store = ContextStore(context.config_directory)
    current = context_name(context)
    names = sorted({DEFAULT_CONTEXT, *store.names()})
    if options.quiet:
        for name in names:
            context.print(name)
        return 0
    rows = [_row(name, current, store, context) for name in names]
    if current not in names:
        error = f'context "{current}": context not found'
        rows.append({"Name": current, "Description": "", "DockerEndpoint": "", "Error": error, "Current": True})
    if options.format in ("", "table"):
        rows = [{**row, "Name": f"{row['Name']} *" if row["Current"] else row["Name"]} for row in rows]
    print_rows(rows, _COLUMNS, _HEADINGS, options.format, context)
    return 0


def _row(name: str, current: str, store: ContextStore, context: Context) -> Row:
    description, address, problem = _DEFAULT_DESCRIPTION, default_address(context), ""
    if name != DEFAULT_CONTEXT:
        try:
            stored = store.get(name)
            description, address = stored.description, stored.host
        except ShoalError as error:
            description, address, problem = "", "", str(error)
    return {
        "Name": name,
        "Description": description,
        "DockerEndpoint": address,
        "Error": problem,
        "Current": name == current,
    }
