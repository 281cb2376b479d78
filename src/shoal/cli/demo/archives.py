"""The images of the demo as archives: composed here, without any registry, and loaded through the API.

busybox           a tar of a file system, for `POST /images/create?fromSrc=-`
debian:bookworm   one layer    ┐ one archive as of `docker save`, for `POST /images/load`;
web:latest        two layers   ┘ the Debian layer is in it once
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import tarfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from shoal.cli.bootstrap.architecture import architecture
from shoal.cli.bootstrap.entries import directory_entry, file_entry
from shoal.cli.demo import webserver
from shoal.cli.demo.debian import SUITE, RootTar
from shoal.client.document import Json

DEBIAN_IMAGE = f"debian:{SUITE}"
WEB_IMAGE = "web:latest"
BUSYBOX_IMAGE = "busybox"

_BLOCK = tarfile.BLOCKSIZE
_READ_BYTES = 256 * 1024


def web_layer() -> bytes:
    """The layer on top of Debian: the directory and the program."""
    program = webserver.PROGRAM.encode()
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.GNU_FORMAT) as tar:
        tar.addfile(directory_entry("srv"))
        tar.addfile(file_entry(webserver.PATH.lstrip("/"), len(program), mode=0o755), io.BytesIO(program))
    return buffer.getvalue()


@dataclass(frozen=True, slots=True)
class SavedArchive:
    """An archive as of `docker save`, made while it is read. `size_bytes` is exact."""

    size_bytes: int
    _parts: Sequence[tuple[bytes, bytes | str]]

    def chunks(self) -> Iterator[bytes]:
        """Its bytes; files are read now. Raises: OSError."""
        for header, content in self._parts:
            yield header
            if isinstance(content, bytes):
                yield content
                size = len(content)
            else:
                size = 0
                for chunk in _file_chunks(content):
                    size += len(chunk)
                    yield chunk
            yield bytes(-size % _BLOCK)
        yield bytes(2 * _BLOCK)


def saved_archive(root: RootTar) -> SavedArchive:
    """The archive with both Debian images."""
    layer = web_layer()
    layer_id = f"sha256:{hashlib.sha256(layer).hexdigest()}"
    base_config = _config([root.diff_id], {"Cmd": ["/bin/bash"]}, root.created, ["mmdebstrap --variant=minbase"])
    web: dict[str, Json] = {
        "Cmd": list(webserver.COMMAND),
        "ExposedPorts": {f"{webserver.PORT}/tcp": {}},
        "WorkingDir": "/srv",
    }
    steps = ["mmdebstrap --variant=minbase", f"COPY web.pl {webserver.PATH}"]
    web_config = _config([root.diff_id, layer_id], web, root.created, steps)
    base_name, web_name = (f"{hashlib.sha256(config).hexdigest()}.json" for config in (base_config, web_config))
    manifest = json.dumps(
        [
            {"Config": base_name, "RepoTags": [DEBIAN_IMAGE], "Layers": ["debian/layer.tar"]},
            {"Config": web_name, "RepoTags": [WEB_IMAGE], "Layers": ["debian/layer.tar", "web/layer.tar"]},
        ]
    ).encode()
    return _archive(
        [
            (base_name, base_config),
            (web_name, web_config),
            ("debian/layer.tar", root.path),
            ("web/layer.tar", layer),
            ("manifest.json", manifest),
        ]
    )


def _config(diff_ids: Sequence[str], config: dict[str, Json], created: str, steps: Iterable[str]) -> bytes:
    """An image's configuration (OCI image-spec §Image Configuration)."""
    path = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    return json.dumps(
        {
            "architecture": architecture(),
            "os": "linux",
            "created": created,
            "config": {"Env": [path], **config},
            "rootfs": {"type": "layers", "diff_ids": list(diff_ids)},
            "history": [{"created": created, "created_by": step} for step in steps],
        }
    ).encode()


def _archive(members: Sequence[tuple[str, bytes | str]]) -> SavedArchive:
    """Members are (name, content), a content of str is the path of a file."""
    parts: list[tuple[bytes, bytes | str]] = []
    total = 2 * _BLOCK
    for name, content in members:
        size = os.stat(content).st_size if isinstance(content, str) else len(content)
        header = file_entry(name, size).tobuf(tarfile.GNU_FORMAT)
        parts.append((header, content))
        total += len(header) + size + -size % _BLOCK
    return SavedArchive(total, parts)


def _file_chunks(path: str) -> Iterator[bytes]:
    with open(path, "rb") as file:
        while chunk := file.read(_READ_BYTES):
            yield chunk
