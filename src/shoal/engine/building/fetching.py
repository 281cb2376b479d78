"""What builds bring from elsewhere (`build.steps.adding.Fetcher`): files by URL, git repositories, archives.

Everything lands in the scratch directory, and is gone when the build lets go of it. git is the machine's own program:
without hooks, prompts and helpers of a repository's making.
"""

from __future__ import annotations

import asyncio
import hashlib
import http.client
import io
import os
import re
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager

from shoal import __version__
from shoal.build.files import Files
from shoal.build.steps.adding import is_repository
from shoal.engine.building.git import Checkout, Repository, check_out
from shoal.engine.building.layers import BuildLayers
from shoal.errors import InvalidArgument, Unavailable
from shoal.image.archive_files import ArchiveFiles
from shoal.image.layer_files import LayerFiles
from shoal.image.snapshot.diff import LayerWriter
from shoal.image.tar.compression import compression_of, read_chunks
from shoal.image.tar.header import BLOCK, TarEntry, parse_header
from shoal.image.tar.writer import encode_entry
from shoal.image.trees import open_directory, walk_tree

DOCKERFILE_MAX = 4 << 20
_PIECE = 1 << 20
_TIMEOUT_S = 60.0
_SUM = re.compile(r"sha256:[0-9a-f]{64}\Z", re.ASCII)
_COMMIT = re.compile(r"[0-9a-f]{4,64}\Z", re.ASCII)
_NO_DIGESTS = ""


class Fetching:
    """Brings files into the scratch directory of `layers`."""

    def __init__(self, layers: BuildLayers) -> None:
        self._layers = layers

    async def context(self, remote: str) -> tuple[ArchiveFiles, int | None]:
        """The context that `remote` names, and the time of its newest commit.

        Raises: Unavailable, InvalidArgument.
        """
        if is_repository(remote):
            return await asyncio.to_thread(self._repository_context, remote)
        if not remote.startswith(("http://", "https://")):
            raise InvalidArgument(f"remote URL could not be parsed: {remote}", fix="give a URL or a git repository")
        return await asyncio.to_thread(self._url_context, remote), None

    @asynccontextmanager
    async def url(self, url: str, checksum: str) -> AsyncIterator[Files]:
        """See Fetcher."""
        if checksum and not _SUM.match(checksum):
            raise InvalidArgument(f"invalid checksum {checksum!r}", fix="write sha256: and 64 hexadecimal digits")
        directory = self._layers.fresh_tree()
        try:
            await asyncio.to_thread(_download, url, os.path.join(directory, _name_of(url)), checksum)
            yield LayerFiles([directory])
        finally:
            self._layers.drop_tree(directory)

    @asynccontextmanager
    async def git(self, url: str, *, keep_git_dir: bool, checksum: str) -> AsyncIterator[Files]:
        """See Fetcher."""
        if checksum and not _COMMIT.match(checksum):
            raise InvalidArgument(f"invalid checksum {checksum!r}", fix="write the hexadecimal digits of a commit")
        directory = self._layers.fresh_tree()
        try:
            checkout = await asyncio.to_thread(check_out, Repository.parse(url), directory, keep_git_dir=keep_git_dir)
            if checksum and not checkout.commit.startswith(checksum):
                raise InvalidArgument(f"expected checksum to match {checksum}, got {checkout.commit}")
            yield LayerFiles([checkout.directory])
        finally:
            self._layers.drop_tree(directory)

    @asynccontextmanager
    async def archive(self, files: Files, path: bytes) -> AsyncIterator[Files | None]:
        """See Fetcher."""
        opened = await asyncio.to_thread(self._archive, files, path)
        try:
            yield opened
        finally:
            if opened is not None:
                opened.close()

    def _archive(self, files: Files, path: bytes) -> ArchiveFiles | None:
        head = files.head(path, BLOCK)
        if not compression_of(head) and not _is_tar(head):
            return None
        spool = self._layers.scratch_path("archive")
        try:
            fd = os.open(spool, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            with open(fd, "r+b", buffering=0) as file:
                files.copy(path, fd)
                file.seek(0)
                return ArchiveFiles.received(read_chunks(file), self._layers.scratch_path("unpacked"))
        except InvalidArgument:
            if _is_tar(head):
                raise
            return None  # compressed, but no archive: it is copied as it is
        finally:
            os.unlink(spool)

    def _url_context(self, remote: str) -> ArchiveFiles:
        path = self._layers.scratch_path("remote")
        try:
            _download(remote, path, _NO_DIGESTS)
            with open(path, "rb", buffering=0) as file:
                head = file.read(BLOCK)
                file.seek(0)
                spool = self._layers.scratch_path("context")
                if compression_of(head) or _is_tar(head):
                    return ArchiveFiles.received(read_chunks(file), spool)
                return ArchiveFiles.received(_one_file(b"Dockerfile", _dockerfile(file)), spool)
        finally:
            if os.path.exists(path):
                os.unlink(path)

    def _repository_context(self, remote: str) -> tuple[ArchiveFiles, int]:
        directory = self._layers.fresh_tree()
        spool = self._layers.scratch_path("checkout")
        try:
            checkout: Checkout = check_out(Repository.parse(remote), directory, keep_git_dir=False)
            with open(spool, "x+b", buffering=0) as file:
                _archive_tree(checkout.directory, file.write)
                file.seek(0)
                files = ArchiveFiles.received(read_chunks(file), self._layers.scratch_path("context"))
            return files, checkout.commit_s
        finally:
            self._layers.drop_tree(directory)
            if os.path.exists(spool):
                os.unlink(spool)


def _download(url: str, path: str, checksum: str) -> None:
    """Write what `url` gives to the new file `path`. Raises: Unavailable; InvalidArgument for another sum."""
    request = urllib.request.Request(url, headers={"User-Agent": f"shoal/{__version__}"})
    hasher = hashlib.sha256()
    try:
        with urllib.request.urlopen(request, timeout=_TIMEOUT_S) as answer, open(path, "xb") as file:
            os.fchmod(file.fileno(), 0o600)
            expected = getattr(answer, "length", None)  # None where the server does not say it
            while piece := answer.read(_PIECE):
                hasher.update(piece)
                file.write(piece)
            if expected not in (None, file.tell()):
                raise OSError(f"the connection ended after {file.tell()} of {expected} bytes")
    except urllib.error.HTTPError as error:
        raise Unavailable(f"failed to GET {url} with status {error.code} {error.reason}") from error
    except (OSError, ValueError, http.client.HTTPException) as error:
        raise Unavailable(f"failed to GET {url}", why=str(getattr(error, "reason", error))) from error
    got = f"sha256:{hasher.hexdigest()}"
    if checksum and got != checksum:
        raise InvalidArgument(f"digest mismatch {got}: {checksum}", fix="the file behind the URL has changed")


def _name_of(url: str) -> str:
    try:
        name = urllib.parse.unquote(urllib.parse.urlsplit(url).path.rpartition("/")[2])
    except ValueError as error:
        raise InvalidArgument(f"invalid url: {url}", why=str(error)) from error
    if not name or name in (".", "..") or "/" in name or "\0" in name:
        raise InvalidArgument(f"cannot determine filename from url: {url}")
    return name


def _is_tar(head: bytes) -> bool:
    try:
        return len(head) == BLOCK and head[257:262] == b"ustar" and parse_header(head) is not None
    except InvalidArgument:
        return False


def _dockerfile(file: io.FileIO) -> bytes:
    size = os.fstat(file.fileno()).st_size
    if size > DOCKERFILE_MAX:
        raise InvalidArgument("the Dockerfile is too large", why=f"{size} bytes, and the remote is no archive")
    return file.readall()


def _one_file(name: bytes, content: bytes) -> Iterator[bytes]:
    """An archive with one file in it."""
    yield encode_entry(TarEntry(name, size=len(content)))
    yield content + bytes(-len(content) % BLOCK) + bytes(2 * BLOCK)


def _archive_tree(directory: str, write: Callable[[bytes | memoryview], object]) -> None:
    writer = LayerWriter(write)
    root_fd = open_directory(directory)
    try:
        for item in walk_tree(root_fd):
            writer.add(item.path, item.parent_fd, item.name)
    finally:
        os.close(root_fd)
    writer.close()
