"""An image that is too big for memory, and small in a registry: nearly all of it is zeros."""

from __future__ import annotations

import gzip
import hashlib
import io
import itertools
import json
import os
from pathlib import Path

from shoal.image.tar.header import TarEntry, pack_header
from tests.engines.bad_registry import CONFIG, LAYER, MANIFEST, BadRegistry

MIB = 1 << 20


def keep_big_image(registry: BadRegistry, tag: str, *, zeros_mib: int, noise_mib: int) -> None:
    """An image of one layer with two files, of zeros and of noise, under the name `tag`."""
    packed, diff_id = _layer({b"zeros": zeros_mib, b"noise": noise_mib})
    rootfs = {"type": "layers", "diff_ids": [diff_id]}
    config = json.dumps({"architecture": "amd64", "os": "linux", "rootfs": rootfs}).encode()
    layers = [{"mediaType": f"{LAYER}+gzip", **registry.put(packed)}]
    document = {"schemaVersion": 2, "mediaType": MANIFEST, "layers": layers}
    registry.keep(MANIFEST, {**document, "config": {"mediaType": CONFIG, **registry.put(config)}}, tag)


def _layer(files: dict[bytes, int]) -> tuple[bytes, str]:
    """The compressed layer, and its diffID; it is never in memory as a whole."""
    packed, hasher = io.BytesIO(), hashlib.sha256()
    zeros = bytes(MIB)
    with gzip.open(packed, "wb", 1) as out:
        for name, size_mib in files.items():
            header = pack_header(TarEntry(name, size=size_mib * MIB), b"", name)
            pieces = (zeros if name == b"zeros" else os.urandom(MIB) for _ in range(size_mib))
            for piece in itertools.chain((header,), pieces):
                out.write(piece)
                hasher.update(piece)
        out.write(bytes(1024))
        hasher.update(bytes(1024))
    return packed.getvalue(), f"sha256:{hasher.hexdigest()}"


def reset_peak(pid: int) -> int:
    """Forget the most memory that the process has had; returns what it has now. proc(5) §clear_refs."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")
    return peak_bytes(pid)


def peak_bytes(pid: int) -> int:
    """The most memory that the process has had since."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:"))
