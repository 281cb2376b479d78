"""`image-store-budget`: the images that nobody used for longest go when all take too much. Against shoald alone."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conformance.test_storage import load
from tests.engines.shoald import Shoald
from tests.kernel.image.archives import docker_archive
from tests.kernel.image.trees import connect, file, layer

_MB = 1_000_000


@pytest.fixture
def small() -> Iterator[Shoald]:
    """A shoald whose images may take 9 MB, busybox (2 MB) among them."""
    engine = Shoald("--image-store-budget", "9MB")
    try:
        engine.start()
        engine.import_busybox()
        yield engine
    finally:
        engine.close()


def tags(engine: Shoald) -> set[str]:
    """The names of all images."""
    return set(engine.ok("images", "--format", "{{.Repository}}:{{.Tag}}").split())


def grow_old(engine: Shoald, *names: str) -> None:
    """Have images been tagged and used one after the other, hours ago."""
    engine.stop()
    database = connect(Path(engine.data_root, "shoal.db"))
    database.execute("DELETE FROM image_uses")
    for number, name in enumerate(names):
        then_ns = time.time_ns() - (len(names) - number) * 3600 * 10**9
        database.execute("UPDATE image_names SET tagged_ns = ? WHERE name LIKE ?", (then_ns, f"%/{name}"))
    database.close()
    engine.start()


def wait_for(engine: Shoald, expected: set[str]) -> None:
    """Returns when exactly these images are there."""
    deadline = time.monotonic() + 20
    while tags(engine) != expected and time.monotonic() < deadline:
        time.sleep(0.02)
    assert tags(engine) == expected, engine.log[-2000:]


def megabytes(count: int) -> bytes:
    """A layer with so much in it."""
    return layer(file("f", os.urandom(count * _MB)))


def test_budget_takes_the_images_that_were_unused_for_longest(small: Shoald) -> None:
    """One that a container has stays, however old; so does one that has just come; used by a container is used."""
    for name in ("held:1", "old:1", "newer:1"):
        load(small, name, megabytes(1))
    small.ok("create", "--name", "holder", "held:1", "x")
    grow_old(small, "held:1", "busybox:latest", "old:1", "newer:1")
    small.ok("run", "--rm", "busybox", "true")
    load(small, "big:1", megabytes(4))
    wait_for(small, {"busybox:latest", "held:1", "newer:1", "big:1"})
    assert "removed image old:1, which was not used for longest" in small.log
    load(small, "bigger:1", megabytes(4))
    wait_for(small, {"busybox:latest", "held:1", "big:1", "bigger:1"})
    load(small, "last:1", megabytes(1))
    wait_for(small, {"busybox:latest", "held:1", "big:1", "bigger:1", "last:1"})
    assert "all of them are in use, or were just now" in small.log


def test_budget_holds_at_the_start_and_for_several_names(small: Shoald) -> None:
    """What an earlier, more generous daemon has left is looked at; an image goes with all its names."""
    load(small, "one:1", megabytes(3))
    answer = small.request("POST", "/images/load", docker_archive((["two:1", "two:2"], (megabytes(2),))))
    assert answer.status == 200
    small.flags = ("--image-store-budget", "3MB")
    grow_old(small, "two:1", "two:2", "one:1", "busybox:latest")
    wait_for(small, {"busybox:latest"})
