"""Round trips with skopeo, umoci, buildah and Podman: what they write is loaded, what is saved and pushed they read."""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from shoal.image.image import Loaded
from shoal.image.registry.credentials import Credentials
from shoal.image.registry.endpoints import RegistrySettings
from shoal.image.store import ImageStore
from shoal.oci.reference import Reference
from tests.engines import registry
from tests.engines.registry import Registry
from tests.kernel.image.pulls import AMD64
from tests.kernel.image.trees import EVERYTHING, directory, file, layer, leftovers, open_store

pytestmark = pytest.mark.root

NAME = "example.org/inter/op:1"
BASE = layer(*EVERYTHING, directory("etc"), file("etc/old", b"old"), file("etc/kept", b"kept"))
TOP = layer(file("etc/new", b"n" * 5000), file("etc/.wh.old"))
_DEADLINE_S = 120


@dataclass
class Desk:
    """A store with an image of two layers, and a directory for what others write."""

    store: ImageStore
    directory: Path
    id: str
    short: str

    def path(self, name: str) -> str:
        """A path in the directory."""
        return str(self.directory / name)

    def run(self, *command: str) -> str:
        """What a program prints, once it has succeeded."""
        environment = {"PATH": os.environ["PATH"], "HOME": self.path("home"), "TMPDIR": self.path("tmp")}
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=_DEADLINE_S, check=False, cwd="/"
        )
        assert done.returncode == 0, (command, done.stdout, done.stderr)
        return done.stdout

    def skopeo(self, source: str, target: str, *options: str) -> None:
        """Copy an image with skopeo."""
        if shutil.which("skopeo") is None:
            pytest.skip("skopeo is not installed")
        self.run("skopeo", "--insecure-policy", "copy", "--quiet", *options, source, target)

    def containers(self, program: str, *words: str) -> str:
        """What Podman or buildah prints; nothing of the host's takes part."""
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed")
        places = ["--root", self.path("root"), "--runroot", self.short, "--storage-driver", "vfs"]
        return self.run(program, *places, *words)

    def save(self, file: str, *names: str) -> str:
        """The path of an archive of these images."""
        with open(self.path(file), "wb") as out:
            self.store.save(names or (NAME,), out)
        return self.path(file)

    def load(self, path: str) -> list[str | None]:
        """The names that an archive brings; it comes through a pipe, as from stdin."""
        reader, writer = os.pipe()
        with subprocess.Popen(["cat", path], stdout=writer), open(reader, "rb") as stream:
            os.close(writer)
            return [event.reference for event in self.store.load(stream) if isinstance(event, Loaded)]

    def forget(self) -> None:
        """Remove every image."""
        while images := self.store.images():
            self.store.remove(max(images, key=lambda image: len(image.chain_ids)).id, force=True)


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    """A store with an image that others are to read."""
    store = open_store(tmp_path / "data")
    for name in ("home", "tmp"):
        (tmp_path / name).mkdir()
    base = store.import_tar(io.BytesIO(BASE), changes=['CMD ["/bin/sh"]', "ENV A=b", "LABEL l=m"])
    id = store.add_layer(base, io.BytesIO(TOP), target=NAME)
    short = tempfile.mkdtemp(prefix="interop-", dir="/tmp")  # Podman wants less than 50 letters
    yield Desk(store, tmp_path, id, short)
    shutil.rmtree(short, ignore_errors=True)
    store.close()
    assert leftovers(tmp_path / "data") == []


@pytest.mark.parametrize("form", ["docker-archive", "oci-archive"])
def test_skopeo_copies_what_was_saved_and_it_loads_again(desk: Desk, form: str) -> None:
    """A saved archive goes through skopeo into either form of archive, and is the same image afterwards."""
    saved = desk.save("saved.tar")
    name = f":{NAME}" if form == "docker-archive" else ":op"
    desk.skopeo(f"docker-archive:{saved}", f"{form}:{desk.path('copied.tar')}{name}")
    desk.forget()
    assert len(desk.load(desk.path("copied.tar"))) == 1
    image = desk.store.images()[0]
    assert [layer.diff_id for layer in desk.store.layers_of(image)]
    assert image.config.cmd == ["/bin/sh"]
    if form == "docker-archive":
        assert image.id == desk.id


@pytest.mark.parametrize("compression", ["gzip", "zstd"])
def test_skopeos_oci_layout_is_loaded(desk: Desk, compression: str) -> None:
    """A layout as a directory, with layers of either compression, is an archive once it is in a tar."""
    desk.skopeo(
        f"docker-archive:{desk.save('saved.tar')}",
        f"oci:{desk.path('layout')}:op",
        "--dest-compress-format",
        compression,
    )
    kinds = [json.loads(path.read_bytes()) for path in manifests_in(desk.directory / "layout")]
    assert {layer["mediaType"].rpartition("+")[2] for kind in kinds for layer in kind["layers"]} == {compression}
    diff_ids = desk.store.images()[0].diff_ids
    desk.forget()
    with tarfile.open(desk.path("layout.tar"), "w") as archive:
        archive.add(desk.path("layout"), arcname=".")
    desk.load(desk.path("layout.tar"))
    assert desk.store.images()[0].diff_ids == diff_ids


def manifests_in(layout: Path) -> list[Path]:
    """The manifests that a layout's index names."""
    index = json.loads((layout / "index.json").read_bytes())
    return [layout / "blobs" / each["digest"].replace(":", "/") for each in index["manifests"]]


def test_umoci_unpacks_what_was_saved_and_its_change_is_loaded(desk: Desk) -> None:
    """Files, whiteouts and attributes arrive in umoci's root file system; a layer of its own comes back."""
    if shutil.which("umoci") is None:
        pytest.skip("umoci is not installed")
    desk.skopeo(f"docker-archive:{desk.save('saved.tar')}", f"oci:{desk.path('layout')}:op")
    desk.run("umoci", "unpack", "--image", desk.path("layout:op"), desk.path("bundle"))
    root = desk.directory / "bundle/rootfs"
    assert sorted(os.listdir(root / "etc")) == ["kept", "new"]
    plain = (root / "all/plain").stat()
    assert (plain.st_mode & 0o7777, plain.st_uid, plain.st_gid, plain.st_size) == (0o640, 1000, 1001, 70_000)
    assert os.stat(root / "all/set-uid").st_mode & 0o7777 == 0o4755
    (root / "etc/umoci").write_text("was here")
    (root / "etc/kept").unlink()
    desk.run("umoci", "repack", "--image", desk.path("layout:again"), desk.path("bundle"))
    desk.run("umoci", "config", "--image", desk.path("layout:again"), "--config.cmd", "/bin/umoci")
    desk.skopeo(f"oci:{desk.path('layout')}:again", f"oci-archive:{desk.path('again.tar')}")
    desk.forget()
    desk.load(desk.path("again.tar"))
    (image,) = desk.store.images()
    assert (len(image.chain_ids), image.config.cmd) == (3, ["/bin/umoci"])
    with tarfile.open(desk.save("out.tar", image.id)) as saved:
        parts = [saved.extractfile(member) for member in saved.getmembers()]
        names = {name for part in parts if part for name in layer_names(part.read())}
    assert {"etc/umoci", "etc/.wh.kept"} <= names


def layer_names(data: bytes) -> list[str]:
    """The names in a layer, none in what is no tar."""
    try:
        with tarfile.open(fileobj=io.BytesIO(data)) as archive:
            return archive.getnames()
    except tarfile.ReadError:
        return []


@pytest.mark.parametrize("form", ["docker-archive", "oci-archive"])
def test_podman_loads_what_was_saved_and_saves_it_back(desk: Desk, form: str) -> None:
    """The image's id stays, whatever form Podman writes."""
    desk.containers("podman", "load", "-i", desk.save("saved.tar"))
    assert desk.id.partition(":")[2] in desk.containers("podman", "images", "-q", "--no-trunc")
    desk.containers("podman", "save", "--format", form, "-o", desk.path("podman.tar"), NAME)
    desk.forget()
    assert desk.load(desk.path("podman.tar")) == [NAME]
    assert [image.id for image in desk.store.images()] == [desk.id]


def test_podman_saves_several_images_and_they_are_loaded_at_once(desk: Desk) -> None:
    """One archive, two images with a layer in common, three names; and the other way round."""
    desk.store.tag(desk.id, "example.org/inter/op:2")
    other = desk.store.import_tar(io.BytesIO(TOP), reference=Reference.parse("example.org/other:1"))
    names = (NAME, "example.org/inter/op:2", "example.org/other:1")
    desk.containers("podman", "load", "-i", desk.save("saved.tar", *names))
    desk.containers("podman", "save", "-m", "-o", desk.path("podman.tar"), *names)
    desk.forget()
    assert sorted(str(name) for name in desk.load(desk.path("podman.tar"))) == sorted(names)
    assert {image.id for image in desk.store.images()} == {desk.id, other}


@pytest.mark.parametrize("form", ["docker-archive", "oci-archive"])
def test_buildah_changes_what_was_saved_and_it_is_loaded(desk: Desk, form: str) -> None:
    """An image from here, a file and a command from buildah, and back."""
    source = desk.save("saved.tar")
    container = desk.containers("buildah", "from", "--pull-never", f"docker-archive:{source}").strip()
    (desk.directory / "note").write_text("from buildah")
    desk.containers("buildah", "add", container, desk.path("note"), "/etc/note")
    desk.containers("buildah", "config", "--cmd", "cat /etc/note", container)
    desk.containers("buildah", "commit", container, f"{form}:{desk.path('built.tar')}:example.org/built:1")
    desk.containers("buildah", "rm", container)
    desk.forget()
    assert desk.load(desk.path("built.tar"))
    (image,) = desk.store.images()
    assert image.config.cmd == ["cat", "/etc/note"]
    assert image.config.labels is not None
    assert image.config.labels["l"] == "m"
    assert len(image.chain_ids) == 3


@pytest.mark.skipif(not registry.is_installed(), reason="docker-registry is not installed")
def test_skopeo_and_a_registry_between(desk: Desk) -> None:
    """What was pushed skopeo copies on; what skopeo pushed is pulled, and pushed again byte for byte."""
    with Registry() as hub:
        here, there, again = (f"{hub.host}/{name}:1" for name in ("here", "there", "again"))
        registries = desk.store.registries(RegistrySettings(certificates=()))
        desk.store.tag(desk.id, here)
        registries.begin(Credentials()).push([Reference.parse(here)], lambda _: None)
        desk.skopeo(
            f"docker://{here}", f"docker://{there}", "--src-tls-verify=false", "--dest-tls-verify=false", "-f", "oci"
        )
        media_type = "application/vnd.oci.image.manifest.v1+json"
        status, pushed = hub.get("there/manifests/1", media_type)
        assert (status, json.loads(pushed)["mediaType"]) == (200, media_type)
        desk.forget()
        pulled = registries.begin(Credentials()).pull(Reference.parse(there), AMD64, lambda _: None)
        desk.store.tag(pulled[0].id, again)
        registries.begin(Credentials()).push([Reference.parse(again)], lambda _: None)
        assert hub.get("again/manifests/1", media_type) == (200, pushed)
