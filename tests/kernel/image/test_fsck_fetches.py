"""The check of the store gets what is lost from the registry that it came from."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from shoal.image.fsck import Finding
from shoal.image.registry.credentials import Credentials
from shoal.image.registry.endpoints import RegistrySettings
from shoal.image.registry.failures import Cancelled
from shoal.oci.digest import hex_of
from tests.engines.bad_registry import Exchange, digest_of
from tests.kernel.image.pulls import BIG, SMALL, Puller
from tests.kernel.image.trees import describe

pytestmark = pytest.mark.root
SETTINGS = RegistrySettings(certificates=(), retry_pause_s=0.01)


def repair(puller: Puller, credentials: Credentials | None = None) -> list[Finding]:
    """What is found, and mended where it can be."""
    registries = puller.store.registries(SETTINGS)
    with registries.origins(lambda _: credentials or Credentials()) as origin:
        told = list(puller.store.check(repair=True, busy=(), origin=origin))
    return [step for step in told if isinstance(step, Finding)]


def layers(puller: Puller) -> Path:
    """Where the layers are."""
    return puller.scratch.parent.parent / "layers"


LOSSES: dict[str, Callable[[Path], object]] = {
    "content": lambda layer: (layer / "diff/small").write_bytes(b"DATA"),
    "file": lambda layer: (layer / "diff/small").unlink(),
    "tree": lambda layer: shutil.rmtree(layer / "diff"),
    "skeleton": lambda layer: (layer / "skeleton").write_bytes(b"no skeleton"),
    "all": shutil.rmtree,
}


@pytest.mark.parametrize("loss", LOSSES)
def test_fsck_fetches_a_lost_layer_again(puller: Puller, loss: str) -> None:
    """The layer is what it was, its image stays, even below a container, and the next process finds it."""
    puller.pull()
    image = puller.store.images()[0]
    puller.store.snapshotter.prepare("c1", image.chain_ids)
    layer = layers(puller) / hex_of(image.chain_ids[0])
    before = describe(layer / "diff")
    LOSSES[loss](layer)
    (found,) = repair(puller)
    assert (found.cause, found.is_mended, found.hint) == ("layer-lost", True, "")
    assert found.sentence.endswith("; it was fetched again")
    puller.restart()
    assert describe(layer / "diff") == before
    assert puller.store.images() == [image]
    assert repair(puller) == []
    assert list(puller.partial.iterdir()) == []


def test_fsck_fetches_a_configuration_again(puller: Puller) -> None:
    """By the digest that the image's manifest names."""
    puller.pull()
    image = puller.store.images()[0]
    (puller.scratch.parent.parent / "blobs/sha256" / hex_of(image.id)).write_bytes(b"{}")
    (found,) = repair(puller)
    assert (found.cause, found.is_mended, found.hint) == ("configuration-damaged", True, "")
    assert puller.store.images() == [image]
    assert repair(puller) == []


def test_fsck_asks_as_the_user(puller: Puller) -> None:
    """A registry that is closed to others gives it to whoever may have it."""
    ann = Credentials("ann", "pw-of-ann")
    puller.pull()
    shutil.rmtree(layers(puller) / hex_of(puller.store.images()[0].chain_ids[0]) / "diff")

    def closed(exchange: Exchange) -> bool:
        if exchange.headers.get("Authorization") == ann.basic:
            return False
        exchange.answer(401, Www_Authenticate='Basic realm="x"')
        return True

    puller.registry.tricks.append(closed)
    (found,) = repair(puller, ann)
    assert found.is_mended


def test_fsck_gives_up_nothing_while_the_registry_is_away(puller: Puller) -> None:
    """It may come back: the image stays, and what to do is told; what the registry has no more is given up."""
    puller.pull()
    shutil.rmtree(layers(puller) / hex_of(puller.store.images()[0].chain_ids[0]) / "diff")

    def away(exchange: Exchange) -> bool:
        exchange.cut()
        return True

    puller.registry.tricks.append(away)
    (found,) = repair(puller)
    assert (found.is_mended, found.hint) == (False, "repeat shoal fsck --repair when the registry answers")
    assert "it can't be fetched again: Get" in found.sentence
    assert len(puller.store.images()) == 1
    puller.registry.tricks.clear()
    puller.registry.blobs.clear()
    (found,) = repair(puller)
    assert found.sentence.endswith("; its images are removed")
    assert found.hint.startswith("pull or load again: ")
    assert puller.store.images() == []


def test_fsck_believes_no_registry(puller: Puller) -> None:
    """Bytes that are not what their digest says make no layer."""
    puller.pull()
    shutil.rmtree(layers(puller) / hex_of(puller.store.images()[0].chain_ids[0]) / "diff")
    name = next(name for name, data in puller.registry.blobs.items() if len(data) < len(SMALL) and b"{" not in data[:1])
    puller.registry.blobs[name] = bytes(len(puller.registry.blobs[name]))
    (found,) = repair(puller)
    assert "verification failed" in found.sentence
    assert puller.store.images() == []


def test_fsck_whose_watcher_leaves_gives_up_nothing(puller: Puller) -> None:
    """An end in the middle of a fetch is no reason to remove an image."""
    puller.pull()
    shutil.rmtree(layers(puller) / hex_of(puller.store.images()[0].chain_ids[1]) / "diff")
    with puller.store.registries(SETTINGS).origins(lambda _: Credentials()) as origin:

        def leave(exchange: Exchange) -> bool:
            origin.abandon()
            exchange.cut()
            return True

        puller.registry.tricks.append(leave)
        with pytest.raises(Cancelled):
            list(puller.store.check(repair=True, busy=(), origin=origin))
    assert len(puller.store.images()) == 1
    assert digest_of(BIG) in puller.store.images()[0].diff_ids
