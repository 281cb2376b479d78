"""What this version of shoal does not do for a container yet, which is refused. Pure."""

from __future__ import annotations

from shoal.api.container import ContainerCreateRequest
from shoal.engine.container.isolation import VM, check_isolation
from shoal.engine.endpoint_options import interface_names, read_endpoint_options
from shoal.errors import InvalidArgument
from shoal.network.files import parse_extra_hosts, parse_server
from shoal.network.ports import OPEN, PUBLISHED_PORTS, check_published_ports, parse_port_bindings

# In place of the host's own address, which only a start needs to know.
_ANY_ADDRESS = "0.0.0.0"
_DEFAULT_NETWORK = "bridge"
_MEANS_DEFAULT = ("", "default")
_BUILT_IN = (_DEFAULT_NETWORK, "host", "none")


def check_served(request: ContainerCreateRequest) -> None:
    """Raises: InvalidArgument, in Docker's words."""
    host = request.host_config
    check_isolation(host)
    if host.runtime not in ("", "shoal"):
        raise InvalidArgument(f"unknown or invalid runtime name: {host.runtime}")
    if host.device_requests:
        wanted = host.device_requests[0]
        capabilities = "[" + " ".join(f"[{' '.join(group)}]" for group in wanted.capabilities) + "]"
        raise InvalidArgument(f'could not select device driver "{wanted.driver}" with capabilities: {capabilities}')
    if host.storage_opt:
        raise InvalidArgument(
            "--storage-opt is supported only for overlay over xfs with 'pquota' mount option",
            fix="leave it out: shoal's storage has no quotas",
        )
    if host.kernel_memory:
        raise InvalidArgument(
            "kernel memory limits are not supported",
            why="Linux ignores them since 5.4",
            fix="use --memory, which counts the kernel's memory for the container too",
        )
    if host.cgroup:
        raise InvalidArgument(f"invalid cgroup mode: {host.cgroup}", fix="use --cgroup-parent or --cgroupns")
    if host.userns_mode not in ("", "host"):
        raise InvalidArgument(f"invalid user namespace mode: {host.userns_mode}", fix="leave it out, or use host")
    parse_port_bindings(host.port_bindings)
    check_published_ports(request.labels.get(PUBLISHED_PORTS, OPEN), f"label {PUBLISHED_PORTS}")
    parse_extra_hosts(host.extra_hosts, _ANY_ADDRESS)
    for server in host.dns:
        parse_server(server)
    _check_networks(request)


def _check_of_machine(request: ContainerCreateRequest) -> None:
    """What is set on the host's end of an interface does not reach a guest."""
    if request.host_config.isolation != VM:
        return
    for endpoint in request.networking_config.endpoints_config.values():
        addresses = endpoint.ipam_config
        for is_asked, option, mend in (
            (read_endpoint_options(endpoint.driver_opts).sysctls, "endpoint.sysctls", "use --sysctl"),
            (addresses is not None and addresses.link_local_ips, "--link-local-ip", "leave it out"),
        ):
            if is_asked:
                raise InvalidArgument(
                    f"{option} cannot be used with --isolation vm", why="the interface is the guest's own", fix=mend
                )


def _check_networks(request: ContainerCreateRequest) -> None:
    """What Docker refuses for its built-in networks."""
    mode, wanted = request.host_config.network_mode, request.networking_config.endpoints_config
    own = _DEFAULT_NETWORK if mode in _MEANS_DEFAULT else mode
    names = {_DEFAULT_NETWORK if name in _MEANS_DEFAULT else name for name in wanted}
    if own.startswith("container:"):
        return
    _check_of_machine(request)
    interface_names([read_endpoint_options(endpoint.driver_opts).interface for endpoint in wanted.values()])
    if names - {own} and ("host" in names | {own} or "none" in names | {own}):
        raise InvalidArgument(
            f"Container cannot be connected to network endpoints: {', '.join(sorted(names | {own}))}",
            fix="host and none go with no other network",
        )
    for endpoint in (endpoint for name, endpoint in wanted.items() if name in (*_BUILT_IN, *_MEANS_DEFAULT)):
        addresses = endpoint.ipam_config
        if addresses and (addresses.ipv4_address or addresses.ipv6_address):
            raise InvalidArgument("user specified IP address is supported on user defined networks only")
        if endpoint.aliases:
            raise InvalidArgument(
                "network-scoped alias is supported only for containers in user defined networks",
                fix="use --link for a name on the default bridge",
            )
