"""`shoal context update`: another description, or another engine, for a context."""

from __future__ import annotations

from shoal.cli.arguments import Flags, Parser
from shoal.cli.context import Context
from shoal.cli.contexts import ContextStore, check_name
from shoal.cli.verbs.context_create import put_endpoint


class Options(Flags):
    """The parsed flags."""

    description: str
    docker: list[str]
    name: str


def configure(parser: Parser) -> None:
    """Adds the flags of `docker context update`."""
    parser.text("--description", dest="description", help="Description of the context")
    parser.texts("--docker", dest="docker", help="The engine: host=ADDRESS[,ca=FILE,cert=FILE,key=FILE]", metavar="map")
    parser.add_argument("name", metavar="CONTEXT")


def run(options: Options, context: Context) -> int:
    """Changes it, and prints its name."""
    check_name(options.name)
    store = ContextStore(context.config_directory)
    stored = store.get(options.name)
    stored.description = options.description or stored.description
    if options.docker:
        stored.tls = {}
        stored = put_endpoint(stored, options.docker, store)
    store.put(stored)
    context.print(options.name)
    context.warn(f'Successfully updated context "{options.name}"')
    return 0
