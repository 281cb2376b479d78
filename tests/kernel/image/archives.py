"""Image archives in all the forms that are about, built from scratch."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
from collections.abc import Callable

import zstandard

from shoal.image.tar.header import DIRECTORY, SYMLINK, TarEntry
from shoal.image.tar.writer import TarWriter

COMPRESSORS: dict[str, Callable[[bytes], bytes]] = {
    "": bytes,
    "+gzip": gzip.compress,
    "+zstd": zstandard.ZstdCompressor().compress,
}


def hex_digest(data: bytes) -> str:
    """The hexadecimal sha256 of `data`."""
    return hashlib.sha256(data).hexdigest()


def archive(members: dict[str, bytes], links: dict[str, str] | None = None) -> bytes:
    """A tar of these members, in their order."""
    out = io.BytesIO()
    writer = TarWriter(out.write)
    seen: set[str] = set()
    for name, data in members.items():
        parent = name.rpartition("/")[0]
        if parent and parent not in seen:
            seen.add(parent)
            writer.add(TarEntry(parent.encode() + b"/", DIRECTORY, mode=0o755))
        writer.add(TarEntry(name.encode(), size=len(data)), (data,))
    for name, target in (links or {}).items():
        writer.add(TarEntry(name.encode(), SYMLINK, linkname=target.encode()))
    writer.close()
    return out.getvalue()


def config(*layers: bytes, os: str = "linux", **fields: object) -> bytes:
    """The configuration of an image of these plain layers."""
    diff_ids = [f"sha256:{hex_digest(layer)}" for layer in layers]
    document = {
        "architecture": "amd64",
        "os": os,
        "created": "2024-01-02T03:04:05.6Z",
        "config": {"Cmd": ["sh"], "Env": None},
        "rootfs": {"type": "layers", "diff_ids": diff_ids},
        "history": [{"created_by": f"step {index}"} for index in range(len(layers))],
    }
    return json.dumps({**document, **fields}).encode()


def docker_archive(*images: tuple[list[str], tuple[bytes, ...]], form: str = "") -> bytes:
    """What `docker save` of the years 2016 to 2023 wrote: manifest.json, CONFIG.json, ID/layer.tar."""
    members: dict[str, bytes] = {}
    manifest = []
    for names, layers in images:
        document = config(*layers)
        members[f"{hex_digest(document)}.json"] = document
        paths = []
        for layer in layers:
            paths.append(f"{hex_digest(layer)}/layer.tar")
            members[paths[-1]] = COMPRESSORS[form](layer)
        manifest.append({"Config": f"{hex_digest(document)}.json", "RepoTags": names, "Layers": paths})
    members["manifest.json"] = json.dumps(manifest).encode()
    return archive(members)


class Layout:
    """An OCI image layout that grows by blobs."""

    def __init__(self) -> None:
        self.members = {"oci-layout": b'{"imageLayoutVersion": "1.0.0"}'}
        self.manifests: list[dict[str, object]] = []

    def blob(self, data: bytes, media_type: str, **fields: object) -> dict[str, object]:
        """The descriptor of a new blob."""
        self.members[f"blobs/sha256/{hex_digest(data)}"] = data
        return {"mediaType": media_type, "digest": f"sha256:{hex_digest(data)}", "size": len(data), **fields}

    def image(self, *layers: bytes, form: str = "+gzip", document: bytes | None = None) -> bytes:
        """The manifest of an image of these layers."""
        config_blob = self.blob(document or config(*layers), "application/vnd.oci.image.config.v1+json")
        media_type = f"application/vnd.oci.image.layer.v1.tar{form}"
        blobs = [self.blob(COMPRESSORS[form](layer), media_type) for layer in layers]
        return json.dumps({"schemaVersion": 2, "config": config_blob, "layers": blobs}).encode()

    def add(self, manifest: bytes, kind: str = "manifest", **fields: object) -> None:
        """Put a manifest or an index into the layout's index."""
        self.manifests.append(self.blob(manifest, f"application/vnd.oci.image.{kind}.v1+json", **fields))

    def bytes(self) -> bytes:
        """The archive."""
        index = {"schemaVersion": 2, "manifests": self.manifests}
        return archive({**self.members, "index.json": json.dumps(index).encode()})


def version1_archive(names: dict[str, dict[str, str]], chain: list[tuple[str, bytes | None]]) -> bytes:
    """What `docker save` before 1.10 wrote: repositories and, for each layer, VERSION, json, layer.tar.

    A layer of None is a link to the one below it.
    """
    members: dict[str, bytes] = {}
    links: dict[str, str] = {}
    parent = None
    for identity, layer in chain:
        document: dict[str, object] = {
            "id": identity,
            "created": "2015-01-02T03:04:05Z",
            "container_config": {"Cmd": ["/bin/sh", "-c", f"make {identity}"]},
            "config": {"Cmd": ["sh"]},
            "architecture": "amd64",
            "os": "linux",
        }
        if parent:
            document["parent"] = parent
        members[f"{identity}/VERSION"] = b"1.0"
        members[f"{identity}/json"] = json.dumps(document).encode()
        if layer is None:
            links[f"{identity}/layer.tar"] = f"../{parent}/layer.tar"
        else:
            members[f"{identity}/layer.tar"] = layer
        parent = identity
    members["repositories"] = json.dumps(names).encode()
    return archive(members, links)
