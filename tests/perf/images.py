"""Images pulled, pushed, loaded and saved, with Debian's docker-registry on loopback; and unpacked beside tar."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path

from shoal.image.layers import LayerStore
from shoal.image.scratch import Scratch
from shoal.oci.digest import Digest
from tests.engines.bad_registry import BadRegistry, layer_tar
from tests.engines.big_image import keep_big_image, peak_bytes, reset_peak
from tests.engines.registry import Registry
from tests.perf.measures import Row, note
from tests.perf.pictures import Picture, pictures
from tests.perf.subjects import Failed, InMemory, Subject, timed

_ROUNDS = 3
_NOISE_MIB = 64


def image_rows(subjects: list[Subject], *, is_quick: bool) -> list[Row]:
    """For each image: pull, push, load, save, the best of some rounds with the engines in turn; and unpacking.

    Quick: one round, the big image on shoald and dockerd alone, and a layer of 1 GiB instead of 4.
    """
    rounds = 1 if is_quick else _ROUNDS
    # First, because later it has the memory already that it needs for moving images.
    rows = [_memory([subject for subject in subjects if subject.name == "shoald"], 1 if is_quick else 4)]
    small, *big = sorted(pictures(), key=lambda picture: picture.compressed_mib)
    for picture in (*big, small):
        movers = [subject for subject in subjects if not (is_quick and picture in big and subject.name == "podman")]
        rows += [*_moves(picture, movers, rounds), _unpacking(picture, rounds)]
    return [*rows[1:], rows[0]]


def _moves(picture: Picture, subjects: list[Subject], rounds: int) -> list[Row]:
    size = f"{picture.title}, {picture.compressed_mib:.0f} MiB compressed"
    pull, push = Row(f"`pull` of {size}", "s"), Row("`push` of it to a registry without it", "s")
    load, save = Row("`load` of it", "s"), Row("`save` of it", "s")
    for turn in range(rounds):
        for subject in subjects:
            note(f"images: {picture.title}, round {turn + 1}, {subject.name}")
            try:
                _round(picture, subject, load, save, push, pull)
            except Failed as problem:
                note(f"{subject.name}: {problem}")
    return [pull, push, load, save]


def _round(picture: Picture, subject: Subject, load: Row, save: Row, push: Row, pull: Row) -> None:
    _forget(subject, picture.name)
    _keep_best(load, subject, timed(subject, "load", "-i", str(picture.archive)))
    _keep_best(save, subject, timed(subject, "save", picture.name))
    with Registry(network_of=subject.network_pid()) as registry:
        remote = f"{registry.host}/{picture.name}"
        timed(subject, "tag", picture.name, remote)
        insecure = subject.insecure()
        _keep_best(push, subject, timed(subject, "push", *insecure, remote))
        _forget(subject, remote, picture.name)
        _keep_best(pull, subject, timed(subject, "pull", *insecure, remote))
        _forget(subject, remote)


def _forget(subject: Subject, *names: str) -> None:
    for name in names:
        with suppress(Failed):  # it was not there
            timed(subject, "rmi", "-f", name)


def _keep_best(row: Row, subject: Subject, seconds: float) -> None:
    row.values[subject.name] = min(seconds, row.values.get(subject.name, seconds))
    note(f"{subject.name}: {row.title}: {seconds:.2f} {row.unit}")


def _unpacking(picture: Picture, rounds: int) -> Row:
    """The layers' compressed archives one after the other into directories, without any engine around it."""
    note(f"images: {picture.title}, unpacking")
    with tempfile.TemporaryDirectory(prefix="shoal-bench-") as place, closing(InMemory(f"{place}/memory")):
        tar_s, own_s = [], []
        for _ in range(rounds):
            tar_s.append(_seconds(_untar, picture, Path(place) / "memory/tar"))
            own_s.append(_seconds(_unpack, picture, Path(place) / "memory/own"))
            note(f"GNU tar with `pigz -d`: {tar_s[-1]:.2f} s; shoal: {own_s[-1]:.2f} s")
    ratio = min(own_s) / min(tar_s)
    row = Row(f"unpacking its layers (GNU tar with `pigz -d`: {min(tar_s):.2f} s, {ratio:.2f} times that)", "s")
    row.values["shoald"] = min(own_s)
    return row


def _seconds(unpack: Callable[[Picture, Path], None], picture: Picture, place: Path) -> float:
    begin = time.perf_counter()
    unpack(picture, place)
    seconds = time.perf_counter() - begin
    shutil.rmtree(place)
    return seconds


def _untar(picture: Picture, place: Path) -> None:
    for number, layer in enumerate(picture.layers):
        target = place / str(number)
        target.mkdir(parents=True)
        options = ["--numeric-owner", "--xattrs", "--xattrs-include=*", "-I", "pigz -d", "-C", str(target)]
        subprocess.run(["tar", "-x", "-p", *options, "-f", str(layer)], check=True)


def _unpack(picture: Picture, place: Path) -> None:
    layers = LayerStore(str(place / "layers"), Scratch(str(place / "tmp")))
    below: tuple[Digest, ...] = ()
    for layer in picture.layers:
        below = (*below, Digest(layers.add(str(layer), below).chain_id))


def _memory(subjects: list[Subject], big_gib: int) -> Row:
    """What the daemon takes above what it has at rest while it pulls a layer that no memory should hold."""
    row = Row(f"memory of the daemon above rest while a layer of {big_gib} GiB comes (peak)", "MiB")
    note("images: memory")
    with BadRegistry() as registry:
        registry.image(layer_tar("small", b"data"))
        keep_big_image(registry, "big", zeros_mib=big_gib << 10, noise_mib=_NOISE_MIB)
        for subject in subjects:
            [pid] = subject.processes()["shoald"]
            timed(subject, "pull", f"{registry.host}/x/y:1")
            before = reset_peak(pid)
            timed(subject, "pull", f"{registry.host}/x/y:big")
            row.values[subject.name] = (peak_bytes(pid) - before) / 2**20
            note(f"{subject.name}: {row.title}: {row.values[subject.name]:.1f} MiB")
            _forget(subject, f"{registry.host}/x/y:1", f"{registry.host}/x/y:big")
    return row
