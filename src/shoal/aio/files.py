"""The files of one container, whether it runs or not."""

from __future__ import annotations

import os
import time
from collections.abc import AsyncGenerator, AsyncIterable

from shoal.aio.streams import Stream
from shoal.client.aio.archives import PathStat
from shoal.client.aio.client import Client
from shoal.client.aio.driver import consumed, produced
from shoal.client.copies.packing import pack
from shoal.client.copies.places import Arrival, split_entry
from shoal.client.copies.unpacking import unpack
from shoal.client.members import archive_of_file, file_of_archive, split_path


class FileCalls:
    """The calls on the files of the container `id`."""

    def __init__(self, client: Client, id: str) -> None:
        self._client = client
        self.id = id

    async def read_file(self, path: str) -> bytes:
        """The content of a file; a symbolic link is followed. Raises: NotFound; InvalidArgument for a directory.

        >>> async with await engine.containers.create("busybox") as container:
        ...     await container.write_file("/tmp/greeting", "hello")
        ...     await container.read_file("/tmp/greeting")
        b'hello'
        """
        stat = await self._client.archives.stat(self.id, path)
        _, response = await self._client.archives.read(self.id, stat.link_target if stat.is_link else path)
        return file_of_archive(await response.read(), path)

    async def write_file(
        self, path: str, data: bytes | str, *, mode: int = 0o644, owner: tuple[int, int] = (0, 0)
    ) -> None:
        """Makes a file, or a new one in the place of an old one; `owner` is (uid, gid).

        Raises: NotFound when its directory is not there.
        """
        directory, name = split_path(path)
        content = data.encode() if isinstance(data, str) else data
        archive = archive_of_file(name, content, mode=mode, owner=owner, mtime=time.time())
        await self._client.archives.write(self.id, directory, archive, copy_owner=False)

    async def upload(self, source: str | os.PathLike[str], directory: str) -> None:
        """Copies a file or a directory of this machine into a directory of the container, owned by its root.

        >>> async with await engine.containers.create("busybox") as container:
        ...     await container.upload("/etc/hostname", "/tmp")
        ...     (await container.stat("/tmp/hostname")).name
        'hostname'

        Raises: NotFound when that directory is not there; InvalidArgument for what can't be read.
        """
        local = os.path.abspath(source)
        arriving = Arrival(directory, os.path.basename(local) or "/", os.path.basename(local))
        await self._client.archives.write(self.id, directory, produced(pack(local, arriving)))

    async def download(self, path: str, directory: str | os.PathLike[str]) -> None:
        """Copies a file or a directory of the container into a directory of this machine.

        Whatever the archive says, nothing outside that directory is touched, and the files are owned by the user.
        Raises: NotFound; InvalidArgument for what can't be written.
        """
        _, response = await self._client.archives.read(self.id, path)
        base = split_entry(path)[1]
        arriving = Arrival(os.path.abspath(directory), base, "" if base in (".", "/") else base)
        try:
            await consumed(response.chunks(), lambda pieces: unpack(pieces, arriving))
        finally:
            response.close()

    async def stat(self, path: str) -> PathStat:
        """What is at a path, a symbolic link as such. Raises: NotFound."""
        return await self._client.archives.stat(self.id, path)

    def get_archive(self, path: str) -> Stream[bytes]:
        """A tar of the file or directory at a path, piece by piece."""
        return Stream(self._archive(path))

    async def _archive(self, path: str) -> AsyncGenerator[bytes]:
        _, response = await self._client.archives.read(self.id, path)
        try:
            async for piece in response.chunks():
                yield piece
        finally:
            response.close()

    async def put_archive(self, directory: str, archive: bytes | AsyncIterable[bytes]) -> None:
        """Extracts a tar into a directory. Raises: NotFound when the directory is not there; InvalidArgument."""
        await self._client.archives.write(self.id, directory, archive)

    def export(self) -> Stream[bytes]:
        """A tar of its whole root file system, piece by piece."""
        return Stream(self._exported())

    async def _exported(self) -> AsyncGenerator[bytes]:
        response = await self._client.archives.export(self.id)
        try:
            async for piece in response.chunks():
                yield piece
        finally:
            response.close()
