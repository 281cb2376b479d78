"""Pulls that were interrupted go on where they stopped, two pulls share their work, and nothing is seen too early."""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from collections.abc import Callable

import pytest

from shoal.errors import ShoalError
from shoal.image.claims import PARTIAL_PULL
from shoal.image.registry.credentials import Credentials
from shoal.image.registry.endpoints import RegistrySettings
from shoal.image.registry.progress import Told
from shoal.linux.mounts import MS_REMOUNT, mount
from shoal.oci.reference import Reference
from tests.engines.bad_registry import Exchange, digest_of
from tests.engines.paced import CHUNK_BYTES, Paced
from tests.kernel.image.pulls import AMD64, Puller, open_store


class Meter:
    """The big blob, what is sent of it, and where the connection is cut."""

    def __init__(self, puller: Puller) -> None:
        self.blob = max(puller.registry.blobs.values(), key=len)
        self.cut_at = len(self.blob)
        self._paced = Paced(puller.registry, puller.partial)
        self._paced.before = lambda _digest, position: position < self.cut_at
        puller.registry.tricks.insert(0, self._refuse)

    @property
    def sent(self) -> int:
        """How many bytes the registry has sent of it."""
        return self._paced.sent[digest_of(self.blob)]

    def _refuse(self, exchange: Exchange) -> bool:
        """404 for the rest behind a cut, which is not tried again."""
        if f"bytes={self.cut_at}-" != exchange.headers.get("Range"):
            return False
        exchange.answer(404)
        return True


def pull_in_child(puller: Puller) -> int:
    """The pid of a child that pulls into the store as a shoald of its own would."""
    pid = os.fork()
    if not pid:
        try:
            puller.store = open_store(puller.scratch.parent.parent)
            puller.pull()
        finally:
            os._exit(0)
    return pid


def test_pull_goes_on_after_a_restart(puller: Puller) -> None:
    """A pull that fails leaves its bytes; the next shoald asks for the rest alone, and leaves no file."""
    meter = Meter(puller)
    meter.cut_at = 2 << 20
    with pytest.raises(ShoalError):
        puller.pull()
    assert puller.store.images() == []
    assert puller.kept_bytes() == 2 << 20
    kept = [claim for claim in puller.store.claims() if claim.id == digest_of(meter.blob)]
    assert [(claim.kind, claim.in_use) for claim in kept] == [(PARTIAL_PULL, False)]
    puller.restart()
    meter.cut_at = len(meter.blob)
    puller.pull()
    assert meter.sent == len(meter.blob)
    assert puller.kept_bytes() == 0


def test_pull_into_what_a_power_failure_left_begins_anew(puller: Puller) -> None:
    """Zeros at the end of the file, as a file system may leave them, cost a second fetch and no error."""
    meter = Meter(puller)
    meter.cut_at = 2 << 20
    with pytest.raises(ShoalError):
        puller.pull()
    partial = max(puller.partial.iterdir(), key=lambda path: path.stat().st_size)
    with partial.open("r+b") as file:
        file.seek(-4096, os.SEEK_END)
        file.write(b"\0" * 4096)
    meter.cut_at = len(meter.blob)
    puller.pull()
    assert puller.kept_bytes() == 0


def test_pull_killed_at_any_moment_fetches_no_chunk_twice(puller: Puller) -> None:
    """Children are killed in the middle of it until one comes through: each costs a chunk at the most."""
    meter = Meter(puller)
    kills = 0
    chance = random.Random(7)
    while not puller.store.images():
        pid = pull_in_child(puller)
        deadline = time.monotonic() + chance.uniform(0.02, 0.12) * (1 + kills / 4)
        while time.monotonic() < deadline and not os.waitpid(pid, os.WNOHANG)[0]:
            time.sleep(0.002)
        try:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            kills += 1
        except (ProcessLookupError, ChildProcessError):
            pass  # it has come through
        puller.restart()
    assert kills
    assert meter.sent <= len(meter.blob) + kills * CHUNK_BYTES


def test_two_pulls_of_one_image_fetch_it_once(puller: Puller) -> None:
    """The second one waits for the first one's bytes, tells of them, and takes its layers."""
    meter = Meter(puller)
    told: list[list[Told]] = [[], []]
    pulls = [threading.Thread(target=puller.pull, kwargs={"hear": told[index].append}) for index in range(2)]
    for pull in pulls:
        pull.start()
    for pull in pulls:
        pull.join(20)
    assert meter.sent == len(meter.blob)
    assert [image.repo_tags for image in puller.store.images()] == [[f"{puller.registry.host}/x/y:1"]]
    for steps in told:
        assert [step[0] for step in steps].count("Pull complete") + [step[0] for step in steps].count(
            "Already exists"
        ) == 2
    assert puller.kept_bytes() == 0


def test_second_pull_goes_on_when_the_first_is_abandoned(puller: Puller) -> None:
    """One client of two leaves: what has come for it is the other one's."""
    meter = Meter(puller)
    first = puller.store.registries(RegistrySettings(certificates=())).begin(Credentials())
    began = threading.Event()

    def hear(step: Told) -> None:
        if step[0] == "Downloading":
            began.set()
            first.abandon()

    def leave() -> None:
        with pytest.raises(ShoalError):
            first.pull(Reference.parse(f"{puller.registry.host}/x/y:1"), AMD64, hear)

    leaving = threading.Thread(target=leave)
    leaving.start()
    assert began.wait(10)
    puller.pull()
    leaving.join(10)
    assert meter.sent <= len(meter.blob) + CHUNK_BYTES
    assert len(puller.store.images()) == 1


def test_pull_onto_a_full_disk_says_what_it_takes_and_leaves_nothing(
    puller: Puller, in_mount_namespace: Callable[[Callable[[], None]], None]
) -> None:
    """No blob stays, and no layer but one that is whole; with room the image comes, into the same store."""

    def pull() -> None:
        root = puller.scratch.parent.parent
        mount("tmpfs", str(root), "tmpfs", 0, "size=5m")
        puller.store = open_store(root)
        with pytest.raises(ShoalError, match=r"no space left on device: about 12\.6MB are needed") as caught:
            puller.pull()
        assert "are free" in str(caught.value)
        assert puller.kept_bytes() == 0
        assert puller.store.images() == []
        assert puller.store.layers_size() <= 4
        mount("tmpfs", str(root), "tmpfs", MS_REMOUNT, "size=50m")
        puller.pull()
        puller.store.close()

    in_mount_namespace(pull)
