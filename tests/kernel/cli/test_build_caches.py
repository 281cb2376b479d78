"""Caches of builds in registries, in directories and in images: a daemon that never made a step finds it there."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.engines.engine import Engine
from tests.engines.registry import Registry, is_installed
from tests.kernel.cli.building import build

pytestmark = pytest.mark.root

TEXT = (
    "FROM busybox AS b\nRUN cat /proc/sys/kernel/random/uuid > /one\nFROM busybox\nENV A=1\nCOPY --from=b /one /one\n"
    "RUN cat /proc/sys/kernel/random/uuid > /two\n"
)


@pytest.fixture
def registry() -> Iterator[Registry]:
    """An empty registry."""
    if not is_installed():
        pytest.skip("docker-registry is not installed")
    with Registry() as registry:
        yield registry


def forget(engine: Engine, *images: str) -> None:
    """Have the engine know nothing of what it has built, as a fresh one would."""
    engine.ok("rmi", "-f", *images)
    engine.request("POST", "/build/prune?all=1")


def layers(engine: Engine, image: str) -> str:
    """The diffIDs of an image's layers."""
    return engine.ok("image", "inspect", "-f", "{{.RootFS.Layers}}", image)


def test_cache_in_a_registry(engine: Engine, registry: Registry) -> None:
    """With mode=max the steps of every stage are found; with mode=min those of the result, whose files are needed."""
    for mode, found in (("max", 4), ("min", 1)):
        name = f"{registry.host}/cache:{mode}"
        output = build(engine, TEXT, "--cache-to", f"type=registry,ref={name},mode={mode}", "-t", "first")
        assert f"Cache exported to {name}" in output
        before = layers(engine, "first")
        forget(engine, "first")
        output = build(engine, TEXT, "--cache-from", f"type=registry,ref={name}", "-t", "second")
        assert output.count("cached ") == found, output
        assert (layers(engine, "second") == before) == (mode == "max")
        forget(engine, "second")


def test_cache_in_a_directory(engine: Engine, tmp_path: Path) -> None:
    """It is an OCI layout; taken up, it spares every step; what it says counts for that build alone."""
    place = tmp_path / "cache"
    build(engine, TEXT, "--cache-from", f"type=local,src={place}", "-t", "first")
    build(engine, TEXT, "--cache-to", f"type=local,dest={place},mode=max", "-t", "first")
    index = json.loads((place / "index.json").read_bytes())
    assert json.loads((place / "oci-layout").read_bytes()) == {"imageLayoutVersion": "1.0.0"}
    assert len(index["manifests"]) == 1
    before = layers(engine, "first")
    forget(engine, "first")
    output = build(engine, TEXT, "--cache-from", f"type=local,src={place}", "-t", "second")
    assert output.count("cached ") == 4, output
    assert layers(engine, "second") == before
    engine.ok("rmi", "-f", "second")
    assert build(engine, TEXT, "-t", "third").count("cached ") == 0


def test_cache_in_the_image_by_flag(engine: Engine) -> None:
    """`--cache-to type=inline` is what BUILDKIT_INLINE_CACHE=1 is."""
    build(engine, TEXT, "--cache-to", "type=inline", "-t", "carrier")
    engine.request("POST", "/build/prune?all=1")
    output = build(engine, TEXT, "--cache-from", "type=registry,ref=carrier", "-t", "carried")
    assert "cached ENV A=1" in output


def blob(place: Path, digest: str) -> Path:
    """The file of a blob."""
    return place / "blobs/sha256" / digest.removeprefix("sha256:")


def rewritten(place: Path, change: Any) -> None:
    """A layout whose cache document and manifest are changed by `change`, all digests right."""
    index = json.loads((place / "index.json").read_bytes())
    manifest = json.loads(blob(place, index["manifests"][0]["digest"]).read_bytes())
    document = json.loads(blob(place, manifest["config"]["digest"]).read_bytes())
    change(document, manifest)
    for holder, value in ((manifest["config"], document), (index["manifests"][0], manifest)):
        raw = json.dumps(value).encode()
        holder.update(digest=f"sha256:{hashlib.sha256(raw).hexdigest()}", size=len(raw))
        blob(place, holder["digest"]).write_bytes(raw)
    (place / "index.json").write_text(json.dumps(index))


def swapped(document: Any, _manifest: Any) -> None:
    """Layers under each other's digests."""
    document["diff_ids" if "diff_ids" in document else "diffIds"].reverse()


HOSTILE = {
    "a layer that there is not": lambda document, _: document["steps"].append({"key": "0" * 64, "layer": 99}),
    "a key that is none": lambda document, _: document["steps"].append({"key": "../../x"}),
    "fewer diffIDs than layers": lambda document, _: document["diffIds"].pop(),
    "a digest that is none": lambda document, _: document["diffIds"].__setitem__(0, "sha256:../../etc/passwd"),
    "a negative size": lambda _, manifest: manifest["layers"][0].update(size=-1),
    "another thing": lambda _, manifest: manifest["config"].update(mediaType="application/json"),
    "a number for a list": lambda document, _: document.update(steps=7),
}


def test_hostile_caches_are_refused(engine: Engine, tmp_path: Path) -> None:
    """What can't be a cache is not used, and said; the build goes on without, and the engine too."""
    place = tmp_path / "cache"
    build(engine, TEXT, "--cache-to", f"type=local,dest={place},mode=max", "-t", "first")
    forget(engine, "first")
    good = {path: path.read_bytes() for path in place.rglob("*") if path.is_file()}
    for what, change in HOSTILE.items():
        rewritten(place, change)
        output = build(engine, TEXT, "--cache-from", f"type=local,src={place}")
        for path, content in good.items():
            path.write_bytes(content)
        assert "[Warning] the cache" in output, (what, output)
        engine.request("POST", "/build/prune?all=1")
        engine.ok("image", "prune", "-f")


def test_damaged_and_swapped_layers_are_made_anew(engine: Engine, tmp_path: Path) -> None:
    """A layer with another content than its diffID says is not taken, nor one whose blob is cut off."""
    place = tmp_path / "cache"
    build(engine, TEXT, "--cache-to", f"type=local,dest={place},mode=max", "-t", "first")
    forget(engine, "first")
    rewritten(place, swapped)
    output = build(engine, TEXT, "--cache-from", f"type=local,src={place}", "-t", "second")
    assert output.count("[Warning] not taken from the cache: invalid diffID") >= 1, output
    forget(engine, "second")
    for path in (place / "blobs/sha256").iterdir():
        if path.stat().st_size % 512 == 0:
            path.write_bytes(path.read_bytes()[:-512])
    output = build(engine, TEXT, "--cache-from", f"type=local,src={place}", "-t", "third")
    assert "[Warning] not taken from the cache: the build cache has no sha256:" in output


@pytest.mark.parametrize(
    ("flag", "value", "sentence"),
    [
        ("--cache-to", "type=gha", "caches of type 'gha' are not supported"),
        ("--cache-to", "type=registry", "registry cache requires ref"),
        ("--cache-to", "type=local", "local cache requires dest"),
        ("--cache-to", "type=registry,ref=x,mode=all", "invalid cache mode: all"),
        ("--cache-from", "type=local", "local cache requires src"),
        ("--cache-from", "type=registry,ref=x,compression=zstd", "invalid cache option: compression"),
        ("--cache-from", "type=local,x", "invalid cache"),
    ],
)
def test_bad_cache_flags_are_refused(engine: Engine, flag: str, value: str, sentence: str) -> None:
    """A type, an option or a mode that there is not is told before anything is built."""
    assert sentence in build(engine, "FROM scratch\n", flag, value, code=1)
