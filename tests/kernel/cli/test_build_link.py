"""COPY and ADD with --link: layers that are the same on top of anything."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.engines.engine import Engine
from tests.kernel.cli.building import build
from tests.kernel.cli.shoal import shoal

pytestmark = pytest.mark.root


def layers(engine: Engine, image: str) -> list[str]:
    """The diffIDs of an image's layers."""
    return list(json.loads(engine.ok("image", "inspect", "-f", "{{json .RootFS.Layers}}", image)))


def test_linked_copy_is_found_on_another_base(engine: Engine, tmp_path: Path) -> None:
    """What was copied on one base is not copied again on another one: the layer is taken, and is the same."""
    (tmp_path / "a").write_text("a\n")
    text = "FROM busybox\nRUN echo {} > /below\nCOPY --link --chown=app a /d/\nADD --link a /e\nRUN ls -n /d/a /e\n"
    outputs = []
    for name in ("one", "two"):
        (tmp_path / "Dockerfile").write_text(text.format(name))
        outputs.append(shoal(engine, "build", "-t", name, str(tmp_path)).stdout.decode())
    assert outputs[0].count("cached ") == 0
    assert outputs[1].count("cached COPY --link") == outputs[1].count("cached ADD --link") == 1
    assert layers(engine, "one")[2:] == layers(engine, "two")[2:]
    assert engine.ok("run", "--rm", "two", "sh", "-c", "cat /below /d/a /e").split() == ["two", "a", "a"]
    assert engine.ok("run", "--rm", "two", "stat", "-c", "%U", "/d/a", "/e").split() == ["app", "root"]
    engine.ok("rmi", "one")
    assert engine.ok("run", "--rm", "two", "cat", "/d/a") == "a"


def test_linked_copy_follows_no_link_of_the_base(engine: Engine) -> None:
    """A link in the destination is replaced by a directory; without --link it is followed."""
    text = "FROM busybox\nRUN mkdir /real && ln -s real /l\nCOPY {} <<x /l/\ncontent\nx\n"
    build(engine, text.format("--link"), "-t", "linked")
    assert engine.ok("run", "--rm", "linked", "sh", "-c", "test ! -L /l && ls /l && ls -A /real") == "x"
    build(engine, text.format(""), "-t", "followed")
    assert engine.ok("run", "--rm", "followed", "sh", "-c", "test -L /l && ls /real") == "x"


def test_linked_copy_of_nothing_leaves_the_base_as_it_is(engine: Engine, tmp_path: Path) -> None:
    """Where everything is excluded there is no layer, on any base."""
    (tmp_path / "a").write_text("a\n")
    for name in ("one", "two"):
        text = f"FROM busybox\nRUN echo {name} > /below\nCOPY --link --exclude=* a /d/\n"
        (tmp_path / "Dockerfile").write_text(text)
        assert shoal(engine, "build", "-t", name, str(tmp_path)).returncode == 0
        assert engine.ok("run", "--rm", name, "cat", "/below") == name
        assert len(layers(engine, name)) == 2
