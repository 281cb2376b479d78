"""Pulls from a registry that lies, breaks off or serves traps: one sentence each, and nothing of it left."""

from __future__ import annotations

import gzip
import io
import json
import os
import random
import resource
import sqlite3
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from shoal.errors import ShoalError
from shoal.image.image import LAYERS_MAX
from shoal.image.registry.credentials import Credentials
from shoal.image.registry.endpoints import RegistrySettings
from shoal.image.store import ImageStore
from shoal.linux.mounts import mount, umount2
from shoal.oci.reference import Reference
from tests.engines.bad_registry import CONFIG, INDEX, LAYER, MANIFEST, BadRegistry, Exchange, digest_of, layer_tar
from tests.kernel.image.pulls import AMD64, BIG, SMALL, Puller, on_blob

Edit = Callable[[dict[str, Any]], object]


def edited(registry: BadRegistry, edit: Edit, tag: str = "1") -> None:
    """Change the manifest under `tag`, and let it have the digest of its new content."""
    media_type, raw = registry.manifests[tag]
    document = json.loads(raw)
    edit(document)
    registry.keep(media_type, document, tag)


def set_in(document: dict[str, Any], place: str, value: object) -> None:
    """Set `layers.0.size` and the like."""
    *path, last = place.split(".")
    inner: Any = document
    for name in path:
        inner = inner[int(name)] if name.isdigit() else inner[name]
    inner[last] = value


WRONG: dict[str, tuple[str, object, str]] = {
    "layer too small": ("layers.1.size", 5, "more than the 5 bytes promised"),
    "layer too big": ("layers.1.size", 1 << 40, "bytes promised"),
    "layer of negative size": ("layers.0.size", -1, "is negative"),
    "layer of a size beyond numbers": ("layers.0.size", 1 << 70, "beyond all measure"),
    "layer whose size is text": ("layers.0.size", "5", "Expected `int`"),
    "layer that is not there": ("layers.0.digest", "sha256:" + "5" * 64, "not found"),
    "layer of another layer's digest": ("layers.0.digest", digest_of(b"x"), "not found"),
    "layer with a path for a digest": ("layers.0.digest", "sha256:../../../etc/passwd", "invalid checksum digest"),
    "layer in capitals": ("layers.0.digest", "sha256:" + "A" * 64, "non-hexadecimal digit"),
    "layer of a web page": ("layers.0.mediaType", "text/html", "its media type is `text/html`"),
    "layer from elsewhere": (
        "layers.0.mediaType",
        "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
        "it is to be fetched from elsewhere",
    ),
    "layer that may not be handed on": (
        "layers.0.mediaType",
        "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip",
        "it is to be fetched from elsewhere",
    ),
    "configuration too small": ("config.size", 3, "its content is another"),
    "configuration too big": ("config.size", 9 << 20, "its size is over"),
    "no layers": ("layers", [], "0 layers, but 2 diff IDs"),
    "layers that are none": ("layers", {"a": 1}, "Expected `array`"),
}


@pytest.mark.parametrize("what", WRONG)
def test_pull_of_a_manifest_that_lies_is_one_sentence(puller: Puller, what: str) -> None:
    """Wrong sizes, digests and types: whatever a manifest says of its parts is held against them."""
    place, value, words = WRONG[what]
    edited(puller.registry, lambda document: set_in(document, place, value))
    if what == "layer too big":
        puller.registry.tricks.append(on_blob(gzip.compress(b"never"), lambda _: None))
    assert words in puller.fails()


PLACES = {
    "manifest": lambda exchange: "/manifests/" in exchange.path,
    "blobs": lambda exchange: "/blobs/" in exchange.path,
}
PAGES = {
    "html": b"<html><body>Please <b>log in</b></body></html>",
    "nothing": b"",
    "zeros": bytes(4000),
    "another json": b'{"hello": [1, 2, {"errors": "x"}]}',
    "a list": b"[[[[]]]]",
}


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize("status", [200, 404, 500, 418])
@pytest.mark.parametrize("place", ["manifest", "blobs"])
def test_pull_of_a_web_page_is_one_sentence(puller: Puller, place: str, status: int, page: str) -> None:
    """Hotels' and companies' gateways answer for everyone."""

    def trick(exchange: Exchange) -> bool:
        if not PLACES[place](exchange):
            return False
        exchange.answer(status, PAGES[page], Content_Type="text/html", Retry_After="0")
        return True

    puller.registry.tricks.append(trick)
    said = puller.fails()
    assert len(said) < 400
    assert "log in" not in said


def test_pull_with_connections_cut_anywhere_ends_well_or_in_one_sentence(puller: Puller) -> None:
    """Every answer may break off after any byte, or never begin: what comes together in the end is the image."""
    chance = random.Random(5)
    done = 0
    bodies = {**puller.registry.blobs, **{key: raw for key, (_, raw) in puller.registry.manifests.items()}}

    def trick(exchange: Exchange) -> bool:
        what = chance.random()
        if what < 0.2:
            exchange.cut()
            return True
        body = bodies.get(exchange.path.rpartition("/")[2], b"{}")
        if what < 0.4 and "Range" not in exchange.headers:
            kind = {"Content_Type": MANIFEST} if "/manifests/" in exchange.path else {}
            exchange.answer(200, body[: chance.randrange(len(body))], length=len(body), **kind)
            return True
        return False

    puller.registry.tricks.append(trick)
    for _ in range(3):
        said = ""
        try:
            puller.pull()
        except ShoalError as error:
            said = str(error)
        assert "\n" not in said
        assert (puller.store.images() == []) is (said != "")
        done += not said
        for image in puller.store.images():
            puller.store.remove(image.id, force=True)
    puller.registry.tricks.clear()
    puller.pull()
    assert done


TOKEN_ANSWERS: dict[str, Callable[[Exchange], None]] = {
    "a web page": lambda exchange: exchange.answer(200, b"<html>"),
    "half a token": lambda exchange: exchange.answer(200, b'{"tok', length=500),
    "its own 401": lambda exchange: exchange.answer(401, Www_Authenticate='Bearer realm="http://127.0.0.1:1/token"'),
    "a redirect to itself": lambda exchange: exchange.answer(307, Location=exchange.path),
    "a redirect to a file": lambda exchange: exchange.answer(307, Location="file:///etc/passwd"),
    "a token with a line break": lambda exchange: exchange.answer(200, b'{"token": "a\\r\\nX-Evil: 1"}'),
    "a number": lambda exchange: exchange.answer(200, b'{"token": 7}'),
    "five megabytes": lambda exchange: exchange.answer(200, b" " * (5 << 20)),
    "the password": lambda exchange: exchange.answer(
        403,
        json.dumps(
            {"errors": [{"code": "DENIED", "message": f"no {exchange.headers['Authorization']} pw-of-ann"}]}
        ).encode(),
    ),
}


@pytest.mark.parametrize("answer", TOKEN_ANSWERS)
def test_pull_with_a_token_server_gone_mad_is_one_sentence(puller: Puller, answer: str) -> None:
    """Whatever a token server does, the pull ends, and the password shows nowhere."""

    def trick(exchange: Exchange) -> bool:
        if exchange.path.startswith("/token"):
            TOKEN_ANSWERS[answer](exchange)
        else:
            exchange.answer(401, Www_Authenticate=f'Bearer realm="http://{puller.registry.host}/token",service="s"')
        return True

    puller.registry.tricks.append(trick)
    said = puller.fails(credentials=Credentials("ann", "pw-of-ann"))
    assert "pw-of-ann" not in said
    assert Credentials("ann", "pw-of-ann").basic.removeprefix("Basic ") not in said


REALMS = {
    "down": "http://127.0.0.1:1/token",
    "a file": "file:///etc/passwd",
    "with a name": "http://u:p@127.0.0.1:1/token",
    "the metadata": "http://169.254.169.254/token",
    "the metadata in disguise": "http://[::ffff:169.254.169.254]/token",
    "nothing": "",
    "no address": "http://[::1",
}


@pytest.mark.parametrize("realm", REALMS)
def test_pull_with_a_token_server_that_is_none_is_one_sentence(puller: Puller, realm: str) -> None:
    """A token server that does not answer, and addresses that no credential goes to."""

    def trick(exchange: Exchange) -> bool:
        exchange.answer(401, Www_Authenticate=f'Bearer realm="{REALMS[realm]}",service="s"')
        return True

    puller.registry.tricks.append(trick)
    said = puller.fails(credentials=Credentials("ann", "pw-of-ann"))
    assert "connection refused" in said if realm == "down" else "realm" in said
    assert "pw-of-ann" not in said


def test_pull_with_no_end_of_401_asks_a_few_times(puller: Puller) -> None:
    """Whoever says 401 to everything is asked again once for each request."""
    puller.registry.tricks.append(lambda exchange: exchange.answer(401, Www_Authenticate='Basic realm="r"') is None)
    assert "unauthorized" in puller.fails(credentials=Credentials("ann", "pw-of-ann"))
    assert len(puller.registry.requests) < 5


def layer_of(*names: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> bytes:
    """A tar of entries of one kind."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name in names:
            entry = tarfile.TarInfo(name)
            entry.type, entry.linkname = kind, link
            archive.addfile(entry)
    return buffer.getvalue()


@pytest.mark.parametrize(
    "tar",
    [
        layer_of("../../outside"),
        layer_of("a/../../outside"),
        layer_of("link", kind=tarfile.LNKTYPE, link="../../../etc/passwd"),
        layer_of(".wh..."),
    ],
)
def test_pull_of_names_that_lead_out_is_refused(puller: Puller, tar: bytes) -> None:
    """The zip-slip and its kin: nothing outside of the layer is made or linked."""
    puller.registry.image(tar, tag="slip")
    assert "invalid layer entry" in puller.fails("slip")


def test_pull_of_names_that_differ_in_case_keeps_both(puller: Puller) -> None:
    """Linux knows them apart, and so does the layer."""
    puller.registry.image(layer_of("README", "readme", "ReadMe"), tag="case")
    puller.pull("case")
    (layer,) = puller.store.layers_of(puller.store.images()[0])
    roots = [Path(found) for found, _, files in os.walk(puller.scratch.parents[1]) if "readme" in files]
    assert [sorted(os.listdir(root)) for root in roots] == [["README", "ReadMe", "readme"]]
    assert layer.size_bytes == 0


@pytest.mark.parametrize(("kind", "pack"), [("+zstd", gzip.compress), ("", gzip.compress), ("+gzip", bytes)])
def test_pull_of_a_layer_packed_otherwise_than_told(puller: Puller, kind: str, pack: Callable[[bytes], bytes]) -> None:
    """What the bytes are counts, as with Docker: digest and diff ID are right."""
    puller.registry.image(SMALL, tag="packed", kind=kind, pack=pack)
    puller.pull("packed")


def test_pull_of_a_layer_with_another_diff_id_is_refused(puller: Puller) -> None:
    """The blob is what the manifest names, but not what the configuration does."""
    other = layer_tar("other", b"data")
    config = json.dumps(
        {"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": [digest_of(SMALL)]}}
    )
    layers = [{"mediaType": LAYER + "+gzip", **puller.registry.put(gzip.compress(other))}]
    document = {"schemaVersion": 2, "mediaType": MANIFEST, "layers": layers}
    puller.registry.keep(
        MANIFEST, {**document, "config": {"mediaType": CONFIG, **puller.registry.put(config.encode())}}, "d"
    )
    assert digest_of(SMALL) in puller.fails("d")


def test_pull_of_too_many_layers_is_refused_before_the_first(puller: Puller) -> None:
    """A thousand layers are more than the kernel stacks: no blob is asked for."""
    tars = [layer_tar(f"file-{number}", b"x") for number in range(8)]
    puller.registry.image(*(tars * 125), tag="thousand")
    assert f"max depth exceeded: it has 1000 layers, and {LAYERS_MAX} can be stacked" in puller.fails("thousand")
    assert not puller.registry.asked("/blobs/")


def test_pull_of_a_manifest_of_100_megabytes_reads_a_few(puller: Puller) -> None:
    """It is refused once it is known to be too big, and nobody keeps it in memory."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    sent = 0

    def trick(exchange: Exchange) -> bool:
        nonlocal sent
        if "/manifests/" not in exchange.path:
            return False
        send = exchange.begin(200, 100 << 20)
        for _ in range(100):
            send(b" " * (1 << 20))
            sent += 1
        return True

    puller.registry.tricks.append(trick)
    assert "the answer is too big" in puller.fails()
    assert sent < 50
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 40 << 10


def test_pull_of_indexes_without_end_is_refused(puller: Puller) -> None:
    """An index in an index in an index: four deep is followed, more is not."""
    inner = puller.registry.keep(MANIFEST, json.loads(puller.registry.manifests["1"][1]), "level-0")
    for level in range(6):
        size = len(puller.registry.manifests[inner][1])
        listed: list[dict[str, Any]] = [{"mediaType": INDEX if level else MANIFEST, "digest": inner, "size": size}]
        listed[0] |= {} if level else {"platform": {"os": "linux", "architecture": "amd64"}}
        inner = puller.registry.keep(
            INDEX, {"schemaVersion": 2, "mediaType": INDEX, "manifests": listed}, f"level-{level + 1}"
        )
    assert "indexes are nested too deep" in puller.fails("level-6")
    puller.pull("level-3")


def test_pull_of_a_gzip_bomb_ends_with_the_disk_and_leaves_it_free(
    puller: Puller, in_mount_namespace: Callable[[Callable[[], None]], None], tmp_path: Path
) -> None:
    """A small blob that unpacks to more than there is room for: the sentence names the disk, which is free again."""
    bomb = layer_tar("bomb", b"\1" * (64 << 20))  # zeros would be a hole
    puller.registry.image(bomb, tag="bomb")
    assert max(len(blob) for blob in puller.registry.blobs.values() if blob != gzip.compress(BIG)) < 4 << 20

    def pull_on_a_small_disk() -> None:
        place = tmp_path / "small"
        place.mkdir()
        mount("tmpfs", str(place), "tmpfs", 0, "size=24m")
        store = ImageStore(
            place,
            lambda: sqlite3.connect(tmp_path / "other", isolation_level=None, check_same_thread=False),
            driver="vfs",
        )
        work = store.registries(RegistrySettings(certificates=())).begin(Credentials())
        with pytest.raises(ShoalError) as caught:
            work.pull(Reference.parse(f"{puller.registry.host}/x/y:bomb"), AMD64, lambda _: None)
        assert "no space left on device" in str(caught.value)
        store.collect_garbage(unfinished=True)
        assert store.images() == []
        free = os.statvfs(place)
        assert free.f_bfree * free.f_bsize > 23 << 20
        store.close()
        umount2(str(place), 0)

    in_mount_namespace(pull_on_a_small_disk)
