"""`docker rmi`: what goes, and what stands in the way. The images here have no layers, so that no root is needed."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from shoal.errors import Conflict, Internal, NotFound
from shoal.image.blobs import BlobStore
from shoal.image.catalog import Catalog
from shoal.image.image import Deleted, ImageId, ImageUser, Removal, Untagged
from shoal.image.layers import LayerStore
from shoal.image.removal import Remover
from shoal.image.scratch import Scratch
from shoal.oci.digest import Digest, short_id
from shoal.oci.reference import Reference

RUNNING = ImageUser("c0ffee" * 10, is_running=True)
STOPPED = ImageUser("decade" * 10, is_running=False)


class Shelf:
    """A catalog with images of no layers, and containers that use them."""

    def __init__(self, root: Path) -> None:
        scratch = Scratch(str(root / "tmp"))
        blobs = BlobStore(str(root / "blobs"), scratch.path)
        layers = LayerStore(str(root / "layers"), scratch)
        self.catalog = Catalog(lambda: sqlite3.connect(root / "db", check_same_thread=False), blobs, layers)
        self.users: dict[ImageId, list[ImageUser]] = {}

    def add(self, comment: str, *names: str, parent: ImageId | None = None) -> ImageId:
        """A new image with these names."""
        image, _ = self.catalog.add(b'{"os":"linux","comment":"%s"}' % comment.encode(), parent=parent)
        for name in names:
            self.catalog.tag(Reference.parse(name), image.id, 1)
        return image.id

    def remove(self, text: str, *, force: bool = False, prune: bool = True) -> list[Removal]:
        """Remove as the store does."""
        remover = Remover(self.catalog, lambda image: self.users.get(image, []), force=force, prune=prune)
        return remover.remove(text)

    def conflict(self, text: str, *, force: bool = False) -> str:
        """The sentence of the conflict that the removal ends in; nothing may have changed."""
        before = self.catalog.images()
        with pytest.raises(Conflict) as caught:
            self.remove(text, force=force)
        assert self.catalog.images() == before
        return caught.value.what


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    """An empty shelf."""
    return Shelf(tmp_path)


def test_remove_last_name_deletes_the_image(shelf: Shelf) -> None:
    """The only name and the image go together."""
    image = shelf.add("a", "app:1")
    assert shelf.remove("app:1") == [Untagged("app:1"), Deleted(Digest(image))]
    assert shelf.catalog.images() == []


def test_remove_one_of_two_names_only_untags(shelf: Shelf) -> None:
    """While another name is left, the image stays."""
    image = shelf.add("a", "app:1", "app:2")
    assert shelf.remove("app:1") == [Untagged("app:1")]
    assert shelf.catalog.resolve("app:2").id == image


def test_remove_missing_name_is_no_such_image(shelf: Shelf) -> None:
    """A name that nothing has, has Docker's sentence, with the default tag shown."""
    shelf.add("a", "app:1")
    for text, sentence in [("app", "No such image: app:latest"), ("app:2", "No such image: app:2")]:
        with pytest.raises(NotFound) as caught:
            shelf.remove(text)
        assert caught.value.what == sentence


def test_remove_by_id_takes_the_single_name_along(shelf: Shelf) -> None:
    """By a short id, an image with one name goes, name and all."""
    image = shelf.add("a", "app:1")
    assert shelf.remove(short_id(image)) == [Untagged("app:1"), Deleted(Digest(image))]


def test_remove_by_id_several_names_needs_force(shelf: Shelf) -> None:
    """By id, an image with two names is a conflict; by force, all its names go."""
    image = shelf.add("a", "app:1", "other:1")
    assert shelf.conflict(image) == (
        f"conflict: unable to delete {short_id(image)} (must be forced) - image is referenced in multiple repositories"
    )
    assert shelf.remove(image, force=True) == [Untagged("app:1"), Untagged("other:1"), Deleted(Digest(image))]


def test_remove_used_by_stopped_container_needs_force(shelf: Shelf) -> None:
    """A stopped container protects its image's last name, and its id, but not against force."""
    image = shelf.add("a", "app:1")
    shelf.users[image] = [STOPPED]
    assert shelf.conflict("app:1") == (
        'conflict: unable to remove repository reference "app:1" (must force) - container decadedecade'
        f" is using its referenced image {short_id(image)}"
    )
    assert shelf.conflict(image) == (
        f"conflict: unable to delete {short_id(image)} (must be forced) -"
        " image is being used by stopped container decadedecade"
    )
    assert shelf.remove(image, force=True) == [Untagged("app:1"), Deleted(Digest(image))]


def test_remove_used_by_running_container_cannot_be_forced(shelf: Shelf) -> None:
    """Against a running container force is no help by id; by name it takes the name alone."""
    image = shelf.add("a", "app:1")
    shelf.users[image] = [RUNNING]
    expected = (
        f"conflict: unable to delete {short_id(image)} (cannot be forced) -"
        " image is being used by running container c0ffeec0ffee"
    )
    assert shelf.conflict(image) == expected
    assert shelf.conflict(image, force=True) == expected
    assert shelf.remove("app:1", force=True) == [Untagged("app:1")]
    assert shelf.catalog.resolve(image).references == ()


def test_remove_used_but_with_another_name_only_untags(shelf: Shelf) -> None:
    """A container does not protect a name that isn't the last."""
    image = shelf.add("a", "app:1", "app:2")
    shelf.users[image] = [RUNNING]
    assert shelf.remove("app:1") == [Untagged("app:1")]


def test_remove_with_children_is_kept(shelf: Shelf) -> None:
    """An image that another was made on top of loses its name, but stays; by id that is a conflict."""
    base = shelf.add("base", "base:1")
    shelf.add("child", "child:1", parent=base)
    assert shelf.conflict(base, force=True) == (
        f"conflict: unable to delete {short_id(base)} (cannot be forced) - image has dependent child images"
    )
    assert shelf.remove("base:1") == [Untagged("base:1")]
    assert shelf.catalog.get(base) is not None


def test_remove_prunes_nameless_parents(shelf: Shelf) -> None:
    """With the last child the nameless parents go as well, unless asked not to."""
    for prune in (True, False):
        bottom = shelf.add("bottom")
        middle = shelf.add("middle", parent=bottom)
        top = shelf.add("top", "app:1", parent=middle)
        removed = shelf.remove("app:1", prune=prune)
        parents = [Deleted(Digest(middle)), Deleted(Digest(bottom))] if prune else []
        assert removed == [Untagged("app:1"), Deleted(Digest(top)), *parents]


def test_remove_last_tag_takes_the_repositorys_digests_along(shelf: Shelf) -> None:
    """A digest reference does not keep an image whose last tag in that repository goes."""
    digest = "app@sha256:" + "ab" * 32
    image = shelf.add("a", "app:1", digest)
    assert shelf.remove("app:1") == [Untagged("app:1"), Untagged(digest), Deleted(Digest(image))]


def test_catalog_reopened_knows_the_same(shelf: Shelf, tmp_path: Path) -> None:
    """What was written is what the next process reads."""
    parent = shelf.add("parent")
    shelf.add("a", "app:1", "app@sha256:" + "ab" * 32, parent=parent)
    shelf.add("b", "gone:1")
    shelf.remove("gone:1")
    before = shelf.catalog.images()
    shelf.catalog.close()
    again = Shelf(tmp_path)
    assert again.catalog.images() == before
    assert again.catalog.problems == []


def test_catalog_damaged_configuration_is_lost_and_told(shelf: Shelf, tmp_path: Path) -> None:
    """A blob that changed on disk costs its image, not the start."""
    image = shelf.add("a", "app:1")
    shelf.catalog.close()
    (tmp_path / "blobs" / "sha256" / image.removeprefix("sha256:")).write_bytes(b"{}")
    again = Shelf(tmp_path)
    assert again.catalog.images() == []
    assert len(again.catalog.problems) == 1
    assert image in again.catalog.problems[0]


def test_resolve_short_ids_and_names(shelf: Shelf) -> None:
    """A name wins over an id; a beginning that two ids share is nobody's."""
    images = [shelf.add(f"image {number}") for number in range(20)]
    assert shelf.catalog.resolve(images[0]).id == images[0]
    assert shelf.catalog.resolve(images[0].removeprefix("sha256:")).id == images[0]
    assert shelf.catalog.resolve(images[0][:19]).id == images[0]
    first_digits = [image[7] for image in images]
    shared = next(digit for digit in first_digits if first_digits.count(digit) > 1)
    with pytest.raises(NotFound, match=f"No such image: {shared}:latest"):
        shelf.catalog.resolve(shared)
    shelf.catalog.tag(Reference.parse(shared), images[3], 1)
    assert shelf.catalog.resolve(shared).id == images[3]


def test_tag_moves_a_name(shelf: Shelf) -> None:
    """A name that is given to another image leaves the first without it."""
    first, second = shelf.add("1", "app:1"), shelf.add("2")
    assert shelf.catalog.tag(Reference.parse("app:1"), second, 2) == first
    assert shelf.catalog.resolve("app:1").id == second
    assert shelf.catalog.resolve(first).references == ()


@pytest.mark.parametrize("isolation_level", [None, "DEFERRED"])
def test_catalog_failed_write_changes_nothing(tmp_path: Path, isolation_level: str | None) -> None:
    """A database that refuses to be written is an internal error; memory and disk stay as they were."""
    Shelf(tmp_path).add("a", "app:1")
    scratch = Scratch(str(tmp_path / "tmp"))

    def connect() -> sqlite3.Connection:
        return sqlite3.connect(tmp_path / "db", check_same_thread=False, isolation_level=isolation_level)  # type: ignore[arg-type]

    blobs, layers = BlobStore(str(tmp_path / "blobs"), scratch.path), LayerStore(str(tmp_path / "layers"), scratch)
    catalog = Catalog(connect, blobs, layers)
    before = catalog.images()
    with sqlite3.connect(tmp_path / "db") as other:
        other.execute("CREATE TRIGGER refuse BEFORE DELETE ON image_images BEGIN SELECT RAISE(ABORT, 'no'); END")
    with pytest.raises(Internal, match="failed to write the image database: no"):
        catalog.delete(before[0].id)
    assert catalog.images() == before
    catalog.untag(before[0].references)
    assert Catalog(connect, blobs, layers).images()[0].references == ()
