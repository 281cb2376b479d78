"""Lists, inspections and prunes of containers: every parameter and filter."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

from tests.conformance.operations.proofs import Api, proves


def make(api: Api, name: str, *command: str, start: bool = True, **config: Any) -> str:
    """The id of a new container, started or not."""
    body = {"Image": "busybox", "Cmd": list(command) or ["sleep", "1000"], **config}
    id = str(api.ok("POST", "/containers/create", name=name, body=body)["Id"])
    if start:
        api.ok("POST", "/containers/{id}/start", name)
    return id


def ready(api: Api, is_so: Callable[[], bool]) -> None:
    """Returns when the engine says so: what a program does comes a little after its start."""
    deadline = time.monotonic() + 20
    while not is_so():
        assert time.monotonic() < deadline, api.engine.log[-2000:]


@pytest.fixture
def some(api: Api) -> dict[str, str]:
    """Containers of every kind that a filter tells apart, by name; each a little younger than the one before."""
    published = {"80/tcp": [{"HostPort": str(api.engine.free_port())}]}
    exposed = {"80/tcp": {}, "53/udp": {}}
    check = {"Test": ["CMD", "true"], "Interval": 100_000_000, "StartPeriod": 0}
    return {
        "web": make(api, "web", ExposedPorts=exposed, HostConfig={"PortBindings": published}, Labels={"tier": "front"}),
        "db": make(api, "db", HostConfig={"Binds": ["data:/data", "/etc:/host:ro"]}, Labels={"tier": "back", "x": ""}),
        "ended": make(api, "ended", "sh", "-c", "exit 3"),
        "alone": make(api, "alone", HostConfig={"NetworkMode": "none"}, Healthcheck=check),
        "new": make(api, "new", start=False),
    }


def names(api: Api, **query: Any) -> list[str]:
    """The names that a list shows, in its order."""
    return [row["Names"][0][1:] for row in api.ok("GET", "/containers/json", **query)]


@proves("ContainerList", "all limit size", statuses="200 400")
def test_list_chooses_by_all_limit_and_size(api: Api, some: dict[str, str]) -> None:
    """Running ones by default, the newest first; with a limit those that do not run count too."""
    api.ok("POST", "/containers/{id}/wait", "ended")
    assert names(api) == ["alone", "db", "web"]
    assert names(api, all=True) == ["new", "alone", "ended", "db", "web"]
    assert names(api, limit=2) == ["new", "alone"]
    assert names(api, limit=-1) == names(api, limit=0) == names(api)
    plain, sized = (api.ok("GET", "/containers/json", size=size)[0] for size in (False, True))
    assert "SizeRootFs" not in plain
    assert sized["SizeRootFs"] > 1_000_000
    assert api.refused("GET", "/containers/json", limit="x")[0] == 400
    assert some


@proves(
    "ContainerList",
    "filters.ancestor filters.before filters.expose filters.exited filters.health filters.id filters.isolation "
    "filters.is-task filters.label filters.name filters.network filters.publish filters.since filters.status "
    "filters.volume",
    statuses="200 400",
)
def test_list_filters_choose(api: Api, some: dict[str, str]) -> None:
    """Each filter that is published, by what it lets through of all containers."""
    api.ok("POST", "/containers/{id}/wait", "ended")
    ready(api, lambda: names(api, all=True, filters={"health": ["healthy"]}) == ["alone"])
    everything = ["new", "alone", "ended", "db", "web"]
    bridge = api.ok("GET", "/networks/{id}", "bridge")["Id"]
    image = api.ok("GET", "/images/{name}/json", "busybox")["Id"]
    port = api.ok("GET", "/containers/{id}/json", "web")["NetworkSettings"]["Ports"]["80/tcp"][0]["HostPort"]
    chosen: list[tuple[dict[str, list[str]], list[str]]] = [
        ({"ancestor": ["busybox"]}, everything),
        ({"ancestor": [image]}, everything),
        ({"ancestor": ["nothing"]}, []),
        ({"before": ["ended"]}, ["db", "web"]),
        ({"since": [some["ended"]]}, ["new", "alone"]),
        ({"expose": ["80/tcp"]}, ["web"]),
        ({"expose": ["50-60/udp"]}, ["web"]),
        ({"publish": [port]}, ["web"]),
        ({"publish": ["80"]}, []),
        ({"exited": ["3"]}, ["ended"]),
        ({"exited": ["0"]}, []),
        ({"health": ["none"]}, ["new", "ended", "db", "web"]),
        ({"id": [some["db"][:8]]}, ["db"]),
        ({"isolation": ["default"]}, everything),
        ({"is-task": ["true"]}, []),
        ({"is-task": ["false"]}, everything),
        ({"label": ["tier"]}, ["db", "web"]),
        ({"label": ["tier=back", "x"]}, ["db"]),
        ({"name": ["^/?e"]}, ["ended"]),
        ({"network": ["none"]}, ["alone"]),
        ({"network": [bridge[:10]]}, ["ended", "db", "web"]),
        ({"status": ["created", "exited"]}, ["new", "ended"]),
        ({"volume": ["data"]}, ["db"]),
        ({"volume": ["/host"]}, ["db"]),
        ({"volume": ["/etc"]}, ["db"]),
        ({"label": ["tier"], "volume": ["/data"]}, ["db"]),
    ]
    assert [(asked, names(api, all=True, filters=asked)) for asked, _ in chosen] == chosen
    for refused in ({"status": ["x"]}, {"health": ["x"]}, {"exited": ["x"]}, {"publish": ["x"]}, {"nothing": ["x"]}):
        assert api.refused("GET", "/containers/json", filters=refused)[0] == 400


@proves("ContainerInspect", "size", statuses="200 404")
def test_inspect_by_name_id_and_beginning(api: Api, some: dict[str, str]) -> None:
    """All names of a container lead to it; sizes are there when asked for."""
    for name in ("web", "/web", some["web"], some["web"][:12]):
        assert api.ok("GET", "/containers/{id}/json", name)["Id"] == some["web"]
    sized = api.ok("GET", "/containers/{id}/json", "web", size=True)
    assert sized["SizeRootFs"] >= sized["SizeRw"] >= 0
    assert api.refused("GET", "/containers/{id}/json", "none") == (404, "No such container: none")


@proves("ContainerPrune", "filters.until filters.label filters.label!", statuses="200")
def test_prune_takes_what_does_not_run(api: Api, some: dict[str, str]) -> None:
    """What the filters let through goes, with its name in the answer; what runs stays."""
    api.ok("POST", "/containers/{id}/wait", "ended")
    make(api, "keep", start=False, Labels={"keep": "1"})
    assert api.ok("POST", "/containers/prune", filters={"until": ["1h"]})["ContainersDeleted"] is None
    pruned = api.ok("POST", "/containers/prune", filters={"label!": ["keep"]})
    assert sorted(pruned["ContainersDeleted"]) == sorted([some["ended"], some["new"]])
    assert len(api.ok("POST", "/containers/prune", filters={"label": ["keep=1"]})["ContainersDeleted"]) == 1
    assert names(api, all=True) == ["alone", "db", "web"]
