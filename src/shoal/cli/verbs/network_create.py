"""`shoal network create`: makes a network, and prints its id."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from itertools import pairwise

from shoal.cli.arguments import Flags, Parser
from shoal.cli.container.values import labels
from shoal.cli.context import Context
from shoal.client.document import Json
from shoal.errors import InvalidArgument


class Options(Flags):
    """The parsed flags."""

    attachable: bool
    aux_address: list[str]
    config_from: str
    config_only: bool
    driver: str
    gateway: list[str]
    ingress: bool
    internal: bool
    ip_range: list[str]
    ipam_driver: str
    ipam_opt: list[str]
    ipv4: bool
    ipv6: bool
    label: list[str]
    opt: list[str]
    scope: str
    subnet: list[str]
    name: str


def configure(parser: Parser) -> None:
    """Adds the flags of `docker network create`."""
    parser.toggle("--attachable", dest="attachable", help="Let containers join by hand (swarm)")
    parser.texts("--aux-address", dest="aux_address", help="Addresses that are taken (NAME=ADDRESS)", metavar="map")
    parser.text("--config-from", dest="config_from", help="Take the configuration of that network")
    parser.toggle("--config-only", dest="config_only", help="Only a configuration for other networks")
    parser.text("-d", "--driver", dest="driver", help="The network's driver", default="bridge")
    parser.texts("--gateway", dest="gateway", help="The gateway's address in the subnet", metavar="strings")
    parser.toggle("--ingress", dest="ingress", help="A routing mesh (swarm)")
    parser.toggle("--internal", dest="internal", help="Without a way out")
    parser.texts("--ip-range", dest="ip_range", help="Give addresses of this range only", metavar="strings")
    parser.text("--ipam-driver", dest="ipam_driver", help="Who gives addresses", default="default")
    parser.texts("--ipam-opt", dest="ipam_opt", help="An option of that driver", metavar="map")
    parser.toggle("--ipv4", dest="ipv4", help="Give IPv4 addresses", default=True)
    parser.toggle("--ipv6", dest="ipv6", help="Give IPv6 addresses")
    parser.texts("--label", dest="label", help="Set metadata (NAME=VALUE)")
    parser.texts("-o", "--opt", dest="opt", help="An option of the driver", metavar="map")
    parser.text("--scope", dest="scope", help="The network's scope")
    parser.texts("--subnet", dest="subnet", help="The network's addresses (CIDR)", metavar="strings")
    parser.add_argument("name", metavar="NETWORK")


def run(options: Options, context: Context) -> int:
    """Makes it."""
    ipam: dict[str, Json] = {
        "Driver": options.ipam_driver,
        "Options": labels(options.ipam_opt),
        "Config": [*pools(options.subnet, options.ip_range, options.gateway, options.aux_address)],
    }
    config: dict[str, Json] = {
        "Name": options.name,
        "Driver": options.driver,
        "Options": labels(options.opt),
        "IPAM": ipam,
        "Internal": options.internal,
        "Attachable": options.attachable,
        "Ingress": options.ingress,
        "ConfigOnly": options.config_only,
        "EnableIPv4": options.ipv4,
        "EnableIPv6": options.ipv6,
        "Scope": options.scope,
        "Labels": labels(options.label),
    }
    if options.config_from:
        config["ConfigFrom"] = {"Network": options.config_from}
    made = context.client.networks.create(config)
    if made.text("Warning"):
        context.warn(f"WARNING: {made.text('Warning')}")
    context.print(made.text("Id"))
    return 0


def pools(
    subnets: Sequence[str], ranges: Sequence[str], gateways: Sequence[str], reserved: Sequence[str]
) -> list[dict[str, Json]]:
    """The address pools that the flags mean: each range, gateway and reserved address goes to the subnet that it lies
    in. Raises: InvalidArgument."""
    if len(subnets) < max(len(ranges), len(gateways)):
        raise InvalidArgument("every ip-range or gateway must have a corresponding subnet", fix="give --subnet too")
    networks = {subnet: _network(subnet) for subnet in subnets}
    _refuse_overlaps(list(networks.values()))
    found: dict[str, dict[str, Json]] = {subnet: {"Subnet": subnet} for subnet in subnets}
    for name, plural, values in (("IPRange", "ranges", ranges), ("Gateway", "gateways", gateways)):
        for value in values:
            pool = found[_subnet_of(value, networks)]
            if name in pool:
                raise InvalidArgument(f"cannot configure multiple {plural} on one subnet")
            pool[name] = value
    for text in reserved:
        host, equals, address = text.partition("=")
        if not equals:
            raise InvalidArgument(f"invalid --aux-address '{text}'", fix="write NAME=ADDRESS")
        known = found[_subnet_of(address, networks)].setdefault("AuxiliaryAddresses", {})
        assert isinstance(known, dict)
        known[host] = address
    return list(found.values())


def _network(text: str) -> IPv4Network | IPv6Network:
    try:
        return ip_network(text, strict=False)
    except ValueError as error:
        raise InvalidArgument(f"invalid subnet {text}", why=str(error), fix="write it like 10.1.0.0/16") from None


def _refuse_overlaps(networks: Sequence[IPv4Network | IPv6Network]) -> None:
    spans = sorted((net.version, int(net.network_address), int(net.broadcast_address)) for net in networks)
    for (version, _, last), (other, first, _) in pairwise(spans):
        if version == other and first <= last:
            raise InvalidArgument("multiple overlapping subnet configuration is not supported")


def _subnet_of(value: str, networks: Mapping[str, IPv4Network | IPv6Network]) -> str:
    try:
        address = ip_address(value.partition("/")[0])
    except ValueError as error:
        raise InvalidArgument(f"invalid address {value}", why=str(error)) from None
    for subnet, network in networks.items():
        if address in network:
            return subnet
    raise InvalidArgument(f"no matching subnet for {value}", fix="give the --subnet that it lies in")
