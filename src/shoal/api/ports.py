"""Ports changed on a container that exists: an addition of shoal's, POST /containers/ID/ports."""

from __future__ import annotations

from shoal.api.host_config import PortBinding
from shoal.api.wire import Wire


class PortsChange(Wire, kw_only=True):
    """What to take away, then what to publish besides: port maps as in `HostConfig.PortBindings`.

    No binding at all for a port in `remove` means every one that it has.
    """

    add: dict[str, list[PortBinding]] = {}
    remove: dict[str, list[PortBinding] | None] = {}


class PortsChanged(Wire, kw_only=True):
    """The ports as they are now: published ones where it runs, else what its next start publishes."""

    ports: dict[str, list[PortBinding] | None] = {}
