"""Which containers a list shows."""

from __future__ import annotations

from typing import Any

import pytest

from shoal.api.container import ContainerConfig
from shoal.api.filters import Filters
from shoal.api.host_config import HostConfig, PortBinding
from shoal.api.network import EndpointSettings, NetworkingConfig
from shoal.api.options import ListOptions
from shoal.engine.container.listing import select
from shoal.engine.container.record import ContainerRecord, StateRecord
from shoal.engine.container.states import Status
from shoal.engine.container.view import NetworkView
from shoal.engine.health.record import HealthRecord
from shoal.errors import InvalidArgument, NotFound
from shoal.oci.rootfs import PlainRootfs


def _record(number: int, name: str, status: Status, code: int = 0, **host: Any) -> ContainerRecord:
    return ContainerRecord(
        id=f"{number}" * 64,
        name=name,
        created_ns=number,
        image_id=f"sha256:{number % 2}",
        config=ContainerConfig(image="busybox", labels={"tier": name}, exposed_ports={"80/tcp": {}}),
        host_config=HostConfig(network_mode="bridge", **host),
        networking=NetworkingConfig(),
        path="sleep",
        args=["1000"],
        rootfs=PlainRootfs("/nowhere"),
        state=StateRecord(status=status, exit_code=code),
    )


_ALL = [
    _record(1, "web", "running", port_bindings={"80/tcp": [PortBinding(host_port="8080")]}),
    _record(2, "db", "exited", 3, binds=["/srv:/data"]),
    _record(3, "cache", "paused"),
    _record(4, "new", "created"),
]


def _find(ref: str) -> ContainerRecord:
    for record in _ALL:
        if ref in (record.id, record.name):
            return record
    raise NotFound(f"No such container: {ref}")


def _network(record: ContainerRecord) -> NetworkView:
    """As the engine tells it: a container that does not run has no ports."""
    bindings = record.host_config.port_bindings
    ports = {"80/tcp": bindings.get("80/tcp")} if record.is_running else {}
    return NetworkView({"bridge": EndpointSettings(network_id="abcdef")}, ports)


def _names(*, filters: dict[str, list[str]] | None = None, **options: Any) -> list[str]:
    asked = ListOptions(filters=Filters(filters or {}), **options)
    ancestors = {"odd": ["sha256:1"], "even": ["sha256:0"]}
    healths = {_ALL[0].id: HealthRecord(status="healthy")}
    chosen = select(
        _ALL,
        asked,
        find=_find,
        ancestors=lambda ref: ancestors.get(ref, []),
        health=healths.get,
        network=_network,
    )
    return [record.name for record in chosen]


def test_select_plain_shows_what_runs_newest_first() -> None:
    """`docker ps` shows running and paused containers."""
    assert _names() == ["cache", "web"]


def test_select_all_and_limit() -> None:
    """`-a` shows everything, `-n` the newest of everything."""
    assert _names(all=True) == ["new", "cache", "db", "web"]
    assert _names(limit=2) == ["new", "cache"]


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({"status": ["exited"]}, ["db"]),
        ({"status": ["created", "paused"]}, ["new", "cache"]),
        ({"exited": ["3"]}, []),
        ({"exited": ["3"], "status": ["exited"]}, ["db"]),
        ({"name": ["^/?web$"]}, ["web"]),
        ({"name": ["e"]}, ["cache", "web"]),
        ({"id": ["1111"]}, ["web"]),
        ({"id": [""]}, []),
        ({"label": ["tier=web"]}, ["web"]),
        ({"label": ["tier", "tier=db"]}, []),
        ({"before": ["cache"]}, ["web"]),
        ({"since": ["web"]}, ["cache"]),
        ({"ancestor": ["odd"]}, ["cache", "web"]),
        ({"ancestor": ["unknown"]}, []),
        ({"network": ["bridge"]}, ["cache", "web"]),
        ({"network": ["host"]}, []),
        ({"network": ["abc"]}, ["cache", "web"]),
        ({"publish": ["80"]}, []),
        ({"publish": ["8080"]}, ["web"]),
        ({"publish": ["8000-8100/tcp"]}, ["web"]),
        ({"publish": ["8080/udp"]}, []),
        ({"expose": ["80"]}, ["cache", "web"]),
        ({"expose": ["81"], "publish": ["8080"]}, ["web"]),
        ({"health": ["healthy"]}, ["web"]),
        ({"health": ["none", "starting"]}, ["cache"]),
        ({"is-task": ["true"]}, []),
    ],
)
def test_select_filter_chooses(filters: dict[str, list[str]], expected: list[str]) -> None:
    """Each filter of `docker ps` does what its documentation says."""
    assert _names(filters=filters) == expected


def test_select_volume_filter_takes_source_or_destination() -> None:
    """A mount is found from either of its ends."""
    assert _names(all=True, filters={"volume": ["/data"]}) == ["db"]
    assert _names(all=True, filters={"volume": ["/srv"]}) == ["db"]


@pytest.mark.parametrize(
    "filters",
    [
        {"status": ["sleeping"]},
        {"exited": ["zero"]},
        {"publish": ["70000"]},
        {"expose": ["9-1"]},
        {"color": ["red"]},
    ],
)
def test_select_bad_filter_is_refused(filters: dict[str, list[str]]) -> None:
    """A filter or a value that there is not is an error, never an empty list."""
    with pytest.raises(InvalidArgument) as caught:
        _names(filters=filters)
    assert caught.value.what.startswith("invalid filter '")
