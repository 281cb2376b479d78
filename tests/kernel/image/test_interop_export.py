"""Exports: what leaves here as one tar others import, and what they export is imported, file by file the same."""

from __future__ import annotations

import io
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from shoal.image.copies.outgoing import write_root
from shoal.image.trees import open_directory
from shoal.linux.fd import Fd
from shoal.oci.reference import Reference
from shoal.oci.rootfs import PlainRootfs
from tests.kernel.image.pulls import open_store
from tests.kernel.image.test_interop import BASE, NAME, TOP, Desk

pytestmark = pytest.mark.root

Described = dict[str, tuple[object, ...]]
FLAT = "example.org/flat:1"


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    """A store whose containers' roots are plain directories, with an image of two layers."""
    store = open_store(tmp_path / "data")
    for name in ("home", "tmp"):
        (tmp_path / name).mkdir()
    id = store.add_layer(store.import_tar(io.BytesIO(BASE)), io.BytesIO(TOP), target=NAME)
    with tempfile.TemporaryDirectory(prefix="interop-", dir="/tmp") as short:  # Podman wants less than 50 letters
        yield Desk(store, tmp_path, id, short)
    store.close()


def entries(path: str) -> Described:
    """The image's own files in a tar: what each of them is.

    Programs set the times of directories as they like, and know none before 1970.
    """
    found: Described = {}
    with tarfile.open(path) as archive:
        for member in archive:
            name = member.name.removeprefix("./").rstrip("/")
            if name not in ("all", "etc/new", "etc/kept") and not name.startswith("all/"):
                continue  # what every container is given
            data = archive.extractfile(member) if member.isreg() else None
            content = data.read() if data else b""
            if member.islnk():
                found[name] = found[member.linkname.removeprefix("./")]
                continue
            time = 0 if member.isdir() else max(0, int(member.mtime))
            found[name] = (member.type, member.mode, member.uid, member.gid, member.linkname, content, time)
    return found


def exported(desk: Desk, name: str, file: str) -> str:
    """The path of a tar of what a container of the image sees, as `docker export` writes it."""
    rootfs = desk.store.snapshotter.prepare("export", desk.store.get(name).chain_ids)
    assert isinstance(rootfs, PlainRootfs)
    with Fd(open_directory(rootfs.path)) as root, open(desk.path(file), "wb") as out:
        write_root(root, out.write)
    desk.store.snapshotter.remove("export")
    return desk.path(file)


def brought_in(desk: Desk, tar: str) -> None:
    """Import a tar as the only image, `FLAT`, with changes."""
    desk.forget()
    with open(tar, "rb") as stream:
        reference = Reference.parse(FLAT)
        desk.store.import_tar(stream, changes=['CMD ["/bin/again"]', "ENV C=d"], reference=reference)
    image = desk.store.get(FLAT)
    assert (image.config.cmd, image.config.env) == (["/bin/again"], ["C=d"])


def test_podman_imports_what_was_exported_and_exports_it_back(desk: Desk) -> None:
    """Podman's image of it has the same files, and so has the import of a container that Podman made of that."""
    out = exported(desk, NAME, "out.tar")
    before = entries(out)
    assert len(before) > 15
    desk.containers("podman", "import", "--change", "CMD /bin/sh", out, FLAT)
    desk.containers("podman", "save", "-o", desk.path("flat.tar"), FLAT)
    desk.forget()
    assert desk.load(desk.path("flat.tar")) == [FLAT]
    assert entries(exported(desk, FLAT, "loaded.tar")) == before
    desk.containers("podman", "create", "--name", "c", FLAT)
    desk.containers("podman", "export", "-o", desk.path("back.tar"), "c")
    brought_in(desk, desk.path("back.tar"))
    assert entries(exported(desk, FLAT, "again.tar")) == before


def test_buildah_adds_what_was_exported(desk: Desk) -> None:
    """ADD of the archive gives the same files."""
    out = exported(desk, NAME, "out.tar")
    container = desk.containers("buildah", "from", "scratch").strip()
    desk.containers("buildah", "add", container, out, "/")
    desk.containers("buildah", "commit", container, f"docker-archive:{desk.path('built.tar')}:{FLAT}")
    desk.containers("buildah", "rm", container)
    before = entries(out)
    desk.forget()
    desk.load(desk.path("built.tar"))
    assert entries(exported(desk, FLAT, "again.tar")) == before


def test_umoci_inserts_what_was_exported(desk: Desk) -> None:
    """As one layer of an image of umoci's own, out of what GNU tar has unpacked of it."""
    out = exported(desk, NAME, "out.tar")
    root = Path(desk.path("root-of-it"))
    root.mkdir()
    subprocess.run(["tar", "-x", "-p", "--numeric-owner", "-f", out, "-C", str(root)], check=True, timeout=30)
    before = entries(out)
    desk.run("umoci", "init", "--layout", desk.path("layout"))
    desk.run("umoci", "new", "--image", desk.path("layout:flat"))
    desk.run("umoci", "insert", "--image", desk.path("layout:flat"), str(root), "/")
    desk.skopeo(f"oci:{desk.path('layout')}:flat", f"docker-archive:{desk.path('built.tar')}:{FLAT}")
    desk.forget()
    desk.load(desk.path("built.tar"))
    assert entries(exported(desk, FLAT, "again.tar")) == before
