"""Volumes, and the engine about itself: every parameter, filter and status."""

from __future__ import annotations

import json
import time
from typing import Any

from tests.conformance.operations.proofs import Api, proves
from tests.conformance.operations.test_container_lists import make, ready


def volumes(api: Api, **filters: list[str]) -> list[str]:
    """The names of the volumes that a list shows."""
    return [volume["Name"] for volume in api.ok("GET", "/volumes", filters=filters)["Volumes"]]


@proves("VolumeCreate", "body.Name body.Driver body.DriverOpts body.Labels body.ClusterVolumeSpec", statuses="201")
@proves("VolumeInspect", statuses="200 404")
@proves("VolumeList", "filters.dangling filters.driver filters.label filters.name", statuses="200")
@proves("VolumeDelete", "force", statuses="204 404 409")
@proves("VolumePrune", "filters.label filters.label! filters.all", statuses="200")
def test_volumes_from_create_to_prune(api: Api) -> None:
    """Made with labels and options, found by each filter, kept while a container has them, pruned by label."""
    options = {"type": "tmpfs", "device": "tmpfs", "o": "size=1m"}
    made = api.ok("POST", "/volumes/create", body={"Name": "memory", "Driver": "local", "DriverOpts": options})
    assert made["Options"] == options
    # Without a swarm the reference makes a plain volume of it.
    assert api.ok("POST", "/volumes/create", body={"Name": "plain", "ClusterVolumeSpec": {}})["Scope"] == "local"
    api.ok("DELETE", "/volumes/{name}", "plain")
    for name, labels in (("data", {"keep": "1"}), ("spare", {"drop": ""}), ("used", {})):
        api.ok("POST", "/volumes/create", body={"Name": name, "Labels": labels})
    make(api, "it", start=False, HostConfig={"Binds": ["used:/data"]})
    assert api.ok("GET", "/volumes/{name}", "data")["Labels"] == {"keep": "1"}
    assert volumes(api) == ["data", "memory", "spare", "used"]
    assert volumes(api, dangling=["true"]) == ["data", "memory", "spare"]
    assert volumes(api, dangling=["0"]) == ["used"]
    assert volumes(api, driver=["local"], name=["^d"]) == ["data"]
    assert volumes(api, driver=["other"]) == []
    assert volumes(api, label=["keep=1"]) == ["data"]
    assert api.refused("DELETE", "/volumes/{name}", "used", force=True)[0] == 409
    assert api.refused("DELETE", "/volumes/{name}", "none")[0] == 404
    assert api.ask("DELETE", "/volumes/{name}", "none", force=True).status == 204
    assert api.refused("GET", "/volumes/{name}", "none") == (404, "get none: no such volume")
    assert api.ok("POST", "/volumes/prune")["VolumesDeleted"] is None  # none of them is anonymous
    everything = {"all": ["true"]}
    assert api.ok("POST", "/volumes/prune", filters={**everything, "label": ["drop"]})["VolumesDeleted"] == ["spare"]
    assert api.ok("POST", "/volumes/prune", filters={**everything, "label!": ["keep"]})["VolumesDeleted"] is None
    assert api.ok("POST", "/volumes/prune", filters=everything)["VolumesDeleted"] == ["data"]
    assert volumes(api) == ["memory", "used"]


@proves("SystemInfo", statuses="200")
@proves("SystemVersion", statuses="200")
@proves("SystemPing", statuses="200")
@proves("SystemPingHead", statuses="200")
def test_engine_about_itself(api: Api) -> None:
    """Counts are true, versions agree, the ping says which API it is."""
    make(api, "it")
    make(api, "idle", start=False)
    info, version = api.ok("GET", "/info"), api.ok("GET", "/version")
    counts = [info[f"Containers{state}"] for state in ("", "Running", "Paused", "Stopped")]
    assert (counts, info["Images"]) == ([2, 1, 0, 1], 1)
    assert version["Components"][0]["Details"]["ApiVersion"] == version["ApiVersion"] == "1.50"
    assert info["ServerVersion"] == version["Version"]
    get, head = (api.ask(method, "/_ping") for method in ("GET", "HEAD"))
    assert (get.body, head.body, head.headers["content-length"]) == (b"OK", b"", "0")
    assert get.headers["api-version"] == head.headers["api-version"] == "1.50"


def test_engine_about_itself_to_older_clients(api: Api) -> None:
    """Fields come and go with the client's version, as the reference has them."""
    seen = {minor: api.ok("GET", "/info", version=f"/v1.{minor}") for minor in (24, 41, 48, 50)}
    assert ["FirewallBackend" in seen[minor] for minor in (48, 50)] == [False, True]
    assert ["KernelMemory" in seen[minor] for minor in (41, 48)] == [True, False]
    assert ["BridgeNfIptables" in seen[minor] for minor in (48, 50)] == [True, False]
    assert ["Expected" in seen[minor]["RuncCommit"] for minor in (48, 50)] == [True, False]
    assert seen[24]["SecurityOptions"][0] == "seccomp"
    df = {minor: api.ok("GET", "/system/df", version=f"/v1.{minor}") for minor in (41, 42)}
    assert ["BuilderSize" in df[minor] for minor in (41, 42)] == [True, False]
    row = {minor: api.ok("GET", "/containers/json", version=f"/v1.{minor}", all=True) for minor in (45, 50)}
    assert row == {45: [], 50: []}


@proves("SystemDataUsage", "type", statuses="200")
def test_disk_usage_is_true(api: Api) -> None:
    """What a container and a volume have written is what is told, and only of the kinds that are asked for."""
    script = "dd if=/dev/zero of=/big bs=1M count=3; dd if=/dev/zero of=/data/big bs=1M count=2; exec sleep 1000"
    make(api, "it", "sh", "-c", script, HostConfig={"Binds": ["data:/data"]})

    def usage() -> tuple[int, int]:
        told = api.ok("GET", "/system/df")
        return told["Containers"][0]["SizeRw"] >> 20, told["Volumes"][0]["UsageData"]["Size"] >> 20

    ready(api, lambda: usage() == (3, 2))
    told = api.ok("GET", "/system/df")
    assert told["Volumes"][0]["UsageData"]["RefCount"] == 1
    assert told["Images"][0]["Containers"] == 1
    assert told["LayersSize"] == told["Images"][0]["Size"] == api.ok("GET", "/images/{name}/json", "busybox")["Size"]
    chosen = api.ok("GET", "/system/df", type=["volume", "image"])
    assert (chosen["Containers"], len(chosen["Volumes"]), len(chosen["Images"])) == (None, 1, 1)


def events(api: Api, since: float, **filters: list[str]) -> list[str]:
    """What is told from a moment to now, as `TYPE ACTION`."""
    bounds = {"since": f"{since:.9f}", "until": f"{time.time() + 0.01:.9f}"}
    answer = api.ask("GET", "/events", **bounds, **({"filters": filters} if filters else {}))
    assert answer.status == 200
    told = [json.loads(line) for line in answer.body.splitlines()]
    for event in told:
        assert api.unknown(api.description.of_definition("EventMessage", event)) == []
    return [f"{event['Type']} {event['Action'].partition(':')[0]}" for event in told]


@proves(
    "SystemEvents",
    "since until filters.config filters.container filters.daemon filters.event filters.image filters.label "
    "filters.network filters.node filters.plugin filters.scope filters.secret filters.service filters.type "
    "filters.volume",
    statuses="200 400",
)
def test_events_filters(api: Api) -> None:
    """Each filter chooses; swarm's objects have no events here."""
    since = time.time()
    make(api, "it", Labels={"color": "red"}, HostConfig={"Binds": ["data:/data"]})
    make(api, "other", start=False)
    assert events(api, since, container=["it"]) == ["container create", "container start"]
    assert events(api, since, event=["create"], type=["container"]) == ["container create"] * 2
    assert events(api, since, label=["color=red"]) == ["container create", "container start"]
    assert events(api, since, image=["busybox"], event=["start"]) == ["container start"]
    assert events(api, since, network=["bridge"]) == ["network connect"]
    assert events(api, since, volume=["data"]) == ["volume create", "volume mount"]
    assert events(api, since, scope=["local"]) == events(api, since)
    assert events(api, since, scope=["swarm"]) == []
    for absent in ("config", "daemon", "node", "plugin", "secret", "service"):
        assert events(api, since, **{absent: ["x"]}) == []
    assert api.refused("GET", "/events", since="2", until="1")[0] == 400
    assert api.refused("GET", "/events", since="x")[0] == 400


def test_events_of_every_verb(api: Api) -> None:
    """What the reference tells of containers and volumes, in order."""
    since = time.time()
    make(api, "it", Tty=True, HostConfig={"Binds": ["data:/data"]})

    def post(what: str, **more: Any) -> None:
        api.ok("POST", f"/containers/{{id}}/{what}", "it", **more)

    post("resize", h=1, w=1)
    api.ok("GET", "/containers/{id}/top", "it")
    id = api.ok("POST", "/containers/{id}/exec", "it", body={"Cmd": ["true"]})["Id"]
    api.ok("POST", "/exec/{id}/start", id, body={"Detach": True})
    ready(api, lambda: not api.ok("GET", "/exec/{id}/json", id)["Running"])
    post("update", body={"PidsLimit": 100})
    post("pause")
    post("unpause")
    api.ask("GET", "/containers/{id}/export", "it")
    post("kill")
    post("wait")
    api.ok("DELETE", "/containers/{id}", "it")
    api.ok("DELETE", "/volumes/{name}", "data")
    for kind in ("containers", "volumes", "networks", "images", "build"):
        api.ok("POST", f"/{kind}/prune")
    assert events(api, since) == [
        *("volume create", "container create", "network connect", "volume mount", "container start"),
        *("container resize", "container top", "container exec_create", "container exec_start", "container exec_die"),
        *("container update", "container pause", "container unpause", "container export", "container kill"),
        *("container die", "network disconnect", "volume unmount", "container destroy", "volume destroy"),
        *("container prune", "volume prune", "network prune", "image prune", "builder prune"),
    ]
