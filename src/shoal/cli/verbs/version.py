"""`shoal version`: the versions of client and engine."""

from __future__ import annotations

import platform
from collections.abc import Sequence

from shoal import __version__
from shoal.api.version import MAXIMUM
from shoal.cli.arguments import Flags, Parser
from shoal.cli.context import Context
from shoal.cli.endpoint import context_name
from shoal.cli.verbs.listing import field_rows
from shoal.client.document import Json
from shoal.errors import ShoalError


class Options(Flags):
    """The parsed flags."""

    format: str


def configure(parser: Parser) -> None:
    """Adds the flags of `docker version`."""
    parser.text("-f", "--format", dest="format", help="json, or a Go template")


def run(options: Options, context: Context) -> int:
    """Prints both; 1 if the engine does not answer."""
    client: dict[str, Json] = {
        "Version": __version__,
        "ApiVersion": str(MAXIMUM),
        "DefaultAPIVersion": str(MAXIMUM),
        "PythonVersion": platform.python_version(),
        "Os": "linux",
        "Arch": {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine()),
        "Context": context_name(context),
    }
    problem: ShoalError | None = None
    server: Json = None
    try:
        server = context.client.system.version().raw
        client["ApiVersion"] = context.client.negotiated_version()
    except ShoalError as error:
        problem = error
    if options.format:
        if problem is not None and ".Server" in options.format:
            raise problem
        if "json" not in options.format:
            # Templates see Go's name of the field, which is not that of the JSON.
            client["APIVersion"] = client["ApiVersion"]
            server = {**server, "APIVersion": server.get("ApiVersion")} if isinstance(server, dict) else None
        field_rows([{"Client": client, "Server": server}], options.format, context)
    else:
        _print_section("Client", list(client.items()), context)
        if isinstance(server, dict):
            plain = [(name, value) for name, value in server.items() if not isinstance(value, (list, dict))]
            _print_section("Server", plain, context)
    if problem is not None:
        context.report(problem)
        return 1
    return 0


def _print_section(title: str, pairs: Sequence[tuple[str, Json]], context: Context) -> None:
    context.print(f"{title}:")
    for name, value in pairs:
        context.print(f" {name + ':':<18}{value}")
