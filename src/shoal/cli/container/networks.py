"""`--network`, and the flags about a container's place in it, as the API's NetworkMode and EndpointsConfig. Pure."""

from __future__ import annotations

from shoal.errors import InvalidArgument

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from shoal.client.document import Json

_DEFAULT = "default"
_BUILT_IN = (_DEFAULT, "bridge", "host", "none")
# Keys of `--network name=…,KEY=…`, and the flag that says the same for the first network.
_KEYS = {
    "alias": "--network-alias",
    "ip": "--ip",
    "ip6": "--ip6",
    "mac-address": "--mac-address",
    "link-local-ip": "--link-local-ip",
}


class Network:
    """One network to join, and what is asked of it: `texts` by the keys of `--network`, options of its driver."""

    __slots__ = ("driver_options", "name", "priority", "texts")

    def __init__(self, name: str) -> None:
        self.name = name
        self.texts: dict[str, list[str]] = {}
        self.driver_options: dict[str, Json] = {}
        self.priority = 0

    @property
    def is_users(self) -> bool:
        """Whether a user has made it."""
        return self.name not in _BUILT_IN and not self.name.startswith("container:")

    def add(self, key: str, values: Sequence[str]) -> None:
        """What a flag asks of the first network. Raises: InvalidArgument when it was asked both ways."""
        if values and self.texts.get(key):
            what = "alias" if key == "alias" else f"{key.replace('-', ' ')} address" if key.startswith("ip") else key
            raise InvalidArgument(f"conflicting options: cannot specify both {_KEYS[key]} and per-network {what}")
        if values:
            self.texts[key] = list(values)

    def endpoint(self) -> dict[str, Json]:
        """The API's EndpointSettings. Raises: InvalidArgument in Docker's words."""
        aliases = self.texts.get("alias", [])
        if aliases and not self.is_users:
            raise InvalidArgument("network-scoped aliases are only supported for user-defined networks")
        settings: dict[str, Json] = {"Aliases": list(aliases)} if aliases else {}
        addresses: dict[str, Json] = {}
        for key, name in (("ip", "IPv4Address"), ("ip6", "IPv6Address")):
            if self.texts.get(key):
                addresses[name] = self.texts[key][-1]
        if self.texts.get("link-local-ip"):
            addresses["LinkLocalIPs"] = list(self.texts["link-local-ip"])
        if addresses:
            settings["IPAMConfig"] = addresses
        if self.texts.get("mac-address"):
            settings["MacAddress"] = _mac(self.texts["mac-address"][-1])
        if self.driver_options:
            settings["DriverOpts"] = dict(self.driver_options)
        if self.priority:
            settings["GwPriority"] = self.priority
        return settings


def parse_networks(texts: Sequence[str]) -> list[Network]:
    """The networks of `--network`, the default one where there is none.

    Raises: InvalidArgument in Docker's words.
    """
    networks = [_parse(text) for text in texts] or [Network(_DEFAULT)]
    seen: set[str] = set()
    for network in networks:
        if network.name in seen:
            raise InvalidArgument(f'network "{network.name}" is specified multiple times')
        seen.add(network.name)
    if len(networks) > 1 and len({network.is_users for network in networks}) > 1:
        raise InvalidArgument("conflicting options: cannot attach both user-defined and non-user-defined network-modes")
    return networks


def _parse(text: str) -> Network:
    if "=" not in text:
        return Network(text)
    network = Network("")
    for field in text.split(","):
        key, equals, value = field.partition("=")
        key = key.strip().lower()
        if not equals:
            raise InvalidArgument(f"invalid field {field}")
        if key == "name":
            network.name = value
        elif key in _KEYS:
            network.texts.setdefault(key, []).append(value)
        elif key == "driver-opt":
            name, _, option = value.partition("=")
            network.driver_options[name.strip().lower()] = option
        elif key == "gw-priority":
            network.priority = _priority(value)
        else:
            raise InvalidArgument(f"invalid field key {key}")
    if not network.name:
        raise InvalidArgument("network name/id is not specified")
    return network


def _priority(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise InvalidArgument(f"invalid gw-priority ({text}): invalid syntax") from None


def _mac(text: str) -> str:
    """The address. Raises: InvalidArgument in Docker's words."""
    parts = text.strip().replace("-", ":").split(":")
    if len(parts) not in (6, 8, 20) or any(len(part) != 2 or not _is_hex(part) for part in parts):
        raise InvalidArgument(f"{text} is not a valid mac address")
    return text


def _is_hex(text: str) -> bool:
    return all(letter in "0123456789abcdefABCDEF" for letter in text)
