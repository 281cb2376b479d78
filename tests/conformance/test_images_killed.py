"""kill -9 of shoald in the middle of whatever the image store does: the next one finds a store that is whole."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import random
import threading
from collections.abc import Callable

import pytest

from tests.conformance.test_storage import du, ledger, load
from tests.engines.shoald import Shoald
from tests.kernel.image.archives import docker_archive
from tests.kernel.image.trees import directory, file, layer

_ROUNDS = 5
BASE = layer(directory("d"), *(file(f"d/{number}", os.urandom(3000)) for number in range(150)))
OTHERS = {f"app-{number}:1": layer(file("d/0", os.urandom(400_000)), file("e", b"e")) for number in range(3)}


def findings(engine: Shoald, *, repair: bool = False) -> list[dict[str, object]]:
    """What a check of the whole store finds."""
    answer = engine.request("POST", f"/system/fsck?repair={int(repair)}")
    steps = [json.loads(line) for line in answer.body.splitlines()]
    assert "error" not in answer.body.decode(), answer.body
    return [step for step in steps if "Cause" in step]


def works(engine: Shoald) -> list[Callable[[], object]]:
    """All that goes on when the kill comes, each in a thread of its own."""
    archives = [docker_archive(([name], (BASE, data)), form="+gzip") for name, data in OTHERS.items()]

    def repair_what_is_altered() -> None:
        for tree in os.scandir(f"{engine.data_root}/layers"):
            with contextlib.suppress(FileNotFoundError):
                os.chmod(f"{tree.path}/diff/d", 0o700)
        findings(engine, repair=True)

    return [
        lambda: [engine.request("POST", "/images/load", archive) for archive in archives],
        lambda: [engine.request("DELETE", f"/images/{name}?force=1") for name in OTHERS],
        lambda: engine.request("POST", '/images/prune?filters={"dangling":["false"]}'),
        lambda: engine.request("POST", "/containers/create?name=c", {"Image": "base:1", "Cmd": ["x"]}),
        repair_what_is_altered,
    ]


def test_shoald_killed_amid_loads_removals_prunes_and_repairs_keeps_the_store_whole(private_shoald: Shoald) -> None:
    """Five times at a random moment: an image is there as a whole or not at all, every byte has an owner."""
    chance = random.Random(11)
    for number in range(_ROUNDS):
        engine = private_shoald
        load(engine, "base:1", BASE)
        load(engine, "app-0:1", BASE, OTHERS["app-0:1"])
        threads = [threading.Thread(target=_until_killed, args=(work,)) for work in works(engine)]
        for thread in threads:
            thread.start()
        threads[0].join(chance.uniform(0.02, 0.4))
        engine.kill9()
        for thread in threads:
            thread.join()
        engine.start()
        findings(engine, repair=True)  # what the test itself has altered
        assert findings(engine) == [], f"round {number}"
        for image in engine.request("GET", "/images/json?all=1").json:
            # A layer that is not whole would end the answer in the middle.
            assert engine.request("GET", f"/images/{image['Id']}/get").status == 200
        told, counted = ledger(engine)["Size"], du(engine)
        assert abs(told - counted) <= counted / 100
        engine.clear()


def _until_killed(work: Callable[[], object]) -> None:
    with contextlib.suppress(OSError, http.client.HTTPException, AssertionError, ValueError):
        work()


@pytest.mark.parametrize("name", ["layer.json", "diff"])
def test_shoald_starts_without_an_image_that_has_lost_a_layer(private_shoald: Shoald, name: str) -> None:
    """What is lost is logged or found, the rest is there, and the image can be loaded again."""
    engine = private_shoald
    load(engine, "base:1", BASE)
    (place,) = [user["Id"] for user in ledger(engine)["Users"] if user["Names"] == ["base:1"] and user["Inodes"] > 100]
    engine.stop()
    directory = f"{engine.data_root}/layers/{place.removeprefix('sha256:')}"
    os.rename(f"{directory}/{name}", f"{directory}/lost")
    engine.start()
    findings(engine, repair=True)
    assert engine.ok("images", "--format", "{{.Repository}}") == "busybox"
    load(engine, "base:1", BASE)
    assert findings(engine) == []
