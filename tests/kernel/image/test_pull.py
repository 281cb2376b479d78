"""Pulls from a registry that misbehaves: one clear sentence each, and nothing of the image left."""

from __future__ import annotations

import base64
import gzip
import json
import os
import threading
from collections.abc import Callable

import pytest
import zstandard

from shoal.image.registry.credentials import Credentials
from shoal.image.registry.endpoints import RegistrySettings
from shoal.image.registry.failures import Cancelled
from shoal.image.registry.progress import Told
from shoal.oci.platform import Platform
from shoal.oci.reference import Reference
from tests.engines.bad_registry import INDEX, MANIFEST, BadRegistry, Exchange, digest_of, layer_tar
from tests.kernel.image.pulls import AMD64, BIG, SMALL, Puller, on_blob


def big_blob(registry: BadRegistry) -> bytes:
    """The compressed big layer."""
    return max(registry.blobs.values(), key=len)


def test_pull_of_a_good_image_tells_and_leaves_no_scratch(puller: Puller) -> None:
    """The steps of each layer come in order, and the scratch directory is empty afterwards."""
    heard: list[Told] = []
    id = puller.pull(hear=heard.append)
    assert [image.id for image in puller.store.images()] == [id]
    assert os.listdir(puller.scratch) == ["trash"]
    statuses = [str(step[0]) for step in heard]
    assert statuses[0] == "Pulling from x/y"
    assert statuses[-2].startswith("Digest: sha256:")
    assert statuses.count("Pull complete") == 2


@pytest.mark.parametrize(
    ("pack", "kind"),
    [(bytes, ""), (zstandard.ZstdCompressor().compress, "+zstd")],
)
def test_pull_takes_plain_and_zstd_layers(puller: Puller, pack: Callable[[bytes], bytes], kind: str) -> None:
    """The compression is the layer's own affair."""
    puller.registry.image(SMALL, tag="2", pack=pack, kind=kind)
    puller.pull("2")
    assert puller.store.layers_size() == 4


def estargz(tar: bytes) -> bytes:
    """The layer as eStargz has it: a gzip member for each piece, one for the table of contents, and a footer."""
    table = layer_tar("stargz.index.json", b'{"version": 1, "entries": []}')
    size = -(-len(tar.rstrip(b"\0")) // 512) * 512  # the end of the archive comes behind the table
    pieces = [tar[at : at + 512] for at in range(0, size, 512)]
    footer = bytes.fromhex("1f8b08040000000000ff1a0053471600") + b"%016xSTARGZ" % len(tar)
    return b"".join(map(gzip.compress, [*pieces, table])) + footer + bytes.fromhex("010000ffff0000000000000000")


def zstd_chunked(tar: bytes) -> bytes:
    """The layer as zstd:chunked has it: a frame for each piece, the table of contents in frames that are skipped."""

    def skipped(data: bytes) -> bytes:
        return (0x184D2A50).to_bytes(4, "little") + len(data).to_bytes(4, "little") + data

    compress = zstandard.ZstdCompressor().compress
    pieces = [compress(tar[at : at + 512]) for at in range(0, len(tar), 512)]
    return b"".join(pieces) + skipped(compress(b'{"version": 1, "entries": []}')) + skipped(bytes(56) + b"GNUlInUx")


def test_pull_takes_zstd_chunked_as_an_ordinary_layer(puller: Puller) -> None:
    """Several frames, and some that are to be skipped: the tar is what the diff ID says."""
    puller.registry.image(SMALL, tag="2", pack=zstd_chunked, kind="+zstd")
    puller.pull("2")
    assert puller.store.layers_size() == 4


def test_pull_takes_estargz_as_an_ordinary_layer(puller: Puller) -> None:
    """Several gzip members, of which the last is empty; the table of contents is a file of the layer."""
    blob = estargz(SMALL)
    tar = gzip.decompress(blob)
    puller.registry.image(tar, tag="2", pack=lambda _: blob)
    puller.pull("2")
    assert puller.store.layers_size() == 4 + len(b'{"version": 1, "entries": []}')


def test_pull_of_an_index_takes_the_platform(puller: Puller) -> None:
    """The nested index is followed, the other platform refused, and the index's digest is the name."""
    digests = {"amd64": puller.registry.image(SMALL, tag="2"), "arm64": puller.registry.image(BIG, tag="3")}
    listed = [
        {
            "mediaType": MANIFEST,
            "digest": digest,
            "size": len(puller.registry.manifests[digest][1]),
            "platform": {"os": "linux", "architecture": architecture},
        }
        for architecture, digest in digests.items()
    ]
    inner = puller.registry.keep(INDEX, {"schemaVersion": 2, "mediaType": INDEX, "manifests": listed}, "inner")
    size = len(puller.registry.manifests[inner][1])
    nested = [{"mediaType": INDEX, "digest": inner, "size": size}]
    top = puller.registry.keep(INDEX, {"schemaVersion": 2, "mediaType": INDEX, "manifests": nested}, "multi")
    said = puller.fails("multi", platform=Platform("linux", "s390x"))
    assert said == "no matching manifest for linux/s390x in the manifest list entries"
    puller.pull("multi")
    assert puller.store.images()[0].repo_digests == [f"{puller.registry.host}/x/y@{top}"]


def test_pull_resumes_where_the_connection_broke(puller: Puller) -> None:
    """A connection that is cut again and again costs a request each, and no byte twice."""
    blob = big_blob(puller.registry)
    sent = 0

    def cut(exchange: Exchange) -> None:
        nonlocal sent
        begin = int(exchange.headers.get("Range", "bytes=0-")[6:].rstrip("-"))
        piece = blob[begin : begin + 700_001]
        sent += len(piece)
        span = {"Content_Range": f"bytes {begin}-{len(blob) - 1}/{len(blob)}"} if begin else {}
        exchange.answer(206 if begin else 200, piece, length=len(blob) - begin, **span)

    puller.registry.tricks.append(on_blob(blob, cut))
    puller.pull()
    assert len(puller.registry.asked(digest_of(blob))) == 5
    assert sent == len(blob)


def test_pull_starts_over_where_ranges_are_ignored(puller: Puller) -> None:
    """A registry that answers 200 to a range sends all of it again."""
    blob = big_blob(puller.registry)
    first = iter([True])

    def cut(exchange: Exchange) -> None:
        if next(first, False):
            exchange.answer(200, blob[:1_000_000], length=len(blob))
        else:
            exchange.answer(200, blob)

    puller.registry.tricks.append(on_blob(blob, cut))
    puller.pull()


LIES: dict[str, tuple[Callable[[Exchange, bytes], None], str]] = {
    "another content": (lambda exchange, blob: exchange.answer(200, b"\0" * len(blob)), "verification failed"),
    "too long": (lambda exchange, blob: exchange.answer(200, blob + b"x"), "has more than"),
    "too short": (lambda exchange, blob: exchange.answer(200, blob[:-1]), "bytes promised"),
    "a wrong range": (
        lambda exchange, blob: exchange.answer(206, blob, Content_Range=f"bytes 5-{len(blob)}/{len(blob)}"),
        "another range",
    ),
    "not found": (lambda exchange, _: exchange.answer(404, b"<html>no</html>"), "404 Not Found"),
    "file": (lambda exchange, _: exchange.answer(307, Location="file:///etc/passwd"), "refusing the redirect"),
    "metadata": (
        lambda exchange, _: exchange.answer(307, Location="http://169.254.169.254/x"),
        "refusing the redirect",
    ),
    "endless": (lambda exchange, _: exchange.answer(307, Location=exchange.path), "stopped after 10 redirects"),
    "forbidden": (lambda exchange, _: exchange.answer(401, b""), "unauthorized: authentication required"),
}


@pytest.mark.parametrize("lie", LIES)
def test_pull_of_a_blob_that_lies_is_one_sentence(puller: Puller, lie: str) -> None:
    """Whatever comes instead of a layer, nothing of the image is there afterwards."""
    act, words = LIES[lie]
    blob = big_blob(puller.registry)
    puller.registry.tricks.append(on_blob(blob, lambda exchange: act(exchange, blob)))
    assert words in puller.fails()


@pytest.mark.parametrize(
    ("content_type", "raw", "words"),
    [
        ("text/html", b"<html>hello</html>", "invalid manifest"),
        (MANIFEST, b"[" * 200_000, "invalid manifest"),
        (MANIFEST, b" " * (5 << 20), "the answer is too big"),
        (MANIFEST, b'{"schemaVersion":1}', "unsupported manifest"),
    ],
)
def test_pull_of_what_is_no_manifest_is_one_sentence(puller: Puller, content_type: str, raw: bytes, words: str) -> None:
    """A web page, nesting without end, megabytes, and the old schema."""
    puller.registry.manifests["1"] = (content_type, raw)
    assert words in puller.fails()


def test_pull_of_a_manifest_with_another_digest_is_refused(puller: Puller) -> None:
    """The header and the content have to agree."""
    raw = puller.registry.manifests["1"][1]

    def trick(exchange: Exchange) -> bool:
        if "/manifests/" not in exchange.path:
            return False
        exchange.answer(200, raw, Content_Type=MANIFEST, Docker_Content_Digest="sha256:" + "0" * 64)
        return True

    puller.registry.tricks.append(trick)
    assert "manifest verification failed for digest sha256:000" in puller.fails()


def test_pull_that_is_abandoned_ends_at_once_and_leaves_nothing(puller: Puller) -> None:
    """The client leaves while a blob hangs: the reading thread is woken, and the scratch file goes."""
    blob = big_blob(puller.registry)
    release = threading.Event()

    def hang(exchange: Exchange) -> None:
        exchange._handler.send_response(200)
        exchange._handler.send_header("Content-Length", str(len(blob)))
        exchange._handler.end_headers()
        exchange._handler.wfile.write(blob[:1_500_000])
        release.wait(30)
        exchange.cut()

    puller.registry.tricks.append(on_blob(blob, hang))
    work = puller.store.registries(RegistrySettings(certificates=())).begin(Credentials())

    def hear(step: Told) -> None:
        if step[0] == "Downloading":
            threading.Timer(0.05, work.abandon).start()

    with pytest.raises(Cancelled):
        work.pull(Reference.parse(f"{puller.registry.host}/x/y:1"), AMD64, hear)
    release.set()
    puller.assert_empty()


def token_server(puller: Puller, *, status: int = 200, token: str = "good") -> None:
    """Ask for a bearer token from now on, which /token gives."""

    def trick(exchange: Exchange) -> bool:
        if exchange.path.startswith("/token"):
            exchange.answer(status, json.dumps({"token": token}).encode())
            return True
        if exchange.headers.get("Authorization") == "Bearer good":
            return False
        realm = f'Bearer realm="http://{puller.registry.host}/token",service="reg",scope="repository:x/y:pull"'
        exchange.answer(401, b'{"errors":[{"code":"UNAUTHORIZED","message":"who?"}]}', Www_Authenticate=realm)
        return True

    puller.registry.tricks.append(trick)


def test_pull_gets_a_token_with_the_users_password(puller: Puller) -> None:
    """Basic goes to the token server alone, with account, service and scope; the registry sees the token."""
    token_server(puller)
    puller.pull(credentials=Credentials("ann", "pw"))
    asked = puller.registry.asked("/token")
    assert len(asked) == 1
    assert "service=reg&scope=repository%3Ax%2Fy%3Apull&account=ann" in asked[0].path
    assert asked[0].headers["Authorization"] == "Basic " + base64.b64encode(b"ann:pw").decode()
    others = {exchange.headers.get("Authorization") for exchange in puller.registry.asked("/v2/x/y")}
    assert others == {None, "Bearer good"}


@pytest.mark.parametrize(
    ("status", "token", "words"),
    [
        (200, "bad", "unauthorized: who?"),
        (401, "", "unauthorized"),
        (503, "", "503 Service Unavailable"),
        (200, "", "token"),
    ],
)
def test_pull_without_a_good_token_is_refused(puller: Puller, status: int, token: str, words: str) -> None:
    """A token that is not taken is not asked for again and again; a server without one is named."""
    token_server(puller, status=status, token=token)
    assert words in puller.fails(credentials=Credentials("ann", "pw-secret"))
    assert "pw-secret" not in puller.fails(credentials=Credentials("ann", "pw-secret"))


def test_pull_takes_no_credentials_to_another_host(puller: Puller) -> None:
    """Blobs that lie elsewhere are fetched without the header that the registry gets."""
    with BadRegistry() as elsewhere:
        elsewhere.blobs.update(puller.registry.blobs)

        def trick(exchange: Exchange) -> bool:
            if exchange.headers.get("Authorization") is None:
                exchange.answer(401, Www_Authenticate='Basic realm="r"')
                return True
            if "/blobs/" in exchange.path:
                exchange.answer(307, Location=f"http://{elsewhere.host}{exchange.path}")
                return True
            return False

        puller.registry.tricks.append(trick)
        puller.pull(credentials=Credentials("ann", "pw"))
        assert elsewhere.requests
        assert not [one for one in elsewhere.requests if "Authorization" in one.headers]


def test_pull_waits_for_a_busy_registry(puller: Puller) -> None:
    """429 with Retry-After is asked again."""
    first = iter([True])

    def trick(exchange: Exchange) -> bool:
        if "/manifests/" in exchange.path and next(first, False):
            exchange.answer(429, Retry_After="0")
            return True
        return False

    puller.registry.tricks.append(trick)
    puller.pull()
    assert len(puller.registry.asked("/manifests/")) == 2
