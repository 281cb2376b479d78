"""Which isolation a container gets, what a machine is given, and what has no meaning in one."""

from __future__ import annotations

import pytest

from shoal.api.container import ContainerCreateRequest
from shoal.api.host_config import DeviceMapping, HostConfig
from shoal.api.network import EndpointIPAMConfig, EndpointSettings, NetworkingConfig
from shoal.engine.container.isolation import check_isolation, decided, machine_size
from shoal.engine.container.unserved import check_served
from shoal.errors import InvalidArgument
from shoal.runtime.driver import MachineSize

MIB = 1 << 20


@pytest.mark.parametrize(
    ("host", "size"),
    [
        (HostConfig(isolation="vm"), MachineSize(512, 1)),
        (HostConfig(isolation="vm", memory=200 * MIB), MachineSize(200, 1)),
        (HostConfig(isolation="vm", nano_cpus=1_500_000_000), MachineSize(512, 2)),
        (HostConfig(isolation="vm", cpu_quota=50_000), MachineSize(512, 1)),
        (HostConfig(isolation="vm", cpu_quota=300_000, cpu_period=100_000), MachineSize(512, 3)),
        (HostConfig(), None),
        (HostConfig(isolation="process"), None),
    ],
)
def test_machine_size_is_what_limits_say(host: HostConfig, size: MachineSize | None) -> None:
    """--memory and --cpus size the machine."""
    assert machine_size(host) == size


@pytest.mark.parametrize(
    ("asked", "default", "isolation"),
    [
        ("", "vm", "vm"),
        ("default", "vm", "vm"),
        ("process", "vm", "process"),
        ("", "default", ""),
        ("vm", "default", "vm"),
    ],
)
def test_decided_isolation_is_the_daemons_where_none_is_named(asked: str, default: str, isolation: str) -> None:
    """`process` names a container where machines are the default."""
    assert decided(HostConfig(isolation=asked), default).isolation == isolation


@pytest.mark.parametrize(
    "host",
    [
        HostConfig(isolation="vm", network_mode="host"),
        HostConfig(isolation="vm", network_mode="container:abc"),
        HostConfig(isolation="vm", pid_mode="host"),
        HostConfig(isolation="vm", ipc_mode="host"),
        HostConfig(isolation="vm", uts_mode="host"),
        HostConfig(isolation="vm", devices=[DeviceMapping(path_on_host="/dev/kvm")]),
        HostConfig(isolation="vm", memory=100 * MIB),
        HostConfig(isolation="hyperv"),
    ],
)
def test_check_isolation_refuses_what_has_no_meaning(host: HostConfig) -> None:
    """In one sentence, with the mend."""
    with pytest.raises(InvalidArgument) as refused:
        check_isolation(host)
    assert refused.value.fix


def test_check_isolation_lets_the_usual_options_pass() -> None:
    """What a container takes, a machine takes."""
    host = HostConfig(isolation="vm", network_mode="bridge", privileged=True, memory=128 * MIB, ipc_mode="private")
    check_isolation(host)


@pytest.mark.parametrize(
    "endpoint",
    [
        EndpointSettings(driver_opts={"com.docker.network.endpoint.sysctls": "net.ipv4.conf.IFNAME.log_martians=1"}),
        EndpointSettings(ipam_config=EndpointIPAMConfig(link_local_ips=["169.254.1.1"])),
    ],
)
def test_check_served_refuses_settings_of_the_hosts_interface(endpoint: EndpointSettings) -> None:
    """They would be set where the guest is not, and silently do nothing."""
    request = ContainerCreateRequest(
        image="busybox",
        host_config=HostConfig(isolation="vm", network_mode="own"),
        networking_config=NetworkingConfig(endpoints_config={"own": endpoint}),
    )
    with pytest.raises(InvalidArgument, match="cannot be used with --isolation vm"):
        check_served(request)
