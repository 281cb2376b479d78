"""Copying files out of and into containers, and exporting them (Docker API v1.50 ContainerArchive, ContainerExport).

The files of a running container are reached through its own mounts. A stopped one is kept from starting while its
files are mounted for us: two overlays on one upper directory would spoil it.
"""

from __future__ import annotations

import asyncio
import errno
import io
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing
from dataclasses import dataclass
from typing import cast

from shoal.api.archive import CommitRequest, ExtractOptions, PathStat
from shoal.api.timestamps import format_rfc3339
from shoal.engine.container.committing import Committer
from shoal.engine.container.locks import ContainerLocks
from shoal.engine.container.record import ContainerRecord
from shoal.engine.container.registry import ContainerRegistry
from shoal.engine.container.roots import ContainerRoots
from shoal.engine.container.waiters import Waiters
from shoal.engine.events import EventLog
from shoal.engine.threads import PIECE_BYTES, BodyReader, Outlet, PieceWriter, produced_by
from shoal.errors import Internal, NotFound, SyscallError, Unavailable
from shoal.image.copies.incoming import Extraction, Rules
from shoal.image.copies.outgoing import write_place, write_root
from shoal.image.copies.places import Place, find_place
from shoal.image.tar.compression import decompressed, read_chunks
from shoal.image.tar.reader import TarReader
from shoal.linux.fd import Fd
from shoal.supervisor.steps.accounts import look_up

Item = PathStat | bytes
_END_TIMEOUT_S = 10.0
Work = Callable[[Fd, Outlet[Item]], None]


@dataclass(frozen=True, slots=True)
class Archives:
    """What the server calls `ArchiveBackend`."""

    registry: ContainerRegistry
    roots: ContainerRoots
    locks: ContainerLocks
    events: EventLog
    waiters: Waiters
    committer: Committer

    async def stat(self, ref: str, path: str) -> PathStat:
        """What is at `path`. Raises: NotFound, InvalidArgument."""

        def work(root: Fd, outlet: Outlet[Item]) -> None:
            with find_place(root, path, ref) as place:
                outlet.put(_stat_of(place))

        items = self._with_root(self.registry.find(ref), work)
        return await _first(items)

    async def read(self, ref: str, path: str) -> tuple[PathStat, AsyncIterator[bytes]]:
        """What is at `path`, and an archive of it. Raises: NotFound, InvalidArgument."""
        record = self.registry.find(ref)

        def work(root: Fd, outlet: Outlet[Item]) -> None:
            skip = self.roots.system_devices(record)
            with find_place(root, path, ref) as place:
                outlet.put(_stat_of(place))
                _write_all(lambda writer: write_place(place, writer.write, skip=skip), outlet)

        items = self._with_root(record, work)
        found = await _first(items, close=False)
        self._tell(record, "archive-path")
        return found, _pieces(items)

    async def write(self, ref: str, path: str, body: AsyncIterator[bytes], options: ExtractOptions) -> None:
        """Extracts `body` into the directory at `path`. Raises: NotFound, InvalidArgument, Forbidden, Internal."""
        record = self.registry.find(ref)
        source = BodyReader(body)
        user = record.config.user if options.copy_owner else ""

        def work(root: Fd, outlet: Outlet[Item]) -> None:
            del outlet
            account = look_up(root.fileno(), user, [], []) if user else None
            owner = (account.uid, account.gid) if account else None
            rules = Rules(keep_kinds=options.no_overwrite_dir_non_dir, owner=owner)
            with Extraction(root, path, ref, rules) as extraction:
                stream = io.BufferedReader(source, PIECE_BYTES)
                extraction.extract(TarReader(decompressed(read_chunks(stream))))

        async with aclosing(self._with_root(record, work, source)) as items:
            async for _ in items:
                pass
        self._tell(record, "extract-to-dir")

    async def export(self, ref: str) -> AsyncIterator[bytes]:
        """An archive of the root file system, without what is mounted in it. Raises (at once): NotFound."""
        record = self.registry.find(ref)

        def work(root: Fd, outlet: Outlet[Item]) -> None:
            _write_all(lambda writer: write_root(root, writer.write), outlet)

        self._tell(record, "export")
        async with aclosing(self._with_root(record, work, bare=True)) as items:
            async for item in items:
                if isinstance(item, bytes):
                    yield item

    async def commit(self, request: CommitRequest) -> str:
        """The id of an image made of a container's changes. Raises: NotFound, InvalidArgument, Internal."""
        return await self.committer.commit(request)

    async def _with_root(
        self, record: ContainerRecord, work: Work, source: BodyReader | None = None, *, bare: bool = False
    ) -> AsyncGenerator[Item, None]:
        """What `work` puts into its outlet, called in a thread with the container's root."""
        root: Fd | None = None
        async with self.locks.hold(record.id):
            if self.registry.get(record.id) is not record:
                raise NotFound(f"No such container: {record.id}")
            if record.is_running:
                root = await asyncio.to_thread(self.roots.running, record, bare=bare)
            else:
                binds = None if bare else self.roots.binds(record)

                def in_mounts(outlet: Outlet[Item]) -> None:
                    self.roots.with_stopped(record, lambda mounted: work(mounted, outlet), binds)

                async with aclosing(produced_by(in_mounts, source)) as items:
                    async for item in items:
                        yield item
                return
        if root is None:
            await self._ended(record)
            again = self._with_root(record, work, source, bare=bare)
            async with aclosing(again) as items:
                async for item in items:
                    yield item
            return
        with root as opened:
            async with aclosing(produced_by(lambda outlet: work(opened, outlet), source)) as items:
                async for item in items:
                    yield item

    async def _ended(self, record: ContainerRecord) -> None:
        """Returns when the engine has heard that the container ended. Raises: Unavailable when it does not."""
        if not record.is_running:
            return
        ended = self.waiters.wait(record.id, "not-running")
        try:
            async with asyncio.timeout(_END_TIMEOUT_S):
                await ended
        except TimeoutError:
            raise Unavailable(f"container {record.name} is just ending", fix="try again") from None
        finally:
            ended.cancel()

    def _tell(self, record: ContainerRecord, action: str) -> None:
        self.events.publish("container", action, record.id, record.attributes())


def _stat_of(place: Place) -> PathStat:
    status = place.status
    return PathStat(
        name=place.title,
        size=status.st_size,
        mode=place.go_mode,
        mtime=format_rfc3339(status.st_mtime_ns),
        link_target=place.link_target,
    )


def _write_all(produce: Callable[[PieceWriter], None], outlet: Outlet[Item]) -> None:
    """Run `produce` on a file whose content goes to `outlet`. Raises: Internal for files that can't be read."""
    writer = PieceWriter(cast("Outlet[bytes]", outlet))
    try:
        produce(writer)
        writer.flush()
    except OSError as error:
        number = error.errno or errno.EIO
        raise Internal("cannot read the container's files", why=str(SyscallError("read", "", number))) from error


async def _first(items: AsyncGenerator[Item, None], *, close: bool = True) -> PathStat:
    """The first item, which says what was found; the rest is left unless `close`."""
    try:
        found = await anext(items)
    except BaseException:
        await items.aclose()
        raise
    if close:
        await items.aclose()
    assert isinstance(found, PathStat)
    return found


async def _pieces(items: AsyncGenerator[Item, None]) -> AsyncIterator[bytes]:
    async with aclosing(items):
        async for item in items:
            if isinstance(item, bytes):
                yield item
