"""`shoal network connect`: puts a container into a network."""

from __future__ import annotations

from shoal.cli.arguments import Flags, Parser
from shoal.cli.container.values import labels
from shoal.cli.context import Context
from shoal.client.document import Json


class Options(Flags):
    """The parsed flags."""

    alias: list[str]
    driver_opt: list[str]
    gw_priority: int | None
    ip: str
    ip6: str
    link: list[str]
    link_local_ip: list[str]
    network: str
    container: str


def configure(parser: Parser) -> None:
    """Adds the flags of `docker network connect`."""
    parser.texts("--alias", dest="alias", help="Give it one more name there", metavar="strings")
    parser.texts("--driver-opt", dest="driver_opt", help="An option of the network's driver", metavar="strings")
    parser.integer("--gw-priority", dest="gw_priority", help="The highest one's network has the way out")
    parser.text("--ip", dest="ip", help="IPv4 address")
    parser.text("--ip6", dest="ip6", help="IPv6 address")
    parser.texts("--link", dest="link", help="Add a link to another container")
    parser.texts("--link-local-ip", dest="link_local_ip", help="Add a link-local address", metavar="strings")
    parser.add_argument("network", metavar="NETWORK")
    parser.add_argument("container", metavar="CONTAINER")


def run(options: Options, context: Context) -> int:
    """Connects it."""
    addresses: dict[str, Json] = {}
    for name, value in (("IPv4Address", options.ip), ("IPv6Address", options.ip6)):
        if value:
            addresses[name] = value
    if options.link_local_ip:
        addresses["LinkLocalIPs"] = [*options.link_local_ip]
    endpoint: dict[str, Json] = {
        "IPAMConfig": addresses or None,
        "Aliases": [*options.alias],
        "Links": [*options.link],
        "DriverOpts": labels(options.driver_opt),
    }
    if options.gw_priority is not None:
        endpoint["GwPriority"] = options.gw_priority
    context.client.networks.connect(options.network, {"Container": options.container, "EndpointConfig": endpoint})
    return 0
