"""Pulls of what is no image: kept as it came, listed, read, replaced and forgotten."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from shoal.errors import InvalidArgument, NotFound, ShoalError
from shoal.image.fsck import Finding
from shoal.image.registry.credentials import Credentials
from shoal.image.registry.endpoints import RegistrySettings
from shoal.image.registry.progress import Told
from shoal.image.store import ImageStore
from shoal.linux.mounts import MS_REMOUNT, mount
from shoal.oci.reference import Reference
from tests.engines.bad_registry import INDEX, MANIFEST, BadRegistry, Exchange, digest_of
from tests.kernel.image.pulls import AMD64, SMALL, Puller, on_blob, open_store

CHART = "application/vnd.cncf.helm.config.v1+json"
EMPTY = "application/vnd.oci.empty.v1+json"
DAMAGE = {"changed": "was changed", "missing": "is missing"}
TITLE = "org.opencontainers.image.title"


def keep_artifact(registry: BadRegistry, tag: str, files: dict[str, bytes], **fields: Any) -> str:
    """Keep an artifact of these files under `tag`; its digest."""
    layers = [
        {"mediaType": "application/x-file", **registry.put(data), "annotations": {TITLE: name}}
        for name, data in files.items()
    ]
    config = {"mediaType": CHART, **registry.put(b'{"name": "chart"}')}
    document = {"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": layers, **fields}
    return registry.keep(MANIFEST, document, tag)


def pull(puller: Puller, tag: str, hear: Callable[[Told], None] = lambda _: None) -> Reference:
    """The name under which something that is no image is here now."""
    work = puller.store.registries(RegistrySettings(certificates=(), retry_pause_s=0.01)).begin(Credentials())
    (pulled,) = work.pull(Reference.parse(f"{puller.registry.host}/x/y:{tag}"), AMD64, hear)
    assert pulled.id is None
    return pulled.reference


def files_of(store: ImageStore) -> list[str]:
    """The digests of all files that the store has of artifacts."""
    return sorted(f"sha256:{Path(path).name}" for path in store.artifacts.paths())


def test_pull_of_an_artifact_keeps_its_files_as_they_are(puller: Puller) -> None:
    """Neither image nor layer: a manifest with a type, files with titles, and the whole told of as an image's pull."""
    digest = keep_artifact(puller.registry, "chart", {"a.tgz": b"a" * 1000, "b.tgz": b"b"})
    heard: list[Told] = []
    reference = pull(puller, "chart", heard.append)
    statuses = [str(step[0]) for step in heard]
    assert statuses[0] == "Pulling from x/y"
    assert statuses[-2:] == [
        f"Digest: {digest}",
        f"Status: Downloaded newer artifact for {reference.familiar()}",
    ]
    (artifact,) = puller.store.artifacts.all()
    assert (artifact.reference, artifact.digest, artifact.kind, artifact.size_bytes) == (reference, digest, CHART, 1018)
    assert Path(puller.store.artifacts.path(artifact.file("a.tgz"))).read_bytes() == b"a" * 1000
    assert artifact.file(digest_of(b"b")) == artifact.file("b.tgz")
    with pytest.raises(InvalidArgument, match=r"is not one file: it has 2: a\.tgz, b"):
        artifact.file("")
    with pytest.raises(NotFound):
        artifact.file("c.tgz")
    assert puller.store.images() == []
    assert puller.store.layers_size() == 0
    pull(puller, "chart", heard.append)
    assert heard[-1][0] == f"Status: Artifact is up to date for {reference.familiar()}"


def test_artifact_of_a_type_of_its_own_with_an_empty_configuration(puller: Puller) -> None:
    """OCI 1.1: `artifactType`, and `{}` for a configuration; layers may be of any type, an image's too."""
    config = {"mediaType": EMPTY, **puller.registry.put(b"{}")}
    layers = [{"mediaType": "application/vnd.oci.image.layer.v1.tar", **puller.registry.put(SMALL)}]
    document = {"schemaVersion": 2, "mediaType": MANIFEST, "artifactType": "application/x-model", "config": config}
    puller.registry.keep(MANIFEST, {**document, "layers": layers}, "model")
    pull(puller, "model")
    (artifact,) = puller.store.artifacts.all()
    assert artifact.kind == "application/x-model"
    assert Path(puller.store.artifacts.path(artifact.file(""))).read_bytes() == SMALL


def test_artifacts_share_files_and_take_the_last_with_them(puller: Puller) -> None:
    """A tag that means another artifact now, a file that two have, and nothing left in the end."""
    keep_artifact(puller.registry, "one", {"a": b"a", "shared": b"s"})
    keep_artifact(puller.registry, "two", {"b": b"b", "shared": b"s"})
    one, two = pull(puller, "one"), pull(puller, "two")
    config = digest_of(b'{"name": "chart"}')
    assert files_of(puller.store) == sorted([config, *map(digest_of, (b"a", b"b", b"s"))])
    keep_artifact(puller.registry, "one", {"c": b"c"})
    pull(puller, "one")
    assert files_of(puller.store) == sorted([config, *map(digest_of, (b"b", b"c", b"s"))])
    puller.store.artifacts.remove(two)
    assert files_of(puller.store) == sorted([config, digest_of(b"c")])
    puller.store.artifacts.remove(one)
    assert files_of(puller.store) == []
    with pytest.raises(NotFound, match=f"No such artifact: {one.familiar()}"):
        puller.store.artifacts.remove(one)


def test_pull_of_an_artifact_that_lies_leaves_nothing(puller: Puller) -> None:
    """A file that is not what its digest says, and digests that are no sha256."""
    keep_artifact(puller.registry, "chart", {"a": b"a" * 100})
    puller.registry.tricks.append(on_blob(b"a" * 100, lambda exchange: exchange.answer(200, b"b" * 100)))
    assert "verification failed" in puller.fails("chart")
    layer = {"mediaType": "application/x-file", "digest": "sha512:" + "1" * 128, "size": 3}
    keep_artifact(puller.registry, "other", {}, layers=[layer])
    assert "named by their sha256" in puller.fails("other")
    assert puller.store.artifacts.all() == []
    assert files_of(puller.store) == []


def test_pull_of_an_artifact_onto_a_full_disk_says_what_it_takes_and_leaves_nothing(
    puller: Puller, in_mount_namespace: Callable[[Callable[[], None]], None]
) -> None:
    """No byte stays; with room it comes."""
    keep_artifact(puller.registry, "model", {"weights": bytes(9_000_000)})

    def pull_twice() -> None:
        root = puller.scratch.parent.parent
        mount("tmpfs", str(root), "tmpfs", 0, "size=5m")
        puller.store = open_store(root)
        with pytest.raises(ShoalError, match=r"no space left on device: 9\.0MB are needed, "):
            pull(puller, "model")
        assert puller.kept_bytes() == 0
        assert files_of(puller.store) == []
        mount("tmpfs", str(root), "tmpfs", MS_REMOUNT, "size=20m")
        pull(puller, "model")
        puller.store.close()

    in_mount_namespace(pull_twice)


@pytest.mark.parametrize("damage", DAMAGE)
def test_fsck_finds_a_damaged_artifact_and_forgets_it(puller: Puller, damage: str) -> None:
    """A file that is another one now, or gone: told of with the name to pull again; the sound one beside it stays."""
    keep_artifact(puller.registry, "sound", {"b": b"b"})
    sound, damaged = pull(puller, "sound"), pull(puller, keep_tag(puller))
    file = Path(puller.store.artifacts.path(puller.store.artifacts.get(damaged).file("")))
    file.unlink()
    if damage == "changed":
        file.write_bytes(b"other")
    for repair in (False, True):
        findings = [told for told in puller.store.check(repair=repair, busy=()) if isinstance(told, Finding)]
        assert [(one.cause, one.is_mended) for one in findings] == [("artifact-damaged", repair)]
        wrong = f"artifact {damaged.familiar()} is damaged: {digest_of(b'a')} {DAMAGE[damage]}"
        assert findings[0].sentence.startswith(wrong)
    assert [artifact.reference for artifact in puller.store.artifacts.all()] == [sound]
    assert not [told for told in puller.store.check(repair=False, busy=()) if isinstance(told, Finding)]


@pytest.mark.parametrize("damage", DAMAGE)
def test_fsck_fetches_the_file_of_an_artifact_again(puller: Puller, damage: str) -> None:
    """From the repository that it was pulled from."""
    name = pull(puller, keep_tag(puller))
    file = Path(puller.store.artifacts.path(puller.store.artifacts.get(name).file("")))
    file.unlink()
    if damage == "changed":
        file.write_bytes(b"other")
    with puller.store.registries(RegistrySettings(certificates=())).origins(lambda _: Credentials()) as origin:
        steps = list(puller.store.check(repair=True, busy=(), origin=origin))
    assert [(step.is_mended, step.hint) for step in steps if isinstance(step, Finding)] == [(True, "")]
    assert file.read_bytes() == b"a"


def push(puller: Puller, reference: Reference) -> list[Told]:
    """What is told while an artifact goes into its registry."""
    heard: list[Told] = []
    work = puller.store.registries(RegistrySettings(certificates=(), retry_pause_s=0.01)).begin(Credentials())
    work.push([reference], heard.append)
    return heard


def test_push_of_an_artifact_is_byte_for_byte(puller: Puller) -> None:
    """Under another name, in another registry: the same digest; what is there already is not sent again."""
    name = pull(puller, keep_tag(puller))
    with BadRegistry() as other:
        target = Reference.parse(f"{other.host}/charts/mine:2")
        puller.store.artifacts.tag(name, target)
        assert [step[0] for step in push(puller, target)].count("Pushed") == 2
        media_type, raw = other.manifests["2"]
        assert (media_type, digest_of(raw)) == (MANIFEST, puller.store.artifacts.get(name).digest)
        assert b"a" in other.blobs.values()
        assert [step[0] for step in push(puller, target)].count("Layer already exists") == 2
    puller.store.artifacts.remove(name)
    assert puller.store.artifacts.get(target).file("").size == 1


def test_push_of_an_artifact_with_connections_cut_is_whole_in_the_end(puller: Puller) -> None:
    """Each of its requests is asked again."""
    name = pull(puller, keep_tag(puller))
    seen: set[str] = set()

    def cut_once(exchange: Exchange) -> bool:
        if exchange.method in seen or exchange.path == "/v2/":
            return False
        seen.add(exchange.method)
        exchange.cut()
        return True

    puller.registry.blobs.clear()
    puller.registry.tricks.append(cut_once)
    push(puller, name)
    assert seen == {"HEAD", "POST", "PATCH", "PUT"}
    assert b"a" in puller.registry.blobs.values()


def test_push_of_what_refers_to_an_image_is_listed_there(puller: Puller) -> None:
    """A registry that keeps no list gets one under a tag, with what was there before; one that does gets none."""
    subject = digest_of(puller.registry.manifests["1"][1])
    descriptor = {"mediaType": MANIFEST, "digest": subject, "size": len(puller.registry.manifests["1"][1])}
    for number in (1, 2):
        keep_artifact(puller.registry, f"s{number}", {"a": b"a" * number}, subject=descriptor, artifactType="x/sig")
        push(puller, pull(puller, f"s{number}"))
    push(puller, pull(puller, "s1"))
    work = puller.store.registries(RegistrySettings(certificates=())).begin(Credentials())
    found = work.referrers(Reference.parse(f"{puller.registry.host}/x/y:1"))
    assert {one.digest for one in found} == {digest_of(puller.registry.manifests[f"s{n}"][1]) for n in (1, 2)}
    assert {one.artifact_type for one in found} == {"x/sig"}
    del puller.registry.manifests[subject.replace(":", "-")]

    def keeps_lists(exchange: Exchange) -> bool:
        if exchange.method != "PUT" or "/manifests/" not in exchange.path:
            return False
        exchange.answer(201, OCI_Subject=subject)
        return True

    puller.registry.tricks.append(keeps_lists)
    push(puller, pull(puller, "s1"))
    assert subject.replace(":", "-") not in puller.registry.manifests


def test_prune_of_artifacts_by_age(puller: Puller) -> None:
    """Those that came later stay; what is told is what the files had."""
    name = pull(puller, keep_tag(puller))
    came_ns = puller.store.artifacts.get(name).pulled_ns
    assert puller.store.artifacts.prune(came_ns - 1) == ([], 0)
    assert puller.store.artifacts.prune(came_ns) == ([name], len(b"a") + len(b'{"name": "chart"}'))
    assert files_of(puller.store) == []


def test_artifacts_outlive_the_process_and_garbage_does_not(puller: Puller, tmp_path: Path) -> None:
    """Another process finds what was pulled; a file that no manifest names is deleted at its start."""
    reference = pull(puller, keep_tag(puller))
    (tmp_path / "root/artifacts/sha256" / ("0" * 64)).write_bytes(b"left over")

    def connect() -> sqlite3.Connection:
        return sqlite3.connect(tmp_path / "db", check_same_thread=False, isolation_level=None)

    store = ImageStore(tmp_path / "root", connect, driver="vfs")
    assert [artifact.reference for artifact in store.artifacts.all()] == [reference]
    assert digest_of(b"left over") not in files_of(store)
    assert len(files_of(store)) == 2
    assert {claim.kind for claim in store.claims()} == {"artifact"}
    store.close()


def keep_tag(puller: Puller) -> str:
    """The tag of an artifact of one file."""
    keep_artifact(puller.registry, "chart", {"a": b"a"})
    return "chart"


ABOUT: list[dict[str, Any]] = [
    {"mediaType": MANIFEST, "digest": digest_of(kind.encode()), "size": 7, "artifactType": kind}
    for kind in ("application/x-signature", "application/spdx+json")
]


def referrers(puller: Puller) -> list[tuple[str, str]]:
    """Type and digest of what the registry has about the image under the tag 1."""
    work = puller.store.registries(RegistrySettings(certificates=())).begin(Credentials())
    found = work.referrers(Reference.parse(f"{puller.registry.host}/x/y:1"))
    return [(each.artifact_type, each.digest) for each in found]


def test_referrers_are_what_the_registry_lists_page_by_page(puller: Puller) -> None:
    """The list of the registry's own, of the image's digest; the second page is where the first one says."""
    digest = digest_of(puller.registry.manifests["1"][1])

    def lists(exchange: Exchange) -> bool:
        path, _, query = exchange.path.partition("?")
        if path != f"/v2/x/y/referrers/{digest}":
            return False
        body = {"schemaVersion": 2, "mediaType": INDEX, "manifests": ABOUT[1:] if query else ABOUT[:1]}
        more = {} if query else {"Link": f'<{path}?n=2>; rel="next"'}
        exchange.answer(200, json.dumps(body).encode(), Content_Type=INDEX, **more)
        return True

    puller.registry.tricks.append(lists)
    assert referrers(puller) == [(each["artifactType"], each["digest"]) for each in ABOUT]


def test_referrers_of_a_registry_without_lists_are_behind_a_tag(puller: Puller) -> None:
    """404 for the list: then the tag that is made of the digest; without that one there are none."""
    assert referrers(puller) == []
    tag = digest_of(puller.registry.manifests["1"][1]).replace(":", "-")
    puller.registry.keep(INDEX, {"schemaVersion": 2, "mediaType": INDEX, "manifests": ABOUT}, tag)
    assert referrers(puller) == [(each["artifactType"], each["digest"]) for each in ABOUT]
