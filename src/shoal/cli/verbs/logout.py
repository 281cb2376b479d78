"""`shoal logout`: forgets who the user is to a registry."""

from __future__ import annotations

from shoal.cli.arguments import Flags, Parser
from shoal.cli.context import Context
from shoal.cli.registry_auth import HUB, RegistryAuth, server_of


class Options(Flags):
    """The parsed words."""

    server: str | None


def configure(parser: Parser) -> None:
    """Adds the word of `docker logout`."""
    parser.add_argument("server", metavar="[SERVER]", nargs="?")


def run(options: Options, context: Context) -> int:
    """Takes the login out of the file; one that is not there is told, and no failure."""
    server = server_of(f"{options.server}/x") if options.server else HUB
    if RegistryAuth(context.config_directory).forget(server):
        context.print(f"Removing login credentials for {server}")
    else:
        context.print(f"Not logged in to {server}")
    return 0
