"""What older versions of the API did not know."""

from __future__ import annotations

from typing import Any

import pytest

from shoal.api.container import ContainerCreateRequest
from shoal.api.gates import gate_create, gate_update
from shoal.api.update import ContainerUpdateRequest
from shoal.api.version import MAXIMUM, ApiVersion
from shoal.api.wire import decode, encode
from shoal.errors import InvalidArgument

WHOLE: dict[str, Any] = {
    "Image": "busybox",
    "Healthcheck": {"Test": ["CMD", "true"], "StartInterval": 5},
    "HostConfig": {
        "AutoRemove": True,
        "KernelMemoryTCP": 1,
        "ConsoleSize": [1, 2],
        "Annotations": {"a": "b"},
        "Mounts": [
            {"Type": "bind", "Source": "/a", "Target": "/b", "ReadOnly": True, "BindOptions": {"NonRecursive": True}},
            {"Type": "volume", "Source": "v", "Target": "/c", "VolumeOptions": {"Subpath": "s"}},
        ],
    },
    "NetworkingConfig": {"EndpointsConfig": {"one": {"GwPriority": 3}}},
}


def gated(minor: int) -> ContainerCreateRequest:
    """The whole request as a version of the API takes it."""
    request = decode(encode(WHOLE), ContainerCreateRequest)
    gate_create(request, ApiVersion(1, minor))
    return request


def test_create_of_the_newest_version_keeps_everything() -> None:
    """Nothing is taken out of a request that may have it all."""
    assert gated(50) == decode(encode(WHOLE), ContainerCreateRequest)


@pytest.mark.parametrize(
    ("since", "read", "before"),
    [
        (25, lambda r: r.host_config.auto_remove, False),
        (40, lambda r: r.host_config.kernel_memory_tcp, 0),
        (40, lambda r: r.host_config.ipc_mode, "shareable"),
        (40, lambda r: r.host_config.mounts[0].bind_options.non_recursive, False),
        (41, lambda r: r.host_config.cgroupns_mode, "host"),
        (42, lambda r: r.host_config.console_size, [0, 0]),
        (43, lambda r: r.host_config.annotations, {}),
        (44, lambda r: r.healthcheck.start_interval, 0),
        (44, lambda r: r.host_config.mounts[0].bind_options.read_only_non_recursive, True),
        (45, lambda r: r.host_config.mounts[1].volume_options.subpath, ""),
        (48, lambda r: r.networking_config.endpoints_config["one"].gw_priority, 0),
    ],
)
def test_create_field_counts_from_its_version_on(since: int, read: Any, before: object) -> None:
    """Each field does nothing in the version before the one that brought it."""
    assert read(gated(since - 1)) == before
    assert read(gated(since)) == read(gated(50)) != before


def test_create_in_several_networks_is_refused_before_they_came() -> None:
    """API 1.44 brought them; up to then the reference refused, naming them."""
    request = ContainerCreateRequest(image="busybox")
    request.networking_config.endpoints_config = dict.fromkeys(("b", "a"))  # type: ignore[dict-item]
    with pytest.raises(InvalidArgument, match="multiple network endpoints: a, b"):
        gate_create(request, ApiVersion(1, 43))


def test_update_of_pids_counts_from_its_version_on() -> None:
    """API 1.40 brought it."""
    old, new = (ContainerUpdateRequest(pids_limit=5) for _ in range(2))
    gate_update(old, ApiVersion(1, 39))
    gate_update(new, MAXIMUM)
    assert (old.pids_limit, new.pids_limit) == (None, 5)
