"""`shoal create`: makes a container without starting it."""

from __future__ import annotations

from shoal.cli.arguments import Parser
from shoal.cli.container.flags import ContainerOptions, add_container_flags
from shoal.cli.container.request import create_request
from shoal.cli.context import Context
from shoal.cli.creation import create_container

Options = ContainerOptions


def configure(parser: Parser) -> None:
    """Adds the flags of `docker create`."""
    add_container_flags(parser)


def run(options: ContainerOptions, context: Context) -> int:
    """Prints the new container's id."""
    body = create_request(options, context.environment, detached=False)
    context.print(create_container(options, body, context))
    return 0
