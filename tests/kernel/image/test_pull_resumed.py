"""Pulls that were interrupted go on where they stopped, two pulls share their work, and nothing is seen too early."""

from __future__ import annotations

import os
import random
import signal
import threading
import time

import pytest

from shoal.errors import ShoalError
from shoal.image.registry.credentials import Credentials
from shoal.image.registry.endpoints import RegistrySettings
from shoal.image.registry.progress import Told
from shoal.oci.reference import Reference
from tests.engines.bad_registry import Exchange, digest_of
from tests.kernel.image.pulls import AMD64, Puller, open_store

PIECE_BYTES = 64 << 10
WINDOW_BYTES = 256 << 10
CHUNK_BYTES = WINDOW_BYTES + PIECE_BYTES  # what can be on its way between the registry and the disk


class Meter:
    """Serves the big blob at the pace at which it gets to the disk, and counts what it sends.

    Without that pace the kernel would buffer megabytes of it, which nobody has asked for twice when they are lost.
    """

    def __init__(self, puller: Puller) -> None:
        self.blob = max(puller.registry.blobs.values(), key=len)
        self.sent = 0
        self.cut_at = len(self.blob)
        self._puller = puller
        puller.registry.tricks.append(self._serve)

    def _serve(self, exchange: Exchange) -> bool:
        if not exchange.path.endswith(digest_of(self.blob)):
            return False
        begin = int(exchange.headers.get("Range", "bytes=0-")[6:].rstrip("-"))
        if begin >= self.cut_at:
            exchange.answer(404)  # which is not tried again
            return True
        span = f"bytes {begin}-{len(self.blob) - 1}/{len(self.blob)}"
        send = exchange.begin(206 if begin else 200, len(self.blob) - begin, Content_Range=span)
        for position in range(begin, len(self.blob), PIECE_BYTES):
            if position >= self.cut_at or not self._is_wanted(exchange, position):
                exchange.cut()
                break
            piece = self.blob[position : position + PIECE_BYTES]
            self.sent += len(piece)
            send(piece)
        return True

    def _is_wanted(self, exchange: Exchange, position: int) -> bool:
        """Whether the client is still there when all but a window of the bytes before `position` are on the disk."""
        while self._puller.kept_bytes() < position - WINDOW_BYTES:
            if exchange.is_left(0.001):
                return False
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
    puller.restart()
    meter.cut_at, meter.sent = len(meter.blob), 0
    puller.pull()
    assert meter.sent == len(meter.blob) - (2 << 20)
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
