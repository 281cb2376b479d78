"""A network of a user's own: what was asked for. Pure data."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class NetworkDefinition:
    """What `docker network create` said. `reserved` are the auxiliary addresses by name; "" where nothing was said.

    `subnet6` to `reserved6` are the same for IPv6, which only networks with `ipv6` have; `ipv4` is off where there is
    nothing else.
    """

    id: str
    name: str
    created_ns: int
    driver: str = "bridge"
    subnet: str = ""
    gateway: str = ""
    ip_range: str = ""
    reserved: dict[str, str] = field(default_factory=dict)
    ipv4: bool = True
    ipv6: bool = False
    subnet6: str = ""
    gateway6: str = ""
    ip_range6: str = ""
    reserved6: dict[str, str] = field(default_factory=dict)
    internal: bool = False
    attachable: bool = False
    options: dict[str, str] = field(default_factory=dict)
    labels: dict[str, str] = field(default_factory=dict)
    ipam_options: dict[str, str] = field(default_factory=dict)

    def to_data(self) -> dict[str, Any]:
        """As plain data, for the database."""
        return asdict(self)

    @classmethod
    def from_data(cls, data: dict[str, Any]) -> NetworkDefinition:
        """What `to_data` gave."""
        return cls(**data)
