"""The images that the benchmark moves: Debian with Python in three layers, and one of very many small files."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import random
import subprocess
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from tests.perf.measures import note

CACHE = Path(__file__).resolve().parents[2] / ".cache" / "bench"
SUITE = "bookworm"
_PACKAGES = "python3,python3-venv,python3-pip,gcc"
# What is in a layer of its own, as if a later step had installed it.
_LATER = (("usr/lib/python3", "usr/share/python"), ("usr/lib/gcc", "usr/include", "usr/libexec/gcc"))
_SMALL_FILES = 30_000
_FILES_A_DIRECTORY = 100
_PIECE_BYTES = 1 << 20

Member = tuple[tarfile.TarInfo, IO[bytes] | None]


@dataclass(frozen=True, slots=True)
class Picture:
    """One image: what the report calls it, its name, its archive as `docker save` writes it, its layers as a registry
    has them.
    """

    title: str
    name: str
    archive: Path
    layers: tuple[Path, ...]

    @property
    def compressed_mib(self) -> float:
        """What a registry sends."""
        return sum(layer.stat().st_size for layer in self.layers) / 2**20


def pictures() -> list[Picture]:
    """Both images; made once, and kept for the next time."""
    CACHE.mkdir(parents=True, exist_ok=True)
    return [
        _picture("Debian + Python", "debian", _write_debian),
        _picture(f"{_SMALL_FILES:,} small files", "small", _write_small),
    ]


def _picture(title: str, name: str, write_layers: Callable[[], list[Path]]) -> Picture:
    archive = CACHE / f"{name}-image.tar"
    if not archive.exists():
        note(f"making the image of {title} (once)")
        partial = archive.with_suffix(".part")
        _write_archive(partial, f"bench/{name}:1", write_layers())
        partial.rename(archive)
    return Picture(title, f"bench/{name}:1", archive, tuple(sorted(CACHE.glob(f"{name}-layer-*.gz"))))


def _write_archive(target: Path, name: str, layers: list[Path]) -> None:
    """The archive of an image of these plain tars, which are compressed beside it and deleted."""
    config = {"architecture": "amd64", "os": "linux", "config": {"Cmd": ["true"]}}
    config["rootfs"] = {"type": "layers", "diff_ids": [f"sha256:{_sha256(layer)}" for layer in layers]}
    document = json.dumps(config).encode()
    names = [f"{index}/layer.tar" for index in range(len(layers))]
    manifest = json.dumps([{"Config": "config.json", "RepoTags": [name], "Layers": names}]).encode()
    with tarfile.open(target, "w", format=tarfile.PAX_FORMAT) as archive:
        for member, data in (("config.json", document), ("manifest.json", manifest)):
            entry = tarfile.TarInfo(member)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
        for layer, member in zip(layers, names, strict=True):
            archive.add(layer, member)
    for layer in layers:
        with layer.open("rb") as plain, gzip.open(layer.with_suffix(".gz"), "wb", 6) as packed:
            while piece := plain.read(_PIECE_BYTES):
                packed.write(piece)
        layer.unlink()


def _write_debian() -> list[Path]:
    """Debian's files in three layers."""
    whole = CACHE / "debian.tar"
    if not whole.exists():
        command = ["mmdebstrap", "--mode=root", "--variant=minbase", f"--include={_PACKAGES}", "--format=tar", SUITE]
        partial = whole.with_suffix(".part")
        subprocess.run([*command, partial], check=True, stdin=subprocess.DEVNULL, capture_output=True)
        partial.rename(whole)
    paths = [CACHE / f"debian-layer-{index}.tar" for index in range(len(_LATER) + 1)]
    with tarfile.open(whole) as source:
        members = list(source)
        for index, path in enumerate(paths):
            chosen = (entry for entry in members if _layer_of(entry) == index)
            _write_tar(path, ((entry, source.extractfile(entry) if entry.isfile() else None) for entry in chosen))
    return paths


def _layer_of(entry: tarfile.TarInfo) -> int:
    # A hard link stays in the layer of what it links to.
    name = (entry.linkname if entry.islnk() else entry.name).removeprefix("./")
    for index, prefixes in enumerate(_LATER, 1):
        if name.startswith(prefixes):
            return index
    return 0


def _write_small() -> list[Path]:
    """Files of half a kilobyte to four, which compress as text does."""
    path = CACHE / "small-layer-0.tar"
    chance = random.Random(1)
    words = [f"{chance.randrange(1 << 40):x} " for _ in range(4000)]

    def members() -> Iterator[Member]:
        for number in range(_SMALL_FILES):
            if number % _FILES_A_DIRECTORY == 0:
                directory = tarfile.TarInfo(f"tree/d{number // _FILES_A_DIRECTORY}")
                directory.type, directory.mode = tarfile.DIRTYPE, 0o755
                yield directory, None
            data = "".join(chance.choices(words, k=chance.randrange(50, 400))).encode()
            entry = tarfile.TarInfo(f"tree/d{number // _FILES_A_DIRECTORY}/file-{number}.txt")
            entry.size = len(data)
            yield entry, io.BytesIO(data)

    _write_tar(path, members())
    return [path]


def _write_tar(path: Path, members: Iterator[Member]) -> None:
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as archive:
        for entry, data in members:
            archive.addfile(entry, data)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
