"""The content store: immutable files named by the sha256 of what they hold.

A blob appears under its name only when it is whole and on disk: temporary name, fsync, rename, fsync of the directory.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

from shoal.errors import Internal, NotFound
from shoal.oci.digest import Digest, hex_of, parse_digest, sha256_of


class BlobStore:
    """Blobs under `root`/sha256, written by way of `tmp`, a directory on the same file system. Thread-safe."""

    def __init__(self, root: str, tmp: str) -> None:
        self._directory = os.path.join(root, "sha256")
        self._tmp = tmp
        os.makedirs(self._directory, mode=0o700, exist_ok=True)

    def put(self, data: bytes, *, anew: bool = False) -> Digest:
        """The digest under which `data` is stored now, in the place of a damaged file if `anew`.

        Raises: Internal for a full disk.
        """
        digest = sha256_of(data)
        target = self.path(digest)
        if os.path.exists(target) and not anew:
            return digest
        temporary = os.path.join(self._tmp, f"blob-{hex_of(digest)[:16]}-{os.urandom(4).hex()}")
        try:
            with open(temporary, "xb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            os.rename(temporary, target)
            sync_directory(self._directory)
        except OSError as error:
            _unlink_quietly(temporary)
            raise Internal(f"failed to write blob {digest}", why=os.strerror(error.errno or 0)) from error
        return digest

    def read(self, digest: Digest) -> bytes:
        """The content of `digest`. Raises: NotFound; Internal if the file no longer has that digest."""
        try:
            with open(self.path(digest), "rb") as file:
                data = file.read()
        except FileNotFoundError:
            raise NotFound(f"content {digest} not found") from None
        if sha256_of(data) != digest:
            raise Internal(f"damaged blob {digest}", why="its content has another digest", fix="load the image again")
        return data

    def delete(self, digest: Digest) -> None:
        """Delete the blob, if it exists."""
        _unlink_quietly(self.path(digest))

    def digests(self) -> Iterator[Digest]:
        """All stored digests."""
        for name in os.listdir(self._directory):
            yield parse_digest(f"sha256:{name}")

    def path(self, digest: Digest) -> str:
        """Where the blob of `digest` is, or would be."""
        return os.path.join(self._directory, hex_of(digest))


def sync_directory(path: str) -> None:
    """Make a rename in the directory `path` durable. Raises: OSError."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _unlink_quietly(path: str) -> None:
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass  # gone already: what was wanted
