"""Blobs on their way: what stays of them, who may write, and what readers get."""

from __future__ import annotations

import hashlib
import os
import threading
from pathlib import Path

import pytest

from shoal.image.partial_blob import OtherContent, PartialBlob
from shoal.image.partials import KEPT_S, Partials
from shoal.oci.descriptor import Descriptor

DATA = os.urandom(700_000)


def nothing(*_: object) -> None:
    """Hears, and checks, nothing."""


def descriptor_of(data: bytes) -> Descriptor:
    """What a manifest says of a blob."""
    return Descriptor("layer", f"sha256:{hashlib.sha256(data).hexdigest()}", len(data))


def write(blob: PartialBlob, data: bytes, *, is_all: bool = False) -> int:
    """Append `data` as a download does; where it began."""
    with blob.writing(nothing, nothing) as writer:
        assert writer is not None
        begin = writer.position
        writer.append(data)
        if is_all:
            writer.finish()
    return begin


@pytest.fixture
def partials(tmp_path: Path) -> Partials:
    """An empty directory of partial blobs."""
    return Partials(str(tmp_path / "partial"))


def test_blob_goes_on_where_an_earlier_process_stopped(partials: Partials, tmp_path: Path) -> None:
    """The digest is that of the whole, though one process has seen but a part of it."""
    with partials.shared(descriptor_of(DATA)) as blob:
        assert write(blob, DATA[:300_000]) == 0
    later = Partials(str(tmp_path / "partial"))
    with later.shared(descriptor_of(DATA)) as blob:
        assert write(blob, DATA[300_000:], is_all=True) == 300_000
        assert b"".join(blob.chunks(nothing)) == DATA


def test_blob_that_is_whole_already_is_verified_and_not_written(partials: Partials) -> None:
    """Killed between the last byte and the image: nothing is asked of the registry again."""
    with partials.shared(descriptor_of(DATA)) as blob:
        write(blob, DATA)
    with partials.shared(descriptor_of(DATA)) as blob, blob.writing(nothing, nothing) as writer:
        assert writer is None
        assert b"".join(blob.chunks(nothing)) == DATA


def test_damaged_rest_of_an_earlier_pull_is_thrown_away(partials: Partials) -> None:
    """What a power failure made of a file is found by the digest, told as old, and the file is empty."""
    descriptor = descriptor_of(DATA)
    with partials.shared(descriptor) as blob:
        write(blob, b"\0" * 300_000)
    with partials.shared(descriptor) as blob:
        with pytest.raises(OtherContent) as caught:
            write(blob, DATA[300_000:], is_all=True)
        assert caught.value.is_old
        assert write(blob, DATA, is_all=True) == 0


def test_forged_blob_never_reaches_a_reader_as_a_whole(partials: Partials) -> None:
    """The last byte is held back until the digest is right; the reader of a forgery is told."""
    with partials.shared(descriptor_of(DATA)) as blob:
        got: list[bytes] = []
        failures: list[OtherContent] = []

        def read() -> None:
            try:
                got.extend(blob.chunks(nothing))
            except OtherContent as other:
                failures.append(other)

        reader = threading.Thread(target=read)
        reader.start()
        with pytest.raises(OtherContent) as caught:
            write(blob, DATA[:-1] + b"\0" if DATA[-1:] != b"\0" else DATA[:-1] + b"\1", is_all=True)
        reader.join(10)
        assert not caught.value.is_old
        assert len(failures) == 1
        assert sum(map(len, got)) < len(DATA)


def test_second_writer_waits_hears_and_goes_on(partials: Partials) -> None:
    """While one fetches, the other one hears how far it is; when the first gives up, the second has the rest to do."""
    descriptor = descriptor_of(DATA)
    heard = threading.Event()
    began: list[int] = []

    with partials.shared(descriptor) as blob:

        def follow() -> None:
            with partials.shared(descriptor) as same:
                assert same is blob
                with same.writing(nothing, lambda arrived: heard.set() if arrived == 300_000 else None) as writer:
                    assert writer is not None
                    began.append(writer.position)
                    writer.append(DATA[writer.position :])
                    writer.finish()

        second = threading.Thread(target=follow)
        with blob.writing(nothing, nothing) as writer:
            assert writer is not None
            second.start()
            writer.append(DATA[:300_000])
            assert heard.wait(10)
        second.join(10)
        assert began == [300_000]
        assert b"".join(blob.chunks(nothing)) == DATA


def test_waiting_ends_when_the_own_pull_ends(partials: Partials) -> None:
    """Neither a writer nor a reader outlives its pull by waiting for another one's bytes."""

    class Gone(Exception):
        """The client has left."""

    def check() -> None:
        raise Gone

    with partials.shared(descriptor_of(DATA)) as blob:
        with pytest.raises(Gone):
            next(blob.chunks(check))
        with blob.writing(nothing, nothing), pytest.raises(Gone), blob.writing(check, nothing):
            pass


def test_sweep_takes_what_is_old_and_unused(tmp_path: Path) -> None:
    """A blob stays for an hour after its last use, is counted meanwhile, and is not swept while it is used."""
    now_s = 1_000_000.0
    partials = Partials(str(tmp_path / "partial"), lambda: now_s)
    with partials.shared(descriptor_of(DATA)) as blob:
        write(blob, DATA[:300_000])
    assert [(blob.digest, blob.in_use) for blob in partials.blobs()] == [(descriptor_of(DATA).digest, False)]
    assert partials.next_expiry_ns() == int((now_s + KEPT_S) * 10**9)
    now_s += KEPT_S - 1
    partials.sweep()
    assert len(partials.blobs()) == 1
    now_s += 1
    with partials.shared(descriptor_of(DATA)):
        partials.sweep()
        assert len(partials.blobs()) == 1
    now_s += KEPT_S
    partials.sweep()
    assert partials.blobs() == []


def test_discard_spares_what_another_pull_uses(partials: Partials) -> None:
    """The pull that ends last deletes the file; one that brought nothing leaves none."""
    descriptor = descriptor_of(DATA)
    with partials.shared(descriptor) as blob:
        write(blob, DATA, is_all=True)
        partials.discard([descriptor])
        assert len(partials.blobs()) == 1
    partials.discard([descriptor])
    with partials.shared(descriptor) as blob, blob.writing(nothing, nothing):
        pass
    assert partials.blobs() == []
