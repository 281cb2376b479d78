"""What this version of shoal does not do for a container yet, which is refused. Pure."""

from __future__ import annotations

from shoal.api.container import ContainerCreateRequest
from shoal.errors import InvalidArgument, Unsupported

_BUILT_IN = ("", "default", "bridge", "host", "none")


def check_served(request: ContainerCreateRequest) -> None:
    """Raises: Unsupported for what is to come, InvalidArgument, in Docker's words, for what never will."""
    host = request.host_config
    if host.isolation == "vm":
        raise Unsupported("isolation 'vm' is not served yet", fix="leave --isolation out")
    if host.isolation not in ("", "default"):
        raise InvalidArgument(f"invalid isolation '{host.isolation}' on linux")
    if host.runtime not in ("", "shoal"):
        raise InvalidArgument(f"unknown or invalid runtime name: {host.runtime}")
    if host.device_requests:
        wanted = host.device_requests[0]
        capabilities = "[" + " ".join(f"[{' '.join(group)}]" for group in wanted.capabilities) + "]"
        raise InvalidArgument(f'could not select device driver "{wanted.driver}" with capabilities: {capabilities}')
    if host.storage_opt:
        raise InvalidArgument("--storage-opt is not supported", why="overlay has no quota of its own")
    for endpoint in request.networking_config.endpoints_config.values():
        if endpoint.ipam_config and endpoint.ipam_config.ipv4_address and host.network_mode in _BUILT_IN:
            raise InvalidArgument("user specified IP address is supported on user defined networks only")
    if host.links:
        raise Unsupported("--link is not served yet", fix="use --add-host NAME:ADDRESS")
    for mount in host.mounts:
        if mount.type in ("image", "cluster"):
            raise Unsupported(f"mounts of type {mount.type!r} are not served yet", fix="use type=bind or type=tmpfs")
