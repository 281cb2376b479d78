"""`shoal port`: where the ports of a container are published."""

from __future__ import annotations

from shoal.cli.arguments import Flags, Parser
from shoal.cli.context import Context
from shoal.client.document import Document
from shoal.errors import NotFound


class Options(Flags):
    """The parsed words."""

    container: str
    port: str | None


def configure(parser: Parser) -> None:
    """Adds the words of `docker port`."""
    parser.add_argument("container", metavar="CONTAINER")
    parser.add_argument("port", metavar="PORT[/PROTO]", nargs="?")


def run(options: Options, context: Context) -> int:
    """Prints `80/tcp -> 0.0.0.0:8080` lines, or the addresses of the one asked port."""
    published = context.client.containers.inspect(options.container).child("NetworkSettings", "Ports")
    if options.port:
        key = options.port if "/" in options.port else f"{options.port}/tcp"
        bindings = published.children(key)
        if not bindings:
            raise NotFound(f"No public port '{options.port}' published for {options.container}")
        for binding in bindings:
            context.print(_address(binding))
        return 0
    print_ports(published, context)
    return 0


def print_ports(published: Document, context: Context) -> None:
    """Prints a line for each address of a port map, by the containers' ports."""
    for key in sorted(published.raw, key=lambda text: (int(text.split("/")[0]), text)):
        for binding in published.children(key):
            host = _address(binding) if binding.text("HostPort") else "a free port"
            context.print(f"{key} -> {host}")


def _address(binding: Document) -> str:
    host = binding.text("HostIp") or "0.0.0.0"
    return f"{f'[{host}]' if ':' in host else host}:{binding.text('HostPort')}"
