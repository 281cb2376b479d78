"""The members of an image archive, taken from a stream to disk.

In an archive the table of contents comes last, so that everything has to be taken down first. Members are kept under
numbers of ours: no name from the archive ever becomes a path.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain
from typing import BinaryIO, NamedTuple

from shoal.errors import InvalidArgument, ShoalError
from shoal.image.archive.ahead import Ahead, is_plain
from shoal.image.archive.passing import Passing
from shoal.image.entry_names import clean_name
from shoal.image.failures import explained
from shoal.image.tar.compression import decompressed, read_chunks
from shoal.image.tar.header import BLOCK, HARD_LINK, REGULAR, SYMLINK, TarEntry
from shoal.image.tar.reader import TarReader
from shoal.oci.descriptor import Descriptor
from shoal.oci.digest import Digest, algorithm_of, hex_of, parse_digest

_JSON_MAX = 32 << 20
_MEMBERS_MAX = 100_000
_LINKS_MAX = 20


class Member(NamedTuple):
    """A file of the archive: kept at `path` in the scratch directory, or unpacked only; or that was the `problem`."""

    path: str
    size_bytes: int
    digest: Digest
    is_kept: bool
    problem: ShoalError | None


class Members:
    """The files of one archive; the caller deletes `directory`, which must exist and be empty.

    `ahead` is shown every member while it arrives.
    """

    def __init__(self, directory: str, ahead: Ahead) -> None:
        self._directory = directory
        self._ahead = ahead
        self._files: dict[bytes, Member] = {}
        self._links: dict[bytes, bytes] = {}
        self._stored = 0

    def take(self, stream: BinaryIO) -> None:
        """Read the whole archive, compressed or not.

        Raises: InvalidArgument if it is malformed, Internal for a full disk, and what reading `stream` raises.
        """
        reader = TarReader(decompressed(read_chunks(stream)))
        for entry in reader:
            name = clean_name(entry.name)
            if entry.kind in (REGULAR, HARD_LINK, SYMLINK):
                self._files.pop(name, None)  # of two members of one name the later counts
                self._links.pop(name, None)
            if entry.kind == REGULAR and entry.sparse is None:
                self._files[name] = self._store(reader, entry)
            elif entry.kind == HARD_LINK:
                self._links[name] = clean_name(entry.linkname)
            elif entry.kind == SYMLINK:
                # Old archives link equal layers: `../ID/layer.tar`.
                parent = name.rpartition(b"/")[0]
                self._links[name] = clean_name(b"/" + parent + b"/" + entry.linkname)
            if self._stored + len(self._links) > _MEMBERS_MAX:
                raise InvalidArgument("invalid image archive", why=f"more than {_MEMBERS_MAX} files")
        reader.drain()

    def _store(self, reader: TarReader, entry: TarEntry) -> Member:
        self._stored += 1
        path = os.path.join(self._directory, str(self._stored))
        pieces = reader.data()
        head = next(pieces, memoryview(b""))
        is_layer = self._ahead.may_be_new(entry, bytes(head[:BLOCK]))
        if is_layer and is_plain(bytes(head[:BLOCK])):  # its layer gives it back, so that no file is needed
            passing = Passing(chain((head,), pieces), entry.size, None)
            problem = self._ahead.unpack(path, passing)
            passing.finish()
            digest = Digest("") if problem else self._ahead.digest_of(path)
            return Member(path, entry.size, digest, is_kept=False, problem=problem)
        with _fresh(path) as fd:
            passing = Passing(chain((head,), pieces), entry.size, fd)
            if is_layer:
                self._ahead.unpack(path, passing)  # if that can't be done, it is told when the file is unpacked
            passing.finish()
        return Member(path, entry.size, passing.digest, is_kept=True, problem=None)

    def find(self, name: str) -> Member | None:
        """The file of this name, by way of links within the archive.

        Raises: InvalidArgument, Internal if it is a layer that could not be unpacked.
        """
        key = clean_name(os.fsencode(name))
        for _ in range(_LINKS_MAX):
            if key not in self._links:
                member = self._files.get(key)
                if member is not None and member.problem is not None:
                    raise member.problem
                return member
            key = self._links[key]
        return None

    def need(self, name: str) -> Member:
        """The file of this name; one that is named by a digest must have it.

        Raises: InvalidArgument.
        """
        member = self.find(name)
        if member is None:
            raise InvalidArgument("invalid image archive", why=f"`{name}` is missing")
        parts = name.split("/")
        if len(parts) == 3 and parts[:2] == ["blobs", "sha256"] and member.digest != f"sha256:{parts[2]}":
            raise InvalidArgument(f"invalid image archive: wrong digest of `{name}`", why=f"it is {member.digest}")
        return member

    def blob(self, descriptor: Descriptor) -> Member:
        """The content of a descriptor, verified. Raises: InvalidArgument."""
        digest = parse_digest(descriptor.digest)
        if algorithm_of(digest) != "sha256":
            raise InvalidArgument("unsupported digest algorithm", why=f"`{digest}`")
        member = self.need(f"blobs/sha256/{hex_of(digest)}")
        if member.size_bytes != descriptor.size:
            raise InvalidArgument(
                f"invalid image archive: wrong size of {digest}",
                why=f"{member.size_bytes} instead of {descriptor.size}",
            )
        return member

    def read(self, member: Member) -> bytes:
        """The bytes of a small member. Raises: InvalidArgument if it is too big to be a document."""
        if member.size_bytes > _JSON_MAX:
            raise InvalidArgument("invalid image archive", why=f"a JSON document of {member.size_bytes} bytes")
        if not member.is_kept:
            raise InvalidArgument("invalid image archive", why="a layer in the place of a JSON document")
        with open(member.path, "rb") as file:
            return file.read()


@contextmanager
def _fresh(path: str) -> Iterator[int]:
    """The new file at `path`, open. Raises: Internal."""
    try:
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise explained(error, doing="load image") from error
    try:
        yield fd
    finally:
        os.close(fd)
