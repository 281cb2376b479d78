"""What shoald answers against the published description of the API: names, types, required fields, nulls, enums.

One of everything is made, and each answer is held against its Swagger definition. Docker's own answers break the
description in places: where shoald does so in the same way, it is on the list below with the reason.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator

import pytest

from tests.engines import busybox
from tests.engines.engine import Engine
from tests.engines.shoald import Shoald
from tests.engines.swagger import Description, description_path

# Problems that are Docker's too: a regular expression, and why the answer is right all the same.
KNOWN: dict[str, str] = {
    r"\.ImageData\.UnpackedSize is missing": "required and not described: it is in Size",
    r"\$\.Plugins\.Authorization is null": "no plugin of the kind",
    r"\$\.(GenericResources|Warnings) is null": "an absent list",
    r"HostConfig\.(MemorySwappiness|OomKillDisable) is null": "as the kernel has it",
    r"Config\.Entrypoint is null": "null and [] differ: none, and one that was taken away",
    r"Networks\.\w+\.(Links|Aliases|DNSNames) is null": "an absent list",
    r"\$(\[\d+\]|\.Images\[\d+\])\.Labels is null": "an image without labels",
    r"\$(\.Volumes\[\d+\])?\.(Labels|Options) is null": "a volume without labels or options",
    r"\$\.(Images|Containers|Volumes|Networks|Caches)Deleted is null": "nothing was removed",
    r"\$\.State\.Ended is not published": "shoal's own: what ended the container",
    r"GET /system/df: \$\.\w+ is null": "a kind that was not asked for",
    r"GraphDriver\.Data is null": "as with containerd's image store",
    r"\.IPAM\.Options is null": "an absent map",
    r"GET /exec/\{id\}/json: \$\.ExitCode is null": "not ended yet",
    r"EventMessage: \$\.(status|id|from) is not published": "the fields of API 1.21, still sent and still read",
}

FULL = {
    "Image": busybox.IMAGE,
    "Cmd": ["sleep", "1000"],
    "Labels": {"purpose": "schema"},
    "ExposedPorts": {"80/tcp": {}, "53/udp": {}},
    "Healthcheck": {"Test": ["NONE"]},
    "Volumes": {"/anonymous": {}},
    "HostConfig": {
        "Binds": ["/etc:/host:ro", "data:/data"],
        "Mounts": [{"Type": "tmpfs", "Target": "/scratch"}],
        "Tmpfs": {"/run": "size=1m"},
        "PortBindings": {"80/tcp": [{"HostPort": ""}]},
        "Memory": 64 << 20,
        "PidsLimit": 100,
        "Ulimits": [{"Name": "nofile", "Soft": 1000, "Hard": 1000}],
        "CapAdd": ["NET_ADMIN"],
        "ExtraHosts": ["elsewhere:192.0.2.1"],
        "RestartPolicy": {"Name": "on-failure", "MaximumRetryCount": 1},
        "LogConfig": {"Type": "json-file", "Config": {"max-size": "1m"}},
    },
}

Ask = Callable[..., object]


@pytest.fixture(scope="module")
def description() -> Description:
    """The published description, where this machine has it."""
    path = description_path()
    if not path.exists():
        pytest.skip(f"no description of the Docker API at {path}; set SHOAL_REFERENCE to the directory that has it")
    return Description(path)


@pytest.fixture(scope="module")
def shoald() -> Iterator[Engine]:
    """A shoald with one container of each state, one image, and their events."""
    engine = Shoald()
    try:
        engine.start()
        engine.import_busybox()
        for name, body in (("full", FULL), ("plain", {"Image": busybox.IMAGE}), ("ended", {**FULL, "Cmd": ["true"]})):
            assert engine.request("POST", f"/containers/create?name={name}", body).status == 201
        for name in ("full", "ended"):
            assert engine.request("POST", f"/containers/{name}/start").status == 204
        assert engine.request("POST", "/containers/ended/wait").json["StatusCode"] == 0
        yield engine
    finally:
        engine.close()


def unknown(problems: list[str]) -> list[str]:
    """The problems that are not on the list."""
    return [problem for problem in problems if not any(re.search(known, problem) for known in KNOWN)]


@pytest.fixture
def ask(shoald: Engine, description: Description) -> Ask:
    """Sends a request to the place of a path template, asserts that the answer fits, and gives its JSON."""

    def send(method: str, template: str, name: str = "", *, query: str = "", body: object = None) -> object:
        path = re.sub(r"\{\w+\}", name, template)
        answer = shoald.request(method, path + (f"?{query}" if query else ""), body)
        assert unknown(description.problems(method, template, answer.status, answer.json)) == []
        return answer.json

    return send


@pytest.mark.parametrize(
    ("path", "query"),
    [
        ("/version", ""),
        ("/info", ""),
        ("/system/df", ""),
        ("/containers/json", "all=1&size=1"),
        ("/images/json", "shared-size=1"),
        ("/networks", ""),
        ("/volumes", ""),
        ("/plugins", ""),
    ],
)
def test_whole_answer_fits_its_definition(ask: Ask, path: str, query: str) -> None:
    """Lists and the engine's own answers have the published names and types."""
    ask("GET", path, query=query)


@pytest.mark.parametrize("name", ["full", "plain", "ended"])
def test_container_inspect_fits_its_definition(ask: Ask, name: str) -> None:
    """Whether it runs, has ended or was never started."""
    ask("GET", "/containers/{id}/json", name, query="size=1")


@pytest.mark.parametrize(
    ("template", "name"),
    [
        ("/images/{name}/json", busybox.IMAGE),
        ("/images/{name}/history", busybox.IMAGE),
        ("/networks/{id}", "bridge"),
        ("/networks/{id}", "host"),
        ("/networks/{id}", "none"),
        ("/volumes/{name}", "data"),
    ],
)
def test_inspect_fits_its_definition(ask: Ask, template: str, name: str) -> None:
    """Images, networks and volumes."""
    ask("GET", template, name)


def test_create_and_remove_image_fit_their_definitions(ask: Ask, shoald: Engine) -> None:
    """What POST and DELETE say of the objects that they make and take away."""
    created = ask("POST", "/containers/create", query="name=other", body={"Image": busybox.IMAGE})
    assert isinstance(created, dict)
    assert shoald.request("DELETE", f"/containers/{created['Id']}").status == 204
    assert shoald.request("POST", f"/images/{busybox.IMAGE}/tag?repo=again").status == 201
    assert ask("DELETE", "/images/{name}", "again") == [{"Untagged": "again:latest"}]
    ask("POST", "/images/prune")


def test_create_and_prune_volumes_fit_their_definitions(ask: Ask) -> None:
    """With labels and options, and without; the prune tells names and bytes."""
    ask("POST", "/volumes/create", body={"Name": "bare"})
    options = {"type": "tmpfs", "device": "tmpfs", "o": "size=1m"}
    ask("POST", "/volumes/create", body={"Name": "whole", "Labels": {"a": "b"}, "DriverOpts": options})
    ask("GET", "/system/df")
    pruned = ask("POST", "/volumes/prune", query='filters={"all":["true"]}')
    assert isinstance(pruned, dict)
    assert pruned["VolumesDeleted"] == ["bare"]  # what has options of its own stays
    ask("POST", "/volumes/prune")


def test_image_inspect_of_older_versions_has_the_virtual_size(shoald: Engine) -> None:
    """Up to API 1.43 the size is there twice; since 1.44 once."""
    old, new = (shoald.request("GET", f"/v1.{minor}/images/{busybox.IMAGE}/json").json for minor in (43, 44))
    assert old["VirtualSize"] == old["Size"] == new["Size"]
    assert "VirtualSize" not in new


def test_network_of_an_ended_container_is_still_told(shoald: Engine) -> None:
    """The network's id stays when the container has ended; its address and endpoint do not."""
    network = shoald.request("GET", "/networks/bridge").json["Id"]
    place = shoald.request("GET", "/containers/ended/json").json["NetworkSettings"]["Networks"]["bridge"]
    assert (place["NetworkID"], place["EndpointID"], place["IPAddress"]) == (network, "", "")
    running = shoald.request("GET", "/containers/full/json").json["NetworkSettings"]["Networks"]["bridge"]
    assert running["DNSNames"] is None  # the default bridge resolves no names


def test_exec_fits_its_definition(ask: Ask, shoald: Engine) -> None:
    """Before its start and after its end."""
    created = ask("POST", "/containers/{id}/exec", "full", body={"Cmd": ["true"]})
    assert isinstance(created, dict)
    ask("GET", "/exec/{id}/json", created["Id"])
    assert shoald.request("POST", f"/exec/{created['Id']}/start", {"Detach": True}).status == 200
    deadline = time.monotonic() + 10
    while shoald.request("GET", f"/exec/{created['Id']}/json").json["Running"]:
        assert time.monotonic() < deadline
    ask("GET", "/exec/{id}/json", created["Id"])


@pytest.mark.parametrize(
    ("template", "query"),
    [
        ("/containers/{id}/top", ""),
        ("/containers/{id}/changes", ""),
        ("/containers/{id}/stats", "stream=0&one-shot=1"),
    ],
)
def test_look_at_a_running_container_fits_its_definition(ask: Ask, template: str, query: str) -> None:
    """Its processes, its changes, and what it uses."""
    ask("GET", template, "full", query=query)


def test_update_and_prune_fit_their_definitions(ask: Ask) -> None:
    """What changed limits and a prune that finds nothing answer."""
    ask("POST", "/containers/{id}/update", "full", body={"PidsLimit": 90})
    ask("POST", "/containers/prune", query="filters=%7B%22until%22%3A%5B%221h%22%5D%7D")


def test_wait_fits_its_definition(ask: Ask) -> None:
    """The exit code of what has ended."""
    assert ask("POST", "/containers/{id}/wait", "ended") == {"StatusCode": 0}


def test_events_fit_their_definition(shoald: Engine, description: Description) -> None:
    """Each event that making these containers caused."""
    answer = shoald.request("GET", f"/events?since=1&until={time.time():.9f}")
    events = [json.loads(line) for line in answer.body.splitlines()]
    assert {"create", "start", "die"} <= {event["Action"] for event in events}
    for event in events:
        assert unknown(description.of_definition("EventMessage", event)) == []


@pytest.mark.parametrize("path", ["/containers/none/json", "/images/none/json", "/containers/json?limit=x"])
def test_refusal_fits_its_definition(shoald: Engine, description: Description, path: str) -> None:
    """An error has a message; what shoal adds to it is only `why` and `fix`."""
    answer = shoald.request("GET", path)
    assert answer.status in (400, 404)
    shown = {key: value for key, value in answer.json.items() if key not in ("why", "fix")}
    assert description.of_definition("ErrorResponse", shown) == []
