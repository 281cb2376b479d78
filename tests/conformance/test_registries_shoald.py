"""shoald's own settings of registries: mirrors and proxies from flags, and secrets that its log never sees."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.engines.bad_registry import INDEX, MANIFEST, BadRegistry, Exchange, layer_tar
from tests.engines.proxy import Proxy
from tests.engines.shoald import Shoald

SECRETS = {"password": "pw-5up3r", "identitytoken": "id-t0ken", "registrytoken": "reg-t0ken"}


@pytest.fixture(scope="module")
def places() -> Iterator[tuple[BadRegistry, BadRegistry, Proxy]]:
    """A registry, a mirror of one, and a proxy."""
    with BadRegistry() as registry, BadRegistry() as mirror, Proxy("pam:proxy-pw") as proxy:
        yield registry, mirror, proxy


@pytest.fixture(scope="module")
def mover(places: tuple[BadRegistry, BadRegistry, Proxy]) -> Iterator[Shoald]:
    """A shoald that tells everything, with a mirror for a registry that there is not, and a proxy from its file."""
    registry, mirror, proxy = places
    made = Shoald("--debug", "--registry-mirror", f"far.test:5000=http://{mirror.host}/copies/far")
    made.flags += ("--config-file", str(Path(made.directory) / "daemon.json"))
    port = registry.host.rpartition(":")[2]
    made.flags += ("--insecure-registry", f"behind.test:{port}")
    (Path(made.directory) / "daemon.json").write_text(
        json.dumps({"proxies": {"http-proxy": f"http://pam:proxy-pw@{proxy.host}", "no-proxy": "spared.test"}})
    )
    with closing(made):
        made.start()
        yield made


def pull(mover: Shoald, image: str, auth: dict[str, str] | None = None) -> str:
    """What a pull over the API says, whole."""
    header = base64.urlsafe_b64encode(json.dumps(auth or {}).encode()).decode()
    answer = mover.request("POST", f"/images/create?fromImage={image}&tag=1", headers={"X-Registry-Auth": header})
    return answer.body.decode()


def test_mirror_of_a_registry_is_a_flag(mover: Shoald, places: tuple[BadRegistry, BadRegistry, Proxy]) -> None:
    """The image has the registry's name, comes from the mirror, and `info` tells of it."""
    _, mirror, _ = places
    mirror.image(layer_tar("file", b"data"))
    assert "Status: Downloaded newer image for far.test:5000/x/y:1" in pull(mover, "far.test:5000/x/y")
    assert mirror.asked("/v2/copies/far/x/y/manifests/1")
    info = mover.request("GET", "/info").json
    assert info["RegistryConfig"]["IndexConfigs"]["far.test:5000"]["Mirrors"] == [f"http://{mirror.host}/copies/far"]
    mover.ok("rmi", "far.test:5000/x/y:1")


def test_proxy_of_the_configuration_file_is_used(mover: Shoald, places: tuple[BadRegistry, BadRegistry, Proxy]) -> None:
    """A host that only the proxy can reach is pulled from; `info` shows the proxy without its password."""
    registry, _, proxy = places
    registry.tricks.clear()
    registry.image(layer_tar("file", b"data"))
    host = f"behind.test:{registry.host.rpartition(':')[2]}"
    assert f"Downloaded newer image for {host}/x/y:1" in pull(mover, f"{host}/x/y")
    assert f"GET http://{host}/v2/x/y/manifests/1" in proxy.passed
    info = mover.request("GET", "/info").json
    assert (info["HttpProxy"], info["NoProxy"]) == (f"http://xxxxx:xxxxx@{proxy.host}", "spared.test")
    mover.ok("rmi", f"{host}/x/y:1")


def test_no_secret_is_told_or_logged(mover: Shoald, places: tuple[BadRegistry, BadRegistry, Proxy]) -> None:
    """A registry that gives back what it hears, a token server that does so too: neither answers nor log have it."""
    registry, _, _ = places

    def gives_back(exchange: Exchange) -> bool:
        heard = f"{exchange.headers.get('Authorization', '')} {exchange.body.decode()}"
        problem = json.dumps({"errors": [{"code": "DENIED", "message": f"you said {heard}"}]}).encode()
        if exchange.path.startswith("/token"):
            exchange.answer(403, problem)
        elif "Authorization" in exchange.headers:
            exchange.answer(403, problem, Location="http://127.0.0.1:1/?signature=s1gned")
        else:
            exchange.answer(401, problem, Www_Authenticate=f'Bearer realm="http://{registry.host}/token",service="s"')
        return True

    registry.tricks.append(gives_back)
    told = ""
    for name, secret in SECRETS.items():
        told += pull(mover, f"{registry.host}/x/z", {"username": "ann", name: secret})
        mover.request("POST", "/auth", {"username": "ann", name: secret, "serveraddress": registry.host})
    assert told.count("you said") >= 2
    hidden = [*SECRETS.values(), base64.b64encode(b"ann:pw-5up3r").decode(), "s1gned", "proxy-pw"]
    for secret in hidden:
        assert secret not in told
        assert secret not in mover.log


def shoal(mover: Shoald, *words: str) -> str:
    """What a command of shoal's client prints, once it has succeeded."""
    done = subprocess.run(
        [sys.executable, "-m", "shoal.cli.main", "-H", f"unix://{mover.socket}", *words],
        env=mover.environment(),
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_cancelled_pull_is_shown_by_system_df_and_gone_on_with(
    mover: Shoald, places: tuple[BadRegistry, BadRegistry, Proxy]
) -> None:
    """What came is on the books under its own heading, as on the disk; the next pull asks for the rest alone."""
    registry, _, _ = places
    registry.tricks.clear()
    registry.image(layer_tar("big", os.urandom(600_000)), tag="half")
    digest, blob = max(registry.blobs.items(), key=lambda pair: len(pair[1]))
    begun, is_left = threading.Event(), threading.Event()

    def stop_half_way(exchange: Exchange) -> bool:
        if not exchange.path.endswith(digest) or begun.is_set():
            return False
        exchange.begin(200, len(blob))(blob[:400_000])
        begun.set()
        if exchange.is_left(30):
            is_left.set()
        exchange.cut()
        return True

    registry.tricks.append(stop_half_way)
    client = mover.popen("pull", f"{registry.host}/x/y:half")
    assert begun.wait(10)
    partial = Path(mover.data_root, "partial")
    while sum(path.stat().st_size for path in partial.iterdir()) < 400_000:
        assert client.poll() is None
    client.kill()
    client.communicate()
    assert is_left.wait(20)
    users = [user for user in _disk(mover)["Users"] if user["Kind"] == "partial-pull"]
    assert [user["Id"] for user in users] == [digest]
    assert 400_000 <= sum(user["Size"] for user in users) <= 410_000
    (row,) = [line for line in shoal(mover, "system", "df").splitlines() if line.startswith("Partial Pulls")]
    assert row.split()[2] == "1"
    registry.requests.clear()
    mover.ok("pull", f"{registry.host}/x/y:half")
    assert [one.headers.get("Range") for one in registry.asked(digest)] == ["bytes=400000-"]
    assert not [user for user in _disk(mover)["Users"] if user["Kind"] == "partial-pull"]
    mover.ok("rmi", f"{registry.host}/x/y:half")


def test_kept_blobs_are_a_flag(places: tuple[BadRegistry, BadRegistry, Proxy]) -> None:
    """`--image-drop-blobs=false`: the image goes into another registry as it came, when the first is gone."""
    _, target, _ = places
    with closing(Shoald("--image-drop-blobs", "false")) as keeping:
        keeping.start()
        with BadRegistry() as first:
            pulled = first.image(layer_tar("file", b"kept"), tag="1")
            keeping.ok("pull", f"{first.host}/x/y:1")
            keeping.ok("tag", f"{first.host}/x/y:1", f"{target.host}/x/kept:1")
        assert f"digest: {pulled} " in keeping.ok("push", f"{target.host}/x/kept:1")
        users = _disk(keeping)["Users"]
        assert [len(user["Names"]) for user in users if user["Kind"] == "layer-blob"] == [2]


def _disk(mover: Shoald) -> dict[str, Any]:
    """Whose every byte is; the sum is what `du` counts."""
    told: dict[str, Any] = mover.request("GET", "/system/df/users").json
    counted = subprocess.check_output(["du", "-s", "-B1", str(mover.data_root)], text=True)
    assert abs(told["Size"] - int(counted.split()[0])) <= told["Size"] // 100
    return told


def test_artifact_is_pulled_listed_read_and_removed(
    mover: Shoald, places: tuple[BadRegistry, BadRegistry, Proxy]
) -> None:
    """`docker pull` of a chart: it is no image, shoal's own commands say what it is; it is pushed and pruned as one."""
    registry, _, _ = places
    registry.tricks.clear()
    layer = {"mediaType": "application/x-chart", **registry.put(b"the chart")}
    layers = [{**layer, "annotations": {"org.opencontainers.image.title": "chart.tgz"}}]
    config = {"mediaType": "application/vnd.cncf.helm.config.v1+json", **registry.put(b"{}")}
    registry.keep(MANIFEST, {"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": layers}, "chart")
    name = f"{registry.host}/x/y:chart"
    assert f"Status: Downloaded newer artifact for {name}" in mover.ok("pull", name)
    assert mover.ok("images", "-q", name) == ""
    (line,) = shoal(mover, "artifact", "ls").splitlines()[1:]
    assert line.split()[:3] == [name, "application/vnd.cncf.helm.config.v1+json", "chart.tgz"]
    assert shoal(mover, "artifact", "get", name) == "the chart"
    assert shoal(mover, "artifact", "get", name, "chart.tgz") == "the chart"
    assert mover.request("GET", f"/artifacts/{name}/get?file=other").status == 404
    users = mover.request("GET", "/system/df/users").json["Users"]
    assert {tuple(user["Names"]) for user in users if user["Kind"] == "artifact"} == {(name,)}
    assert mover.request("GET", f"/images/{name}/get").status == 400
    copy = f"{registry.host}/x/z:copied"
    mover.ok("tag", name, copy)
    told = mover.ok("push", copy)
    assert "copied: digest: sha256:" in told
    assert registry.manifests["copied"] == registry.manifests["chart"]
    assert mover.ok("rmi", copy) == f"Untagged: {copy}"
    mover.ok("tag", name, copy)
    assert copy not in mover.ok("image", "prune", "-f")
    assert f"untagged: {copy}" in mover.ok("image", "prune", "-af")
    assert shoal(mover, "artifact", "ls", "-q") == ""
    mover.ok("pull", name)
    assert shoal(mover, "artifact", "rm", name) == f"{name}\n"
    assert mover.request("DELETE", f"/artifacts/{name}").status == 404
    assert shoal(mover, "artifact", "ls", "-q") == ""


def test_referrers_are_listed_by_shoals_client(mover: Shoald, places: tuple[BadRegistry, BadRegistry, Proxy]) -> None:
    """A signature that the registry has for an image, by digest and type; none for another image."""
    registry, _, _ = places
    registry.tricks.clear()
    digest = registry.image(layer_tar("file", b"data"), tag="signed")
    signature = {"mediaType": MANIFEST, "digest": digest, "size": 7, "artifactType": "application/x-signature"}
    registry.keep(INDEX, {"schemaVersion": 2, "mediaType": INDEX, "manifests": [signature]}, digest.replace(":", "-"))
    (line,) = shoal(mover, "artifact", "referrers", f"{registry.host}/x/y:signed").splitlines()[1:]
    assert line.split() == [digest, "application/x-signature", "7B"]
    assert mover.request("GET", f"/distribution/{registry.host}/x/y:none/referrers").status == 404
