"""Layers that no image has yet: kept for an hour where work broke off, also by a kill; garbage taken at any time."""

from __future__ import annotations

import contextlib
import io
import os
import signal
import threading
from pathlib import Path

import pytest

from shoal.image.layer_archive import ArchiveFile
from shoal.image.layers import LayerStore
from shoal.image.leases import GRACE_NS, Leases
from shoal.image.scratch import Scratch
from shoal.oci.digest import Digest
from shoal.oci.reference import Reference
from tests.kernel.image.archives import hex_digest
from tests.kernel.image.trees import connect, file, layer, leftovers, open_store

pytestmark = pytest.mark.root

DATA = layer(file("one", b"1" * 5000))
OTHER = layer(file("two", b"2" * 5000))


class Clock:
    """A clock that goes when it is told to."""

    def __init__(self) -> None:
        self.now_ns = 10**18

    def __call__(self) -> int:
        return self.now_ns


class Bench:
    """Layers and leases on them; `again` is what the next process finds."""

    def __init__(self, root: Path, clock: Clock) -> None:
        self._root = root
        self._clock = clock
        self.scratch = Scratch(str(root / "tmp"))
        self.layers = LayerStore(str(root / "layers"), self.scratch)
        self.leases = Leases(lambda: connect(root / "db"), self.layers, clock)

    def make(self, data: bytes) -> Digest:
        """The chainID of an unpacked layer, which the caller holds."""
        archive = self._root / "archive"
        archive.write_bytes(data)
        digest = Digest(f"sha256:{hex_digest(data)}")
        self.layers.ensure(ArchiveFile(str(archive)), (), digest, digest)
        return digest

    def there(self) -> set[str]:
        """The layers that exist."""
        return {one.chain_id for one in self.layers.all()}

    def again(self) -> Bench:
        """As it is for the next process, which takes away what nobody holds."""
        self.leases.close()
        bench = Bench(self._root, self._clock)
        bench.layers.discard_unheld()
        return bench


@pytest.fixture
def clock() -> Clock:
    """A clock that stands."""
    return Clock()


@pytest.fixture
def bench(tmp_path: Path, clock: Clock) -> Bench:
    """An empty store of layers."""
    return Bench(tmp_path, clock)


def digest_of(data: bytes) -> Digest:
    """The chainID that a bottom layer of this tar has."""
    return Digest(f"sha256:{hex_digest(data)}")


def break_off(bench: Bench, subject: str, *wanted: bytes, made: bytes | None = None) -> None:
    """Work for `subject` that wants layers, makes at most one of them, and fails."""
    with contextlib.suppress(InterruptedError), bench.leases.held(subject, [digest_of(data) for data in wanted]):
        if made is not None:
            bench.make(made)
        raise InterruptedError


def test_lease_of_work_that_is_done_goes_with_it(bench: Bench) -> None:
    """Whoever has the layer by then holds it; else it goes at once."""
    with bench.leases.held("a:1", [digest_of(DATA)]):
        kept = bench.make(DATA)
        bench.layers.hold([kept])
    assert bench.there() == {kept}
    assert bench.leases.next_expiry_ns() is None
    bench.layers.release([kept])
    assert bench.there() == set()
    bench.leases.close()


def test_lease_of_broken_off_work_lasts_an_hour(bench: Bench, clock: Clock) -> None:
    """The layer is there for the next try until the hour is over."""
    break_off(bench, "a:1", DATA, OTHER, made=DATA)
    assert bench.leases.next_expiry_ns() == clock.now_ns + GRACE_NS
    assert set(bench.leases.subjects().values()) == {"a:1"}
    clock.now_ns += GRACE_NS - 1
    assert bench.leases.expire() == []
    clock.now_ns += 1
    assert bench.leases.expire() == [digest_of(DATA)]
    assert (bench.there(), bench.leases.next_expiry_ns()) == (set(), None)
    bench.leases.close()


def test_lease_of_work_that_made_nothing_is_none(bench: Bench) -> None:
    """A pull that failed before its first layer keeps nothing, also not what others let go later."""
    with bench.layers.held([digest_of(DATA)]):
        bench.make(DATA)
        break_off(bench, "a:1", DATA, OTHER)
        assert bench.leases.next_expiry_ns() is None
    assert bench.there() == set()
    bench.leases.close()


def test_lease_of_an_earlier_try_ends_with_the_one_that_succeeds(bench: Bench) -> None:
    """Leases of other subjects stay."""
    break_off(bench, "a:1", DATA, made=DATA)
    break_off(bench, "b:1", OTHER, made=OTHER)
    with bench.leases.held("a:1", [digest_of(DATA)]):
        pass
    assert bench.there() == {digest_of(OTHER)}
    assert bench.leases.give_up() == [digest_of(OTHER)]
    bench.leases.close()


def test_lease_of_a_killed_process_counts_from_the_next_start(tmp_path: Path, clock: Clock) -> None:
    """However long the work had run, what it made is there for an hour after the restart, and not longer."""
    pid = os.fork()
    if not pid:
        bench = Bench(tmp_path, clock)
        with bench.leases.held("a:1", [digest_of(DATA)]):
            bench.make(DATA)
            os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(pid, 0)
    clock.now_ns += 5 * GRACE_NS
    second = Bench(tmp_path, clock).again()
    assert second.there() == {digest_of(DATA)}
    clock.now_ns += GRACE_NS // 2
    third = second.again()
    assert third.there() == {digest_of(DATA)}
    clock.now_ns += GRACE_NS // 2
    fourth = third.again()
    assert fourth.there() == set()
    fourth.leases.close()


def test_garbage_collection_beside_imports_and_removals_takes_nothing_that_is_needed(tmp_path: Path) -> None:
    """Collections without a pause, and four hands that import, read and remove: an image is whole while it is one."""
    store = open_store(tmp_path / "data")
    stop = threading.Event()
    failures: list[BaseException] = []

    def collect() -> None:
        while not stop.is_set():
            store.collect_garbage(unfinished=True)

    def use(number: int) -> None:
        try:
            for turn in range(15):
                data = layer(file("shared", b"s"), file(f"own-{number}-{turn % 3}", os.urandom(3000)))
                name = f"image-{number}:1"
                store.import_tar(io.BytesIO(data), reference=Reference.parse(name))
                store.add_layer(name, io.BytesIO(OTHER), target=f"{name}1")
                store.save([name], io.BytesIO())
                store.remove(f"{name}1")
                store.remove(name)
        except BaseException as error:  # noqa: BLE001 - told by the test's own thread
            failures.append(error)

    collector = threading.Thread(target=collect)
    hands = [threading.Thread(target=use, args=(number,)) for number in range(4)]
    for thread in (collector, *hands):
        thread.start()
    for thread in hands:
        thread.join()
    stop.set()
    collector.join()
    assert failures == []
    assert (store.images(), list((tmp_path / "data/layers").iterdir())) == ([], [])
    store.close()
    assert leftovers(tmp_path / "data") == []
