"""New limits and a new restart policy for a container, on the wire. Docker API v1.50 `ContainerUpdate`."""

from __future__ import annotations

from msgspec import field

from shoal.api.host_config import Resources, RestartPolicy
from shoal.api.wire import Wire


class ContainerUpdateRequest(Resources, kw_only=True):
    """The body of POST /containers/ID/update: what is 0, empty or absent stays as it is."""

    restart_policy: RestartPolicy = field(default_factory=RestartPolicy)


class ContainerUpdateResponse(Wire, kw_only=True):
    """What the engine could not do quite as asked."""

    warnings: list[str] = []
