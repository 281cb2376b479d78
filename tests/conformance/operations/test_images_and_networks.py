"""What there is of images and networks so far: parameters, filters and statuses that are served."""

from __future__ import annotations

import json

import pytest

from tests.conformance.operations.proofs import Api, proves
from tests.conformance.operations.test_container_lists import make
from tests.engines import busybox

SAID = {
    "Hostname": "h",
    "Domainname": "d",
    "User": "1",
    "AttachStdin": False,
    "AttachStdout": False,
    "Image": "x",
    "AttachStderr": False,
    "ExposedPorts": {"80/tcp": {}},
    "Tty": True,
    "OpenStdin": False,
    "StdinOnce": False,
    "Env": ["A=b"],
    "Cmd": ["ls"],
    "Healthcheck": {"Test": ["NONE"]},
    "ArgsEscaped": False,
    "Volumes": {"/v": {}},
    "WorkingDir": "/tmp",
    "Entrypoint": ["env"],
    "NetworkDisabled": False,
    "MacAddress": "",
    "OnBuild": [],
    "Labels": {"e": "f"},
    "StopSignal": "SIGINT",
    "StopTimeout": 1,
    "Shell": ["sh"],
}


SPACES = ("keep-storage", "max-used-space", "min-free-space", "reserved-space")
CACHED = ("until", "id", "parent", "type", "description", "inuse", "shared", "private")


@pytest.fixture
def tagged(api: Api) -> str:
    """A second name of the one image, taken away afterwards."""
    assert api.ask("POST", "/images/{name}/tag", "busybox", repo="second", tag="1").status == 201
    return "second:1"


@proves("ImageTag", "repo tag", statuses="201 400 404")
@proves("ImageDelete", "force noprune", statuses="200 404 409")
def test_tag_and_delete(api: Api, tagged: str) -> None:
    """A name more, a name less; an image that a container uses stays."""
    make(api, "it")
    assert api.refused("DELETE", "/images/{name}", api.ok("GET", "/images/{name}/json", "busybox")["Id"])[0] == 409
    assert api.ok("DELETE", "/images/{name}", tagged, force=True, noprune=True) == [{"Untagged": tagged}]
    assert api.refused("DELETE", "/images/{name}", tagged)[0] == 404
    assert api.refused("POST", "/images/{name}/tag", "none", repo="x")[0] == 404
    assert api.refused("POST", "/images/{name}/tag", "busybox", repo="NO")[0] == 400


@proves(
    "ImageList",
    "all shared-size digests filters.before filters.dangling filters.label filters.reference filters.since "
    "filters.until",
    statuses="200",
)
@proves("ImageInspect", statuses="200 404")
@proves("ImageHistory", statuses="200 404")
@proves("ImageGet", statuses="200")
@proves("ImageGetAll", "names", statuses="200")
@proves("ImageLoad", "quiet body", statuses="200")
def test_lists_and_archives_of_images(api: Api) -> None:
    """Filters choose, inspections tell, and an archive can be loaded again."""

    def images(**filters: list[str]) -> list[str]:
        rows = api.ok("GET", "/images/json", all=True, shared_size=True, digests=True, filters=filters)
        return [name for row in rows for name in row["RepoTags"]]

    assert images() == images(reference=["busy*"]) == images(dangling=["false"]) == ["busybox:latest"]
    assert images(reference=["x"]) == images(label=["x"]) == images(dangling=["true"]) == images(until=["1h"]) == []
    assert images(before=["busybox"]) == images(since=["busybox"]) == []
    assert api.ok("GET", "/images/{name}/json", "busybox")["RepoTags"] == ["busybox:latest"]
    assert len(api.ok("GET", "/images/{name}/history", "busybox")) >= 1
    for noun in ("json", "history"):
        assert api.refused("GET", f"/images/{{name}}/{noun}", "none")[0] == 404
    one = api.ask("GET", "/images/{name}/get", "busybox").body
    assert api.ask("GET", "/images/get", names="busybox").body == one
    loaded = api.ask("POST", "/images/load", quiet=True, body=one, headers={"Content-Type": "application/x-tar"})
    assert (loaded.status, b"busybox:latest" in loaded.body) == (200, True)


@proves("ImageList", "manifests")
@proves("ImageInspect", "manifests platform")
@proves("ImageHistory", "platform")
@proves("ImageGet", "platform")
@proves("ImageGetAll", "platform")
@proves("ImageLoad", "platform")
@proves("ImageDelete", "platforms")
def test_platforms_of_images(api: Api, tagged: str) -> None:
    """An image is for one platform: what asks for it gets it, what asks for another hears which it is."""
    shown = api.ok("GET", "/images/{name}/json", "busybox")
    mine = json.dumps({"os": shown["Os"], "architecture": shown["Architecture"]})
    other = json.dumps({"os": "linux", "architecture": "s390x"})
    assert api.ok("GET", "/images/{name}/json", "busybox", platform=mine) == shown
    assert len(api.ok("GET", "/images/{name}/history", "busybox", platform=mine)) >= 1
    archive = api.ask("GET", "/images/{name}/get", "busybox", platform=mine).body
    assert archive == api.ask("GET", "/images/get", names="busybox", platform=mine).body
    refused = [
        api.refused("GET", f"/images/{{name}}/{noun}", "busybox", platform=other) for noun in ("json", "history", "get")
    ]
    refused.append(api.refused("GET", "/images/get", names="busybox", platform=other))
    refused.append(api.refused("DELETE", "/images/{name}", tagged, platforms=other))
    assert {status for status, _ in refused} == {404}
    assert all("does not match the specified platform (linux/s390x)" in said for _, said in refused)
    headers = {"Content-Type": "application/x-tar"}
    assert api.refused("POST", "/images/load", body=archive, platform=other, headers=headers)[0] == 400
    assert api.ask("POST", "/images/load", body=archive, platform=mine, headers=headers).status == 200
    (row,) = api.ok("GET", "/images/json", manifests=True)
    (manifest,) = row["Manifests"]
    assert manifest["ImageData"]["Size"]["Unpacked"] == shown["Size"]
    assert manifest["Size"]["Total"] == manifest["Size"]["Content"] + shown["Size"]
    # Of an image that a registry has, it is the registry's manifest; an archive has one of its own.
    assert manifest["Descriptor"]["digest"].startswith("sha256:")
    assert api.ok("GET", "/images/{name}/json", "busybox", manifests=True)["Manifests"] == row["Manifests"]
    assert api.refused("GET", "/images/{name}/json", "busybox", manifests=True, platform=mine)[0] == 400
    assert api.refused("GET", "/images/{name}/json", "busybox", platform="{}")[0] == 400
    assert api.ok("GET", "/images/{name}/json", "busybox", platform=other, version="/v1.48")["Id"] == shown["Id"]
    assert api.ok("DELETE", "/images/{name}", tagged, platforms=mine) == [{"Untagged": tagged}]


@proves("ImageCreate", "fromSrc repo tag message changes platform body", statuses="200")
@proves("ImageCommit", "container repo tag comment author pause changes", statuses="201 404")
@proves("ImageCommit", " ".join(f"body.{name}" for name in SAID))
@proves("ImagePrune", "filters.dangling filters.until filters.label filters.label!", statuses="200")
def test_images_made_and_pruned(api: Api) -> None:
    """Imported and committed with what is said of them, then taken away by the filters of a prune."""
    options = {"fromSrc": "-", "repo": "made", "tag": "1", "message": "m", "platform": "linux/amd64"}
    api.ask("POST", "/images/create", **options, changes="LABEL a=b", body=busybox.root_filesystem())
    assert api.ok("GET", "/images/{name}/json", "made:1")["Config"]["Labels"] == {"a": "b"}
    make(api, "it")
    commit = {"container": "it", "repo": "made", "tag": "2", "comment": "c", "author": "a", "changes": "LABEL c=d"}
    id = api.ok("POST", "/commit", **commit, pause=False, body=SAID)["Id"]
    shown = api.ok("GET", "/images/{name}/json", "made:2")
    assert (shown["Id"], shown["Author"], shown["Config"]["Labels"]) == (id, "a", {"e": "f", "c": "d"})
    kept = ("User", "Env", "Cmd", "Entrypoint", "WorkingDir", "ExposedPorts", "Volumes", "StopSignal")
    assert {name: shown["Config"][name] for name in kept} == {name: SAID[name] for name in kept}
    assert api.refused("POST", "/commit", container="none", body={})[0] == 404
    for filters in ({"dangling": ["true"]}, {"dangling": ["false"], "until": ["1h"]}):
        assert api.ok("POST", "/images/prune", filters=filters)["ImagesDeleted"] is None
    every = {"dangling": ["false"]}
    gone = api.ok("POST", "/images/prune", filters={**every, "label": ["a=b"]})["ImagesDeleted"]
    assert {"Untagged": "made:1"} in gone
    gone = api.ok("POST", "/images/prune", filters={**every, "label!": ["none"]})["ImagesDeleted"]
    assert {"Untagged": "made:2"} in gone


@proves(
    "NetworkList",
    "filters.dangling filters.driver filters.id filters.label filters.name filters.scope filters.type",
    statuses="200",
)
@proves("NetworkInspect", "verbose scope", statuses="200 404")
@proves("NetworkDelete", statuses="403 404")
@proves("NetworkPrune", "filters.until filters.label filters.label!", statuses="200")
def test_networks_that_every_daemon_has(api: Api) -> None:
    """Three, which cannot be removed; each filter chooses among them."""

    def networks(**filters: list[str]) -> set[str]:
        return {network["Name"] for network in api.ok("GET", "/networks", filters=filters)}

    id = api.ok("GET", "/networks/{id}", "bridge", verbose=True, scope="local")["Id"]
    assert networks() == networks(scope=["local"]) == networks(type=["builtin"]) == {"bridge", "host", "none"}
    assert networks(driver=["null"]) == networks(name=["^none$"]) == {"none"}
    assert networks(id=[id[:12]]) == {"bridge"}
    assert networks(label=["x"]) == networks(dangling=["true"]) == networks(type=["custom"]) == set()
    assert api.refused("DELETE", "/networks/{id}", "bridge")[0] == 403
    assert api.refused("DELETE", "/networks/{id}", "none-such")[0] == 404
    assert api.refused("GET", "/networks/{id}", "none-such")[0] == 404
    unused = {"until": ["1h"], "label": ["x"], "label!": ["y"]}
    assert api.ok("POST", "/networks/prune", filters=unused) == {"NetworksDeleted": None}


@proves("PluginList", statuses="200")
@proves("BuildPrune", " ".join(["all", *SPACES, *(f"filters.{name}" for name in CACHED)]), statuses="200")
def test_what_there_is_none_of(api: Api) -> None:
    """No plugins, no build cache: empty answers."""
    assert api.ok("GET", "/plugins") == []
    unused = {name: ["1"] for name in CACHED}
    pruned = api.ok("POST", "/build/prune", all=True, filters=unused, **dict.fromkeys(SPACES, 1))
    assert pruned == {"CachesDeleted": None, "SpaceReclaimed": 0}
