"""Compressed layers: kept beside the unpacked ones if that is wanted, and got from elsewhere by a push if not."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from shoal.image.claims import BLOB
from shoal.image.fsck import Finding
from shoal.image.registry.credentials import Credentials
from shoal.image.registry.endpoints import RegistrySettings
from shoal.oci.reference import Reference
from tests.engines.bad_registry import BadRegistry, Exchange, digest_of
from tests.kernel.image.pulls import Puller

SETTINGS = RegistrySettings(certificates=(), retry_pause_s=0.01)


@pytest.fixture
def other() -> Iterator[BadRegistry]:
    """A second registry, which has nothing yet."""
    with BadRegistry() as registry:
        yield registry


def push_on(puller: Puller, other: BadRegistry) -> str:
    """The digest that the pulled image has in another registry, which is whole there."""
    reference = Reference.parse(f"{other.host}/a/b:1")
    puller.store.tag(puller.store.images()[0].id, reference)
    puller.store.registries(SETTINGS).begin(Credentials("ann", "for-the-other")).push([reference], lambda _: None)
    document = json.loads(other.manifests["1"][1])
    for part in (document["config"], *document["layers"]):
        assert len(other.blobs[part["digest"]]) == part["size"]
    return digest_of(other.manifests["1"][1])


def kept(puller: Puller) -> list[Path]:
    """The files of blobs that are kept."""
    return sorted((puller.scratch.parent.parent / "compressed").iterdir())


def away(exchange: Exchange) -> bool:
    """A registry that does not answer any more."""
    exchange.cut()
    return True


def test_push_elsewhere_sends_what_the_first_registry_has(puller: Puller, other: BadRegistry) -> None:
    """Nothing is kept, and the image has the same digest in the other registry; credentials go to that one alone."""
    pulled = digest_of(puller.registry.manifests["1"][1])
    puller.pull()
    assert kept(puller) == []
    assert push_on(puller, other) == pulled
    assert list(puller.partial.iterdir()) == []
    assert not [one for one in puller.registry.requests if "Authorization" in one.headers]


def test_push_elsewhere_compresses_anew_what_nobody_gives(puller: Puller, other: BadRegistry) -> None:
    """The first registry is asked once, and the push goes on without it."""
    pulled = digest_of(puller.registry.manifests["1"][1])
    puller.pull()
    puller.registry.requests.clear()
    puller.registry.tricks.append(away)
    assert push_on(puller, other) != pulled
    assert len({one.path for one in puller.registry.requests}) == 1


def test_kept_blobs_are_pushed_without_the_first_registry(puller: Puller, other: BadRegistry) -> None:
    """What came is what is sent, byte for byte, by the next process too."""
    pulled = digest_of(puller.registry.manifests["1"][1])
    puller.restart(drops_blobs=False)
    puller.pull()
    puller.restart(drops_blobs=False)
    puller.registry.tricks.append(away)
    assert push_on(puller, other) == pulled
    assert other.blobs == puller.registry.blobs


def test_kept_blobs_go_with_their_image_and_are_on_the_books(puller: Puller) -> None:
    """They are claimed, counted in full, and gone after the last image that has them."""
    puller.restart(drops_blobs=False)
    puller.pull()
    claims = [claim for claim in puller.store.claims() if claim.kind == BLOB]
    assert sorted(claim.path for claim in claims) == [str(path) for path in kept(puller)]
    assert {claim.names for claim in claims} == {tuple(puller.store.images()[0].repo_tags)}
    du = subprocess.check_output(["du", "-s", "-B1", str(kept(puller)[0].parent)], text=True)
    owned = sum(os.stat(path).st_blocks * 512 for path in kept(puller))
    assert int(du.split()[0]) == owned + os.stat(kept(puller)[0].parent).st_blocks * 512
    puller.store.remove(puller.store.images()[0].id, force=True)
    assert kept(puller) == []


def test_kept_blobs_are_dropped_when_they_are_not_wanted_any_more(puller: Puller, other: BadRegistry) -> None:
    """At the next start; and what an earlier process left of no layer goes, however it is set."""
    puller.restart(drops_blobs=False)
    puller.pull()
    assert len(kept(puller)) == 2
    stray = kept(puller)[0].parent / f"{'0' * 64}.sha256-{'1' * 64}"
    stray.write_bytes(b"of no layer")
    puller.restart(drops_blobs=False)
    assert len(kept(puller)) == 2
    puller.restart()
    assert kept(puller) == []
    assert push_on(puller, other) == digest_of(puller.registry.manifests["1"][1])


def test_fsck_drops_a_damaged_kept_blob(puller: Puller, other: BadRegistry) -> None:
    """It is told, and a push does without it."""
    puller.restart(drops_blobs=False)
    puller.pull()
    damaged = kept(puller)[0]
    damaged.write_bytes(b"other")
    for repair in (False, True):
        (found,) = [step for step in puller.store.check(repair=repair, busy=()) if isinstance(step, Finding)]
        assert (found.cause, found.is_mended) == ("blob-damaged", repair)
        assert "was changed" in found.sentence
    assert not damaged.exists()
    assert not [step for step in puller.store.check(repair=False, busy=()) if isinstance(step, Finding)]
    assert push_on(puller, other) == digest_of(puller.registry.manifests["1"][1])
