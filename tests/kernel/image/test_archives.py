"""`docker load` and `docker save`: every form in, both forms out, and archives that lie."""

from __future__ import annotations

import gzip
import io
import json
import os
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from shoal.errors import InvalidArgument, NotFound, Unavailable
from shoal.image.image import LayerProgress, Loaded, Renamed
from shoal.image.store import ImageStore
from shoal.oci.platform import Platform
from tests.kernel.image.archives import (
    COMPRESSORS,
    Layout,
    archive,
    config,
    docker_archive,
    hex_digest,
    version1_archive,
)
from tests.kernel.image.trees import EVERYTHING, describe, directory, file, layer, leftovers, open_store

pytestmark = pytest.mark.root

ONE = layer(directory("etc"), file("etc/a", b"a" * 10))
TWO = layer(file("etc/b", b"b" * 100), file("etc/.wh.a"))


@pytest.fixture
def store(tmp_path: Path) -> Iterator[ImageStore]:
    """An empty store; at the end it must have no scratch files."""
    made = open_store(tmp_path / "data")
    yield made
    made.close()
    assert leftovers(tmp_path / "data") == []


def load(store: ImageStore, data: bytes) -> list[str | None]:
    """The names of the images that an archive brings, None for a nameless one."""
    return [event.reference for event in store.load(io.BytesIO(data)) if isinstance(event, Loaded)]


def save(store: ImageStore, *names: str) -> bytes:
    """The archive of these images."""
    out = io.BytesIO()
    store.save(names, out)
    return out.getvalue()


@pytest.mark.parametrize("form", COMPRESSORS)
def test_load_docker_archive_any_compression(store: ImageStore, form: str) -> None:
    """manifest.json with plain, gzip and zstd layers: id, names, layers and sizes are right."""
    assert load(store, docker_archive((["app:1", "quay.io/me/app:2"], (ONE, TWO)), form=form)) == [
        "app:1",
        "quay.io/me/app:2",
    ]
    image = store.get("app:1")
    assert image.id == f"sha256:{hex_digest(config(ONE, TWO))}"
    assert image.repo_tags == ["app:1", "quay.io/me/app:2"]
    assert image.size_bytes == 110
    assert [item.size_bytes for item in store.layers_of(image)] == [10, 100]
    assert store.config_bytes(image) == config(ONE, TWO)


def test_load_compressed_archive_works(store: ImageStore) -> None:
    """`docker load` takes a gzipped archive as a whole."""
    assert load(store, gzip.compress(docker_archive((["app:1"], (ONE,))))) == ["app:1"]


def test_load_several_images_share_layers(store: ImageStore) -> None:
    """Images in one archive are all loaded; what they share is there once."""
    assert load(store, docker_archive((["a:1"], (ONE,)), (["b:1"], (ONE, TWO)), ([], (TWO,)))) == ["a:1", "b:1", None]
    assert store.layers_size() == 10 + 100 + 100  # TWO on ONE, and TWO on nothing, are different layers
    (loose,) = (image.id for image in store.images() if not image.references)
    assert store.shared_sizes() == {store.get("a:1").id: 10, store.get("b:1").id: 10, loose: 0}
    assert store.get("b:1").chain_ids[0] == store.get("a:1").chain_ids[0]


def test_load_tells_progress_and_moved_names(store: ImageStore) -> None:
    """Layers are told as they begin and end, and an older image that loses its name."""
    load(store, docker_archive((["app:1"], (ONE,))))
    older = store.get("app:1").id
    events = list(store.load(io.BytesIO(docker_archive((["app:1"], (ONE, TWO))))))
    assert [type(event) for event in events] == [*[LayerProgress] * 4, Renamed, Loaded]
    assert events[4] == Renamed("app:1", older)
    assert store.get(older).references == ()


@pytest.mark.parametrize("form", COMPRESSORS)
def test_load_oci_layout_by_its_annotations(store: ImageStore, form: str) -> None:
    """index.json: the name comes from containerd's annotation, or from the reference annotation if it is one."""
    layout = Layout()
    layout.add(layout.image(ONE, form=form), annotations={"io.containerd.image.name": "docker.io/library/one:1"})
    layout.add(layout.image(ONE, TWO, form=form), annotations={"org.opencontainers.image.ref.name": "two:2"})
    layout.add(layout.image(TWO, form=form), annotations={"org.opencontainers.image.ref.name": "latest"})
    assert load(store, layout.bytes()) == ["one:1", "two:2", None]
    assert store.get("two:2").size_bytes == 110


def test_load_oci_index_takes_this_machines_platform(store: ImageStore) -> None:
    """Of an image for several platforms, ours is loaded, or the one asked for; others are passed over."""
    layout = Layout()
    ours, foreign = layout.image(ONE), layout.image(TWO, document=config(TWO, architecture="s390x"))
    manifests = [
        layout.blob(foreign, MANIFEST, platform={"os": "linux", "architecture": "s390x"}),
        layout.blob(
            ours,
            MANIFEST,
            platform={"os": "linux", "architecture": Platform.of_machine(os.uname().machine).architecture},
        ),
        layout.blob(b"{}", MANIFEST, platform={"os": "unknown", "architecture": "unknown"}),
    ]
    index = json.dumps({"schemaVersion": 2, "manifests": manifests}).encode()
    layout.add(index, "index", annotations={"io.containerd.image.name": "docker.io/library/multi:1"})
    assert load(store, layout.bytes()) == ["multi:1"]
    assert store.get("multi:1").size_bytes == 10
    list(store.load(io.BytesIO(layout.bytes()), platform=Platform("linux", "s390x")))
    assert store.get("multi:1").platform == Platform("linux", "s390x")
    with pytest.raises(InvalidArgument, match="no image for platform linux/riscv64 in the archive"):
        list(store.load(io.BytesIO(layout.bytes()), platform=Platform("linux", "riscv64")))


MANIFEST = "application/vnd.oci.image.manifest.v1+json"


def test_load_oci_index_without_our_platform_is_refused(store: ImageStore) -> None:
    """An archive for other machines only says so."""
    layout = Layout()
    layout.add(layout.image(ONE), platform={"os": "linux", "architecture": "pdp11"})
    with pytest.raises(InvalidArgument, match="no image for platform linux/"):
        load(store, layout.bytes())


def test_load_version1_archive_makes_a_configuration(store: ImageStore) -> None:
    """The layout from before Docker 1.10: history and diffIDs are made from the chain of documents."""
    names = {"old": {"1": "b" * 64}, "older": {"1": "a" * 64}}
    data = version1_archive(names, [("a" * 64, ONE), ("b" * 64, TWO)])
    assert sorted(map(str, load(store, data))) == ["old:1", "older:1"]
    image = store.get("old:1")
    assert image.diff_ids == (f"sha256:{hex_digest(ONE)}", f"sha256:{hex_digest(TWO)}")
    assert image.config.cmd == ["sh"]
    assert [entry.created_by for entry in store.history("old:1")] == [
        f"/bin/sh -c make {'b' * 64}",
        f"/bin/sh -c make {'a' * 64}",
    ]


def test_load_linked_layers_are_followed(store: ImageStore) -> None:
    """Old archives link a layer that occurs twice."""
    linked = version1_archive({"old": {"1": "b" * 64}}, [("a" * 64, ONE), ("b" * 64, None)])
    assert load(store, linked) == ["old:1"]
    assert store.get("old:1").diff_ids == (f"sha256:{hex_digest(ONE)}",) * 2


# -- archives that lie ------------------------------------------------------------------------------------------------


def lying_archives() -> dict[str, tuple[bytes, str]]:
    """Archives that must be refused, with the sentence."""
    good = docker_archive((["app:1"], (ONE,)))
    document, wrong = config(ONE), config(TWO)
    name = f"{hex_digest(ONE)}/layer.tar"
    entry = {"Config": "c.json", "RepoTags": ["app:1"], "Layers": [name]}

    def with_entry(**fields: object) -> bytes:
        listing = json.dumps([{**entry, **fields}]).encode()
        return archive({"c.json": document, "w.json": wrong, name: ONE, "manifest.json": listing})

    layout = Layout()
    layout.add(layout.image(ONE))
    blob = next(key for key, value in layout.members.items() if value.startswith(b"\x1f\x8b"))
    swapped = Layout()
    swapped.members, swapped.manifests = {**layout.members, blob: gzip.compress(TWO)}, layout.manifests
    bad_path = archive({"manifest.json": json.dumps([{**entry, "Config": "../../etc/passwd"}]).encode()})
    return {
        "empty": (b"", "unrecognized image format"),
        "no tar": (b"not a tar at all" * 100, "invalid tar header"),
        "truncated": (good[: len(good) // 2], "unexpected EOF"),
        "no contents": (archive({"a": b"x"}), "unrecognized image format"),
        "bad json": (archive({"manifest.json": b"{"}), "invalid manifest.json"),
        "wrong type": (archive({"manifest.json": b'[{"Config": 5}]'}), "invalid manifest.json"),
        "missing config": (with_entry(Config="none.json"), "invalid image archive"),
        "missing layer": (with_entry(Layers=["none"]), "invalid image archive"),
        "path outside": (bad_path, "invalid layer entry"),
        "wrong layer": (with_entry(Config="w.json"), "invalid diffID for layer 0"),
        "too few layers": (with_entry(Layers=[]), "invalid manifest, layers length mismatch: expected 1, got 0"),
        "bad name": (with_entry(RepoTags=["Foo:1"]), "invalid reference format"),
        "no tag": (with_entry(RepoTags=["foo"]), 'invalid tag "foo"'),
        "wrong blob": (swapped.bytes(), "invalid image archive: wrong digest"),
        "other system": (
            archive({"c.json": config(ONE, os="windows"), name: ONE, "manifest.json": json.dumps([entry]).encode()}),
            "cannot load windows image on linux",
        ),
        "circle": (
            archive(
                {
                    "repositories": json.dumps({"a": {"1": "x"}}).encode(),
                    "x/json": b'{"parent": "x"}',
                    "x/layer.tar": ONE,
                }
            ),
            "invalid image archive",
        ),
        "hostile layer": (docker_archive((["app:1"], (layer(file("../x", b"x")),))), "invalid layer entry"),
    }


@pytest.mark.parametrize("name", lying_archives())
def test_load_lying_archive_is_refused_and_leaves_nothing(store: ImageStore, tmp_path: Path, name: str) -> None:
    """Each kind of broken archive has its sentence; no image, layer or scratch file stays."""
    data, sentence = lying_archives()[name]
    with pytest.raises(InvalidArgument) as caught:
        load(store, data)
    assert caught.value.what.startswith(sentence)
    assert list(store.images()) == []
    assert list((tmp_path / "data" / "layers").iterdir()) == []


def test_load_second_image_bad_keeps_the_first(store: ImageStore) -> None:
    """What was told as loaded stays."""
    data = docker_archive((["good:1"], (ONE,)), (["bad:1"], (ONE, layer(file("../x")))))
    with pytest.raises(InvalidArgument):
        load(store, data)
    assert [image.repo_tags for image in store.images()] == [["good:1"]]


def test_load_abandoned_midway_leaves_nothing_half_done(store: ImageStore, tmp_path: Path) -> None:
    """A client that goes away while a load runs leaves no scratch file and no layer without an image."""
    events = store.load(io.BytesIO(docker_archive((["app:1"], (ONE, TWO)))))
    next(events)
    next(events)
    events.close()
    assert leftovers(tmp_path / "data") == []
    assert list((tmp_path / "data" / "layers").iterdir()) == []


def test_load_member_that_occurs_twice_the_later_counts(store: ImageStore) -> None:
    """Members of one name don't get into each other's way: the later one is taken, and the others stay right."""
    document = config(TWO)
    listing = json.dumps([{"Config": "c", "RepoTags": ["app:1"], "Layers": ["layer"]}]).encode()
    twice = archive({"layer": ONE})[:-1024] + archive({"layer": TWO, "c": document, "manifest.json": listing})
    assert load(store, twice) == ["app:1"]
    assert store.get("app:1").diff_ids == (f"sha256:{hex_digest(TWO)}",)


def test_load_progress_hears_of_a_big_layer_and_may_stop_it(store: ImageStore, tmp_path: Path) -> None:
    """Within a layer the progress grows step by step; what the listener raises ends the load without a trace.

    The layer is not unpacked ahead, for its name says that there is one of the same archive.
    """
    big = layer(*(file(f"f{number}", os.urandom(1 << 20)) for number in range(8)))
    load(store, docker_archive((["same:1"], (big,))))
    layout = Layout()
    layout.add(layout.image(ONE, big, form=""))
    data = layout.bytes()
    there = sorted((tmp_path / "data" / "layers").iterdir())
    heard: list[int] = []

    def leave(progress: LayerProgress) -> None:
        if progress.total_bytes == len(big):
            heard.append(progress.current_bytes)
        if len(heard) == 3:
            raise Unavailable("the client has gone")

    with pytest.raises(Unavailable):
        list(store.load(io.BytesIO(data), progress=leave))
    assert heard == sorted(set(heard))
    assert [image.repo_tags for image in store.images()] == [["same:1"]]
    assert sorted((tmp_path / "data" / "layers").iterdir()) == there
    assert leftovers(tmp_path / "data") == []


# -- unpacked ahead ---------------------------------------------------------------------------------------------------

BIG = layer(*(file(f"f{number}", os.urandom(40_000)) for number in range(20)))
OTHER = layer(directory("d", mode=0o711), file("d/g", os.urandom(600_000)))
IMPLIED = layer(file("d/h", os.urandom(500_000)))  # its directory has what that of the layer below has


def test_load_layers_in_any_order_are_laid_on_each_other(store: ImageStore, tmp_path: Path) -> None:
    """The top one comes first, a part of it is inherited from below, and one occurs in two images."""
    layers = {"3": BIG, "2": IMPLIED, "1": gzip.compress(OTHER)}
    documents = {"a.json": config(OTHER, IMPLIED, BIG), "b.json": config(BIG)}
    listing = [
        {"Config": "a.json", "RepoTags": ["a:1"], "Layers": ["1", "2", "3"]},
        {"Config": "b.json", "RepoTags": ["b:1"], "Layers": ["3"]},
    ]
    data = archive({**layers, **documents, "manifest.json": json.dumps(listing).encode()})
    assert load(store, data) == ["a:1", "b:1"]
    middle = tmp_path / "data/layers" / store.get("a:1").chain_ids[1].removeprefix("sha256:") / "diff"
    assert (middle / "d").stat().st_mode & 0o777 == 0o711
    assert load(store, data) == ["a:1", "b:1"]
    assert len(list((tmp_path / "data/layers").iterdir())) == 4


def test_load_big_members_that_are_no_layers_are_dropped(store: ImageStore, tmp_path: Path) -> None:
    """A tar that no image has, one that is none, and one that leads out of its root: only an image's must be right."""
    document = config(BIG)
    listing = json.dumps([{"Config": "c", "RepoTags": ["app:1"], "Layers": ["good"]}]).encode()
    outside = layer(file("../x", os.urandom(300_000)))
    noise = {"stray": OTHER, "torn": OTHER[:400_000] + os.urandom(200_000), "evil": outside}
    assert load(store, archive({**noise, "good": BIG, "c": document, "manifest.json": listing})) == ["app:1"]
    assert len(list((tmp_path / "data/layers").iterdir())) == 1
    listing = json.dumps([{"Config": "c", "RepoTags": ["bad:1"], "Layers": ["evil"]}]).encode()
    with pytest.raises(InvalidArgument, match="outside of the root"):
        load(store, archive({**noise, "c": config(outside), "manifest.json": listing}))


def test_load_cut_in_the_middle_of_a_layer_leaves_nothing(store: ImageStore, tmp_path: Path) -> None:
    """The thread that unpacks ahead is told, and what it has made goes."""
    data = docker_archive((["app:1"], (BIG,)))
    with pytest.raises(InvalidArgument, match="unexpected EOF"):
        load(store, data[: len(data) // 2])
    assert list((tmp_path / "data/layers").iterdir()) == []


def test_load_layer_whose_tree_lacks_data_gives_its_archive_back(store: ImageStore) -> None:
    """A big layer in which a file is replaced is written down nowhere, and still comes back bit for bit."""
    twice = layer(file("a", os.urandom(300_000)), file("a", b"new"), file("b", os.urandom(300_000)))
    load(store, docker_archive((["app:1"], (twice,))))
    with tarfile.open(fileobj=io.BytesIO(save(store, "app:1"))) as tar:
        found = tar.extractfile(f"blobs/sha256/{hex_digest(twice)}")
        assert found is not None
        assert found.read() == twice


def test_load_big_layers_of_a_version1_archive_have_their_digests(store: ImageStore) -> None:
    """Where no document names the layers' digests, they are those of the archives that were unpacked."""
    assert load(store, version1_archive({"old": {"1": "b" * 64}}, [("a" * 64, BIG), ("b" * 64, OTHER)])) == ["old:1"]
    assert store.get("old:1").diff_ids == (f"sha256:{hex_digest(BIG)}", f"sha256:{hex_digest(OTHER)}")


def test_load_layer_in_the_place_of_a_document_is_refused(store: ImageStore) -> None:
    """A configuration that is a big tar has its sentence."""
    listing = json.dumps([{"Config": "c", "RepoTags": ["app:1"], "Layers": ["c"]}]).encode()
    with pytest.raises(InvalidArgument, match="a layer in the place of a JSON document"):
        load(store, archive({"c": BIG, "manifest.json": listing}))


# -- save -------------------------------------------------------------------------------------------------------------


def test_save_writes_both_tables_of_contents(store: ImageStore) -> None:
    """The archive is an OCI layout and has manifest.json and repositories, as Docker's of today."""
    load(store, docker_archive((["app:1", "app:2"], (ONE, TWO))))
    with tarfile.open(fileobj=io.BytesIO(save(store, "app:1"))) as tar:
        files = {m.name: extracted.read() for m in tar if (extracted := tar.extractfile(m))}
    document = config(ONE, TWO)
    (item,) = json.loads(files["manifest.json"])
    assert item["Config"] == f"blobs/sha256/{hex_digest(document)}"
    assert item["RepoTags"] == ["app:1"]
    assert [files[name] for name in item["Layers"]] == [ONE, TWO]
    (descriptor,) = json.loads(files["index.json"])["manifests"]
    assert descriptor["annotations"] == {
        "io.containerd.image.name": "docker.io/library/app:1",
        "org.opencontainers.image.ref.name": "1",
    }
    manifest = json.loads(files["blobs/sha256/" + descriptor["digest"].removeprefix("sha256:")])
    assert files["blobs/sha256/" + manifest["config"]["digest"].removeprefix("sha256:")] == document
    assert json.loads(files["oci-layout"]) == {"imageLayoutVersion": "1.0.0"}
    assert json.loads(files["repositories"]) == {"app": {"1": hex_digest(TWO)}}
    assert all(hex_digest(data) in name for name, data in files.items() if name.startswith("blobs/"))


def test_save_names_choose_what_is_saved(store: ImageStore) -> None:
    """A repository means all its tags, an id an image without name, and twice the same is once."""
    load(store, docker_archive((["app:1"], (ONE,)), (["app:2", "other:1"], (ONE, TWO))))
    identity = store.get("app:1").id

    def saved(*names: str) -> list[list[str] | None]:
        with tarfile.open(fileobj=io.BytesIO(save(store, *names))) as tar:
            listing = tar.extractfile("manifest.json")
            assert listing is not None
            return [item["RepoTags"] for item in json.loads(listing.read())]

    assert saved("app") == [["app:1"], ["app:2"]]
    assert saved(identity) == [None]
    assert saved("app:1", "app:1", identity[7:19]) == [["app:1"]]
    assert saved("app:2", "other:1") == [["app:2", "other:1"]]
    with pytest.raises(NotFound, match="No such image: nope:latest"):
        save(store, "app:1", "nope")


def test_save_load_round_trip_keeps_everything(store: ImageStore, tmp_path: Path) -> None:
    """What is saved and loaded elsewhere has the same id and the same files, down to capabilities and devices."""
    top = layer(directory("all"), file("all/.wh.plain"), file("all/sticky/.wh..wh..opq"), file("double", b"1"))
    twice = layer(file("x", b"first"), file("x", b"second"))  # its archive can't be rebuilt from the tree
    load(store, docker_archive((["app:1"], (layer(*EVERYTHING) + bytes(3000), top, twice)), form="+gzip"))
    data = save(store, "app:1")
    other = open_store(tmp_path / "other")
    assert load(other, data) == ["app:1"]
    assert other.get("app:1").id == store.get("app:1").id
    for left, right in zip(store.get("app:1").chain_ids, other.get("app:1").chain_ids, strict=True):
        assert describe(tree(tmp_path / "data", left)) == describe(tree(tmp_path / "other", right))
    assert save(other, "app:1") == data
    other.close()


def tree(root: Path, chain_id: str) -> Path:
    """The unpacked files of a layer."""
    return root / "layers" / chain_id.removeprefix("sha256:") / "diff"


def test_save_after_a_restart_is_the_same(store: ImageStore, tmp_path: Path) -> None:
    """Nothing that save needs lives in memory only."""
    load(store, docker_archive((["app:1"], (ONE, TWO))))
    data = save(store, "app:1")
    again = open_store(tmp_path / "data")
    assert save(again, "app:1") == data
    again.close()


def test_load_more_images_than_anybody_saves(store: ImageStore) -> None:
    """A small archive can't have one document read for a hundred thousand images, whatever its form."""
    item = {"Config": "config.json", "RepoTags": None, "Layers": []}
    members = {"config.json": config(), "manifest.json": json.dumps([item] * 1001).encode()}
    with pytest.raises(InvalidArgument, match="more than 1000 images"):
        load(store, archive(members))
    index = b'{"schemaVersion":2,"manifests":[]}'
    named = {"mediaType": "application/vnd.oci.image.index.v1+json", "size": len(index)}
    nested = [{**named, "digest": f"sha256:{hex_digest(index)}"}] * 1001
    top = json.dumps({"schemaVersion": 2, "manifests": nested}).encode()
    with pytest.raises(InvalidArgument, match="more than 1000 images"):
        load(store, archive({"index.json": top, f"blobs/sha256/{hex_digest(index)}": index}))
