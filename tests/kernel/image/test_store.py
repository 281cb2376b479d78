"""The store as a whole: import, layers on top, history, full disks, kills and many hands at once."""

from __future__ import annotations

import contextlib
import gzip
import io
import os
import random
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from shoal.errors import Internal, InvalidArgument, NotFound
from shoal.image.filters import ImageFilters
from shoal.image.image import Deleted, ImageId, Untagged
from shoal.image.store import ImageStore
from shoal.linux.mounts import mount
from shoal.oci.reference import Reference
from shoal.oci.rootfs import PlainRootfs
from tests.kernel.image.archives import config, docker_archive, hex_digest
from tests.kernel.image.trees import connect, directory, file, layer, leftovers, open_store

pytestmark = pytest.mark.root

ROOTFS = layer(directory("bin"), file("bin/sh", b"#!" * 50, mode=0o755), file("etc/motd", b"hi"))


@pytest.fixture
def store(tmp_path: Path) -> Iterator[ImageStore]:
    """An empty store; at the end it must have no scratch files."""
    made = open_store(tmp_path / "data")
    yield made
    made.close()
    assert leftovers(tmp_path / "data") == []


def imported(store: ImageStore, data: bytes = ROOTFS, name: str = "base:1", **options: object) -> ImageId:
    """The id of an imported image."""
    return store.import_tar(io.BytesIO(data), reference=Reference.parse(name), **options)  # type: ignore[arg-type]


def test_import_makes_an_image_of_one_layer(store: ImageStore) -> None:
    """The tar's digest is the diffID; message, platform and changes are in the configuration."""
    imported(store, changes=['CMD ["sh"]', "ENV A=b"], message="Imported from -", platform="linux/arm64")
    image = store.get("base:1")
    assert image.diff_ids == (f"sha256:{hex_digest(ROOTFS)}",)
    assert (image.config.cmd, image.config.env) == (["sh"], ["A=b"])
    assert (image.document.os, image.document.architecture) == ("linux", "arm64")
    assert image.document.comment == "Imported from -"
    (entry,) = store.history("base:1")
    assert (entry.id, entry.tags, entry.size_bytes, entry.comment) == (image.id, ["base:1"], 102, "Imported from -")


def test_import_compressed_tar_is_the_same_layer(store: ImageStore) -> None:
    """The layer's digest is that of the plain tar, so that the unpacked layer is shared."""
    imported(store)
    imported(store, gzip.compress(ROOTFS), "zipped:1")
    assert store.get("base:1").chain_ids == store.get("zipped:1").chain_ids
    assert store.layers_size() == 102


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"garbage" * 1000, "invalid tar header"),
        (ROOTFS[:700], "unexpected EOF"),
        (gzip.compress(ROOTFS)[:-9], "unexpected EOF"),
        (layer(file("../x")), "invalid layer entry"),
    ],
)
def test_import_bad_tar_leaves_nothing(store: ImageStore, tmp_path: Path, data: bytes, sentence: str) -> None:
    """A tar that can't be unpacked makes no image and no layer."""
    with pytest.raises(InvalidArgument) as caught:
        imported(store, data)
    assert caught.value.what == sentence
    assert list((tmp_path / "data" / "layers").iterdir()) == []
    assert list(store.images()) == []


def test_import_bad_change_reads_nothing(store: ImageStore) -> None:
    """A wrong instruction is told before the archive is read."""
    stream = io.BytesIO(ROOTFS)
    with pytest.raises(InvalidArgument, match="RUN is not a valid change command"):
        store.import_tar(stream, changes=["RUN x"])
    assert stream.tell() == 0


def test_import_broken_stream_leaves_nothing(store: ImageStore) -> None:
    """What reading the client's stream raises comes through, and nothing stays."""

    class Broken(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            data = super().read(600 if size is None or size > 600 else size)
            if not data:
                raise ConnectionResetError("gone")
            return data

    with pytest.raises(ConnectionResetError):
        store.import_tar(Broken(ROOTFS[:5000]))


def test_add_layer_puts_files_and_changes_on_top(store: ImageStore) -> None:
    """A layer on top of an image: configuration inherited and changed, history continued, parent known."""
    base = imported(store, changes=["ENV A=1", 'CMD ["sh"]'])
    top = layer(file("srv/app", b"app"))
    made = store.add_layer(
        "base:1", io.BytesIO(top), changes=["ENV B=$A", 'ENTRYPOINT ["/srv/app"]'], target="app", created_by="add app"
    )
    image = store.get("app")
    assert (image.id, image.parent, image.repo_tags) == (made, base, ["app:latest"])
    assert image.config.env == ["A=1", "B=1"]
    assert (image.config.entrypoint, image.config.cmd) == (["/srv/app"], None)
    assert [(entry.id, entry.created_by, entry.size_bytes) for entry in store.history("app")] == [
        (made, "add app", 3),
        (base, "", 102),
    ]


def test_remove_tells_names_image_and_layers(store: ImageStore, tmp_path: Path) -> None:
    """`rmi` reports what went, layers from the top; a shared layer stays with the other image."""
    base = imported(store)
    made = store.add_layer("base:1", io.BytesIO(layer(file("x", b"x"))), target="app:1")
    top = store.get("app:1").chain_ids[1]
    bottom = store.get("base:1").chain_ids[0]
    assert store.remove("app:1") == [Untagged("app:1"), Deleted(made), Deleted(top)]
    assert store.remove("base:1") == [Untagged("base:1"), Deleted(base), Deleted(bottom)]
    assert list((tmp_path / "data" / "layers").iterdir()) == []
    assert list((tmp_path / "data" / "blobs" / "sha256").iterdir()) == []


def test_tag_gives_another_name(store: ImageStore) -> None:
    """A second name for the same image; bad and ambiguous ones are refused."""
    base = imported(store)
    store.tag("base:1", "quay.io/me/base:2")
    assert store.get("quay.io/me/base:2").id == base
    assert store.get("base:1").repo_tags == ["base:1", "quay.io/me/base:2"]
    with pytest.raises(NotFound, match="No such image: nope:latest"):
        store.tag("nope", "a:1")
    with pytest.raises(InvalidArgument, match="refusing to create an ambiguous tag"):
        store.tag("base:1", "sha256:abc")


def test_list_filters_by_what_the_images_say(store: ImageStore) -> None:
    """The store's list goes through the filters."""
    imported(store, changes=["LABEL kind=base"])
    store.add_layer("base:1", io.BytesIO(layer(file("x"))), target="app:1", changes=["LABEL kind=app"])
    assert [image.repo_tags for image in store.list()] == [["app:1"], ["base:1"]]
    labelled = store.list(ImageFilters.parse({"label": ["kind=base"]}))
    assert [image.repo_tags for image in labelled] == [["base:1"]]


def test_get_costs_microseconds(store: ImageStore) -> None:
    """`get` is on the path of every container's start: it reads no disk."""
    imported(store)
    store.close()  # without its database it still answers
    assert store.get("base:1").repo_tags == ["base:1"]


# -- a full disk ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size_kib", [60, 300, 900, 1500])
def test_import_full_disk_is_told_and_leaves_nothing(
    tmp_path: Path, in_mount_namespace: Callable[[Callable[[], None]], None], size_kib: int
) -> None:
    """Wherever the disk fills up, the error says so, nothing half-done stays, and the next import works."""
    big = layer(*(file(f"f{number}", os.urandom(30_000)) for number in range(40)))

    def fill() -> None:
        (tmp_path / "small").mkdir()
        (tmp_path / "db").mkdir()
        mount("tmpfs", str(tmp_path / "small"), "tmpfs", 0, f"size={size_kib}k")
        store = open_small(tmp_path)
        for data in (big, gzip.compress(big)):
            with pytest.raises(Internal) as caught:
                imported(store, data)
            assert "no space left on device" in str(caught.value).lower()
            assert leftovers(tmp_path / "small") == []
            assert list((tmp_path / "small" / "layers").iterdir()) == []
        # A load writes no archive beside the files: the biggest disk has room for it.
        with pytest.raises(Internal, match="no space left") if size_kib < 1500 else contextlib.nullcontext():
            list(store.load(io.BytesIO(docker_archive((["a:1"], (big,))))))
            store.remove("a:1")
        assert leftovers(tmp_path / "small") == []
        imported(store, layer(file("small", b"x")))
        assert store.get("base:1").size_bytes == 1

    in_mount_namespace(fill)


def open_small(tmp_path: Path) -> ImageStore:
    """A store on the small file system, with its database elsewhere."""
    return ImageStore(tmp_path / "small", lambda: connect(tmp_path / "db" / "db"))


def test_load_gzip_bomb_ends_at_the_full_disk(
    tmp_path: Path, in_mount_namespace: Callable[[Callable[[], None]], None]
) -> None:
    """A few KiB that expand to 200 MiB fill a small disk, get an error, and give the space back."""
    bomb = layer(file("bomb", b"\1" * (200 << 20)))  # zeros would be a hole

    def fill() -> None:
        (tmp_path / "small").mkdir()
        (tmp_path / "db").mkdir()
        mount("tmpfs", str(tmp_path / "small"), "tmpfs", 0, "size=20m")
        store = open_small(tmp_path)
        with pytest.raises(Internal, match="no space left on device"):
            list(store.load(io.BytesIO(docker_archive((["a:1"], (bomb,)), form="+gzip"))))
        status = os.statvfs(tmp_path / "small")
        assert status.f_bfree * status.f_frsize > 19 << 20

    in_mount_namespace(fill)


# -- a data root on an overlay ----------------------------------------------------------------------------------------


def test_store_on_an_overlay_copies_and_applies_whiteouts(
    tmp_path: Path, in_mount_namespace: Callable[[Callable[[], None]], None]
) -> None:
    """In a container in a container the data root lies on an overlay: images work all the same, by copies."""
    for name in ("lower", "upper", "work", "root", "db"):
        (tmp_path / name).mkdir()
    base = layer(file("a", b"a"), directory("d"), file("d/low", b"x"), directory("o"), file("o/low", b"x"), file("e"))
    top = layer(file(".wh.a"), file("d/.wh.low"), file("o/.wh..wh..opq"), file("o/new", b"n"))

    def on_overlay() -> None:
        options = ",".join(f"{name}dir={tmp_path / name}" for name in ("lower", "upper", "work"))
        mount("overlay", str(tmp_path / "root"), "overlay", 0, options)
        store = ImageStore(tmp_path / "root", lambda: connect(tmp_path / "db" / "db"))
        assert store.snapshotter.name == "vfs"
        list(store.load(io.BytesIO(docker_archive((["app:1"], (base, top))))))
        rootfs = store.snapshotter.prepare("key", store.get("app:1").chain_ids)
        assert isinstance(rootfs, PlainRootfs)
        root = Path(rootfs.path)
        assert sorted(os.listdir(root / "o")) == ["new"]
        assert os.listdir(root / "d") == []
        assert not (root / "a").exists()
        assert (root / "e").exists()
        assert store.snapshotter.changes("key") == []
        store.save(["app:1"], io.BytesIO())

    in_mount_namespace(on_overlay)


# -- kills ------------------------------------------------------------------------------------------------------------

KILLED = """
import io, sys
from pathlib import Path
from tests.kernel.image.trees import open_store
store = open_store(Path(sys.argv[1]))
data = Path(sys.argv[2]).read_bytes()
print("ready", flush=True)
for round in range(100):
    list(store.load(io.BytesIO(data)))
    store.snapshotter.prepare(f"k{round}", store.get("two:1").chain_ids)
    store.snapshotter.remove(f"k{round}")
    store.remove("one:1"); store.remove("two:1")
"""


def test_killed_at_any_moment_leaves_whole_images(tmp_path: Path) -> None:
    """kill -9 during load, prepare and remove: what the next start finds is whole, and nothing is left over."""
    one = layer(*(file(f"d{number}/f", os.urandom(2000)) for number in range(40)))
    two = layer(*(file(f"e{number}/f", os.urandom(2000)) for number in range(40)))
    archive = tmp_path / "images.tar"
    archive.write_bytes(docker_archive((["one:1"], (one,)), (["two:1"], (one, two))))
    chance = random.Random(7)
    for _ in range(12):
        command = [sys.executable, "-c", KILLED, str(tmp_path / "data"), str(archive)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": path()}) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == b"ready\n"
            try:
                process.wait(timeout=chance.uniform(0, 0.15))
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGKILL)
        check_whole(tmp_path / "data", {"one:1": (one,), "two:1": (one, two)})


def path() -> str:
    """Where the package and the tests are imported from."""
    root = Path(__file__).parents[3]
    return f"{root}:{root / 'src'}"


def check_whole(root: Path, expected: dict[str, tuple[bytes, ...]]) -> None:
    """Every image in the store is complete; nothing is there that no image needs."""
    store = open_store(root)
    assert store.problems == []
    for image in store.images():
        for name in image.repo_tags:
            assert image.id == f"sha256:{hex_digest(config(*expected[name]))}"
        store.save([image.id], io.BytesIO())  # reads and verifies every layer
    for key in store.snapshotter.keys():  # noqa: SIM118 - not a dict
        store.snapshotter.rootfs(key)
        store.snapshotter.remove(key)
    store.snapshotter.purge_trash()
    assert leftovers(root) == []
    needed = {chain_id.removeprefix("sha256:") for image in store.images() for chain_id in image.chain_ids}
    assert set(os.listdir(root / "layers")) == needed
    assert set(os.listdir(root / "blobs" / "sha256")) == {image.id.removeprefix("sha256:") for image in store.images()}
    for image in list(store.images()):
        store.remove(image.id, force=True)
    store.close()


# -- many hands -------------------------------------------------------------------------------------------------------


def test_concurrent_loads_and_removals_lose_nothing(store: ImageStore, tmp_path: Path) -> None:
    """Threads that load, save, snapshot and remove images with common layers never see a torn image."""
    shared = layer(*(file(f"s{number}", b"x" * 500) for number in range(50)))
    archives = [docker_archive(([f"app:{n}"], (shared, layer(file("n", b"%d" % n))))) for n in range(4)]
    failures: list[BaseException] = []

    def work(number: int) -> None:
        try:
            for round_ in range(6):
                list(store.load(io.BytesIO(archives[number % 4])))
                use(store, f"app:{number % 4}", f"k{number}-{round_}")
        except BaseException as error:  # noqa: BLE001 - reported below
            failures.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    for image in list(store.images()):
        store.remove(image.id, force=True)
    store.snapshotter.purge_trash()
    assert os.listdir(tmp_path / "data" / "layers") == []


def use(store: ImageStore, name: str, key: str) -> None:
    """Make and drop a snapshot, save and remove the image; another thread may have removed it before."""
    try:
        image = store.get(name)
        store.snapshotter.prepare(key, image.chain_ids)
    except NotFound:
        return
    # What a snapshot holds stays, whoever removes the image.
    assert [item.chain_id for item in store.layers_of(image)] == list(image.chain_ids)
    with contextlib.suppress(NotFound):
        store.save([name], io.BytesIO())
        store.remove(name)
    store.snapshotter.remove(key)


def test_concurrent_loads_of_one_archive_unpack_once(store: ImageStore) -> None:
    """Loads of the same layers at once all succeed and end in one image."""
    data = docker_archive((["app:1"], (ROOTFS, layer(*(file(f"f{n}", b"y" * 1000) for n in range(100))))))
    results: list[object] = []

    def work() -> None:
        try:
            results.append(list(store.load(io.BytesIO(data)))[-1])
        except BaseException as error:  # noqa: BLE001 - reported below
            results.append(error)

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [str(result) for result in results] == [str(results[0])] * 6
    assert len(store.images()) == 1
