"""Builds where the kernel can't have overlayfs on the data root: commands run on copies."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.engines.shoald import Shoald
from tests.kernel.cli.building import build

pytestmark = pytest.mark.root

TEXT = (
    "FROM busybox AS b\nRUN mkdir /d && echo 1 > /d/a && echo 2 > /d/b && ln -s a /d/l\n"
    "RUN rm /d/b && echo 3 >> /d/a && mkdir /d/sub && echo new > /d/sub/c\n"
    "RUN true\n"
    "RUN --mount=type=cache,target=/cache --mount=type=tmpfs,target=/m rm /d/sub/c && touch /d/sub/e\n"
)


@pytest.fixture
def vfs() -> Iterator[Shoald]:
    """A shoald that copies."""
    engine = Shoald("--storage-driver", "vfs")
    try:
        engine.start()
        engine.import_busybox()
        yield engine
    finally:
        engine.close()


def test_build_without_overlayfs_makes_the_same_image(vfs: Shoald, shoald: Shoald) -> None:
    """Layers hold what commands changed and nothing else: they are the same as where overlayfs is."""
    layers = []
    for engine in (vfs, shoald):
        build(engine, TEXT, "-t", "driven")
        layers.append(engine.ok("image", "inspect", "-f", "{{.RootFS.Layers}}", "driven"))
        sizes = engine.ok("history", "--format", "{{.Size}}", "driven").splitlines()[:4]
        assert sizes == ["0B", "0B", "8B", "4B"]
        assert engine.ok("run", "--rm", "driven", "sh", "-c", "cat /d/a; ls /d /d/sub").split() == [
            *("1", "3", "/d:", "a", "l", "sub", "/d/sub:", "e")
        ]
    assert layers[0] == layers[1]


def test_build_without_overlayfs_keeps_what_a_failed_command_left(vfs: Shoald) -> None:
    """The state of a failed command is its own changes on the image."""
    output = build(vfs, "FROM busybox\nRUN echo left > /x; exit 4\n", code=4)
    state = output.rpartition("shoal debug ")[2].split()[0]
    assert vfs.ok("run", "--rm", state, "cat", "/x") == "left"
