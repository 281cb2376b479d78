"""The store seen from inside, command to disk. Against shoald alone, which adds it."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from tests.engines.engine import Engine
from tests.kernel.image.archives import docker_archive
from tests.kernel.image.trees import directory, file, hard_link, layer


@pytest.fixture
def stored(shoald: Engine) -> Iterator[Engine]:
    """shoald, whose images are busybox alone before and after."""
    shoald.remove_images()
    yield shoald
    shoald.clear()
    shoald.remove_images()


def shoal(engine: Engine, *words: str) -> str:
    """What a command prints."""
    command = [sys.executable, "-m", "shoal.cli.main", "-H", f"unix://{engine.socket}", *words]
    done = subprocess.run(command, capture_output=True, text=True, env=engine.environment(), timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


def load(engine: Engine, name: str, *layers: bytes) -> None:
    """An image of these layers."""
    answer = engine.request("POST", "/images/load?quiet=1", docker_archive(([name], layers)))
    assert answer.status == 200, answer.body
    assert b'"error"' not in answer.body, answer.body


def ledger(engine: Engine) -> dict[str, Any]:
    """Whose every byte is."""
    answer = engine.request("GET", "/system/df/users")
    assert answer.status == 200, answer.body
    return dict(answer.json)


def du(engine: Engine) -> int:
    """What `du` counts on the data root."""
    done = subprocess.run(["du", "-s", "-B1", "-x", engine.data_root], capture_output=True, text=True, timeout=60)
    return int(done.stdout.split()[0])


def make_busy(engine: Engine) -> None:
    """Images that share a layer, containers that run and that do not, hard links, holes, volumes."""
    shared = layer(directory("lib"), *(file(f"lib/{number}", b"x" * 700) for number in range(400)))
    load(engine, "one:1", shared, layer(file("own", b"1" * 3_000_000)))
    load(engine, "two:1", shared, layer(file("own", b"2" * 20_000)))
    script = "dd if=/dev/zero of=/data/big bs=1k count=700; echo a > /a; ln /a /b; truncate -s 900M /sparse"
    engine.ok("run", "--name", "ended", "-v", "data:/data", "busybox", "sh", "-c", script)
    engine.ok("run", "-d", "--name", "alive", "-v", "/anon", "busybox", "sh", "-c", "mkdir /x; exec sleep 1000")


def test_disk_users_sum_up_to_what_du_counts(stored: Engine) -> None:
    """Every byte has an owner, and each owner's share is his own: within one percent of the whole."""
    make_busy(stored)
    told, counted = ledger(stored), du(stored)
    assert abs(told["Size"] - counted) <= counted / 100
    assert told["Size"] == sum(user["Size"] for user in told["Users"])
    assert shoal(stored, "system", "df").splitlines()[-1].startswith("Total ")


def test_disk_users_are_who_they_are(stored: Engine) -> None:
    """Layers name the images that share them, containers and volumes whether somebody uses them."""
    make_busy(stored)
    users = ledger(stored)["Users"]
    layers = {tuple(user["Names"]): user for user in users if user["Kind"] == "image-layer"}
    assert set(layers) == {("busybox:latest",), ("one:1", "two:1"), ("one:1",), ("two:1",)}
    assert layers["one:1",]["Size"] >= 3_000_000 > layers["one:1", "two:1"]["Size"] >= 400 * 4096
    assert {names: user["InUse"] for names, user in layers.items()}["busybox:latest",] is True
    assert layers["one:1",]["InUse"] is False
    containers = {user["Names"][0]: user["InUse"] for user in users if user["Kind"] == "container"}
    assert containers == {"alive": True, "ended": False}
    volumes = {user["Id"]: user for user in users if user["Kind"] == "volume"}
    assert volumes["data"]["Size"] >= 700 << 10
    written = sum(user["Size"] for user in users if user["Names"] == ["ended"])
    assert written < 1 << 20  # a hole takes nothing, a second name neither


def test_disk_users_have_the_build_cache_among_them(stored: Engine) -> None:
    """Layers that only the builder keeps, and what RUNs mounted; the sum is still that of `du`."""
    mount = "--mount=type=cache,target=/cache"
    command = "dd if=/dev/zero of=/cache/f bs=1k count=600; dd if=/dev/zero of=/g bs=1k count=900"
    text = f"FROM busybox\nRUN {mount} {command}\n"
    context = layer(file("Dockerfile", text.encode()))
    answer = stored.request("POST", "/build?t=built:1", context, {"Content-Type": "application/x-tar"})
    assert (answer.status, b"errorDetail" in answer.body) == (200, False), answer.body
    stored.ok("rmi", "built:1")
    told, counted = ledger(stored), du(stored)
    cached = sorted(user["Size"] >> 10 for user in told["Users"] if user["Kind"] == "build-cache")
    assert (len(cached), cached[0] // 100, cached[1] // 100) == (2, 6, 9)
    assert abs(told["Size"] - counted) <= counted / 100
    shoal(stored, "system", "prune", "-f")
    assert "build-cache" not in {user["Kind"] for user in ledger(stored)["Users"]}


def test_prune_gives_back_what_it_says(stored: Engine) -> None:
    """After a prune of all, the books are what they were before, but for the database's log."""
    before = ledger(stored)
    make_busy(stored)
    stored.ok("rm", "-f", "-v", "alive")
    last = shoal(stored, "system", "prune", "-a", "-f", "--volumes").splitlines()[-1]
    told = re.fullmatch(r"On disk: [\d.]+MB before, ([\d.]+)MB now", last)
    assert told is not None, last
    assert abs(float(told[1]) * 1e6 - du(stored)) <= du(stored) / 50
    stored.request("DELETE", f"/volumes/{quote('data')}")
    stored.import_busybox()
    kept = {kind: _sum(before, kind) for kind in ("image-layer", "container", "volume")}
    assert {kind: _sum(ledger(stored), kind) for kind in kept} == kept
    assert not list(Path(stored.data_root, "tmp/image/trash").iterdir())


def test_image_tree_tells_who_made_shares_and_wastes_what(stored: Engine) -> None:
    """What is overwritten, deleted, or below what took its place is wasted; not what shows by another name."""
    sizes = (("a/over", 1000), ("a/gone", 200), ("b/in", 30), ("c/in", 4))
    files = [file(path, b"x" * size) for path, size in sizes]
    base = layer(*(directory(name) for name in "abc"), *files, hard_link("kept", "b/in"))
    top = layer(file("a/over", b"new"), file("a/.wh.gone"), directory("b"), file("b/.wh..wh..opq"), file("c", b"."))
    load(stored, "base:1", base)
    load(stored, "top:1", base, top, layer(file("a/over", b"newer")))
    answer = stored.request("GET", "/images/top:1/tree").json
    assert [one["WastedSize"] for one in answer["Layers"]] == [1204, 3, 0]
    assert [one["SharedWith"] for one in answer["Layers"]] == [["base:1"], [], []]
    assert [one["Files"] for one in answer["Layers"]] == [5, 2, 1]
    assert answer["Layers"][0]["Wasted"][0] == {"Path": "/a/over", "Size": 1000}
    first, *rest = shoal(stored, "image", "tree", "top:1").splitlines()
    assert first == "top:1  1.24kB in 3 layers, 1.21kB of it wasted"
    assert rest[0].startswith("├─ ")
    assert rest[0].endswith("1.23kB, 5 files  step 0")
    assert rest[1:3] == [
        "│     shared with base:1",
        "│     wasted 1.2kB: /a/over (1kB), /a/gone (200B), /c/in (4B)",
    ]
    assert stored.request("GET", "/images/nope/tree").json["message"] == "No such image: nope:latest"


def test_image_diff_tells_paths_and_settings(stored: Engine) -> None:
    """A path that only one has, whole directories in one line, and in what respects the rest differs."""
    base = layer(directory("d"), file("d/one", b"1" * 100), file("same", b"s"), file("mode", b"m"), directory("gone"))
    inside = layer(file("gone/deep", b"g" * 50))
    top = layer(
        file(".wh.gone"), file("d/one", b"22"), file("mode", b"m", mode=0o755), directory("new"), file("new/x", b"x")
    )
    load(stored, "base:1", base, inside)
    load(stored, "top:1", base, inside, top)
    stored.ok("tag", "top:1", "named:1")
    assert shoal(stored, "image", "diff", "base:1", "top:1").splitlines() == [
        "D /gone  (-50B)",
        "C /mode  (mode)",
        "A /new  (+1B)",
        "C /d/one  (content, -98B)",
        "top:1: 1 added, 2 changed, 1 deleted, -147B",
    ]
    assert shoal(stored, "image", "diff", "top:1", "named:1") == "named:1: the same files, +0B\n"
    answer = stored.request("POST", "/images/create?fromSrc=-&repo=set&changes=ENV%20A=b", base)
    assert answer.status == 200
    assert shoal(stored, "image", "diff", "base:1", "set").splitlines()[:2] == [
        'C Cmd: ["sh"] -> null',
        'C Env: null -> ["A=b"]',
    ]
    assert stored.request("GET", "/images/top:1/diff?with=nope").status == 404


def test_fsck_command_tells_mends_and_ends_accordingly(stored: Engine) -> None:
    """Nothing wrong is 0; something wrong is 1, with a hint that works; a running container's layer is left alone."""
    load(stored, "one:1", layer(file("f", b"1", mode=0o640)))
    assert shoal(stored, "fsck").endswith("snapshots verified: nothing is wrong\n")
    answer = stored.request("GET", "/system/df/users").json
    (place,) = [user["Id"] for user in answer["Users"] if user["Names"] == ["one:1"] and user["Kind"] == "image-layer"]
    Path(stored.data_root, "layers", place.removeprefix("sha256:"), "diff/f").chmod(0o600)
    done = subprocess.run(
        [sys.executable, "-m", "shoal.cli.main", "-H", f"unix://{stored.socket}", "fsck"],
        capture_output=True,
        text=True,
        env=stored.environment(),
        timeout=60,
    )
    wrong, hint, _ = done.stdout.splitlines()
    assert (done.returncode, hint) == (1, "  hint: shoal fsck --repair")
    assert wrong == f"wrong: layer {place[7:19]} of one:1 was changed: /f has mode 600 instead of 640"
    assert shoal(stored, "fsck", "--repair").startswith("mended: ")
    assert shoal(stored, "fsck").endswith("nothing is wrong\n")


def _sum(told: dict[str, Any], kind: str) -> int:
    return sum(user["Size"] for user in told["Users"] if user["Kind"] == kind)
