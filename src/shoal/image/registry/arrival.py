"""The layers of one image on their way: fetched, verified, inflated and unpacked at the same time.

    registry ──▶ three threads: partial files, digests ──▶ four threads: trees ──▶ layers, the bottom one first
                                                     └──▶ each with one that inflates and digests ahead

A layer is unpacked while it arrives, into a directory that nobody sees; it becomes a layer when its digests are right
and those below it exist. The first failure ends everything.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field

from shoal.errors import InvalidArgument, ShoalError
from shoal.image.failures import DiskFull
from shoal.image.kept_blobs import KeptBlobs
from shoal.image.layers import LayerStore
from shoal.image.partial_blob import OtherContent, PartialBlob
from shoal.image.partials import Partials
from shoal.image.registry.download import Download
from shoal.image.registry.failures import Cancelled
from shoal.image.registry.progress import Teller
from shoal.image.registry.session import Session
from shoal.image.registry.transport import RegistryTransport
from shoal.oci.descriptor import Descriptor
from shoal.oci.digest import Digest, parse_digest, short_id

_DOWNLOADS = 3
_UNPACKERS = 4  # of which some have done all but what comes from the layers below, and wait for those
_POLL_S = 0.1


@dataclass(slots=True)
class _Missing:
    """One layer that is to be made, on top of `below`."""

    descriptor: Descriptor
    blob: PartialBlob
    below: Sequence[Digest]
    chain_id: Digest
    diff_id: Digest
    has_arrived: threading.Event
    is_made: threading.Event = field(default_factory=threading.Event)

    @property
    def id(self) -> str:
        """What users see of it."""
        return short_id(self.descriptor.digest)


class Arrival:
    """Brings layers into `layers`, by way of `partials`."""

    def __init__(
        self,
        layers: LayerStore,
        partials: Partials,
        kept: KeptBlobs,
        transport: RegistryTransport,
        session: Session,
        teller: Teller,
    ) -> None:
        self._layers = layers
        self._partials = partials
        self._kept = kept
        self._transport = transport
        self._session = session
        self._teller = teller
        self._stop = _Stop(transport)
        self._has_no_room = False

    def make(self, blobs: Sequence[Descriptor], diff_ids: Sequence[Digest], chain_ids: Sequence[Digest]) -> None:
        """Nothing, once all of `chain_ids`, which the caller holds, exist. No thread is left, however it ends.

        Raises: what failed first.
        """
        existing = {layer.chain_id for layer in self._layers.all()}
        indexes = [index for index, chain_id in enumerate(chain_ids) if chain_id not in existing]
        self._tell_plan(blobs, set(indexes))
        missing: list[_Missing] = []
        with ExitStack() as stack:
            stack.callback(self._discard_needless, missing)  # after the blobs have been let go
            arrived: dict[tuple[str, int], threading.Event] = {}
            for index in indexes:
                blob = stack.enter_context(self._partials.shared(blobs[index]))
                has_arrived = arrived.setdefault(_key(blobs[index]), threading.Event())
                below = chain_ids[:index]
                missing.append(_Missing(blobs[index], blob, below, chain_ids[index], diff_ids[index], has_arrived))
            try:
                self._make(missing)
            except DiskFull as error:
                self._has_no_room = True
                raise self._partials.without_room([layer.descriptor for layer in missing]) from error

    def _discard_needless(self, missing: Sequence[_Missing]) -> None:
        """A layer that exists needs its blob no more, whatever became of the others. Nor do we fill a disk with any."""
        self._partials.discard(layer.descriptor for layer in missing if layer.is_made.is_set() or self._has_no_room)

    def _tell_plan(self, blobs: Sequence[Descriptor], missing: set[int]) -> None:
        for index, blob in enumerate(blobs):
            self._teller.layer(short_id(blob.digest), "Pulling fs layer" if index in missing else "Already exists")
        waiting = list({blobs[index].digest: None for index in sorted(missing)})[_DOWNLOADS:]
        for digest in waiting:
            self._teller.layer(short_id(digest), "Waiting")

    def _make(self, missing: Sequence[_Missing]) -> None:
        downloads = ThreadPoolExecutor(_DOWNLOADS, thread_name_prefix="shoal-pull")
        unpackers = ThreadPoolExecutor(_UNPACKERS, thread_name_prefix="shoal-pull-unpack")
        try:
            distinct: dict[tuple[str, int], _Missing] = {}
            for layer in missing:
                distinct.setdefault(_key(layer.descriptor), layer)
            work = [downloads.submit(self._fetch, layer) for layer in distinct.values()]
            made = {layer.chain_id: layer.is_made for layer in missing}
            for layer in missing:
                parent = made.get(layer.below[-1]) if layer.below else None
                work.append(unpackers.submit(self._unpack, layer, parent))
            for future in work:
                self._stop.result_of(future)
        except BaseException as error:
            self._stop.set(error)
            raise
        finally:
            for threads in (downloads, unpackers):
                threads.shutdown(wait=True, cancel_futures=True)

    def _fetch(self, layer: _Missing) -> None:
        """Bring the layer's blob."""
        tell = self._teller.bytes_of(layer.id, "Downloading", layer.descriptor.size)

        def retrying(attempt: int) -> None:
            self._teller.layer(layer.id, f"Retrying, attempt {attempt}")

        with self._stop.at_failure():
            self._stop.check()
            Download(
                self._transport, self._session, layer.descriptor, layer.blob, self._stop.check, tell, retrying
            ).fetch()
            self._teller.layer(layer.id, "Verifying Checksum")
            self._teller.layer(layer.id, "Download complete")
            layer.has_arrived.set()

    def _unpack(self, layer: _Missing, parent: threading.Event | None) -> None:
        """Make the layer out of its blob, which may still be coming; `parent` is set when the layer below exists."""
        tell = self._teller.bytes_of(layer.id, "Extracting", layer.descriptor.size)

        def hear(position: int) -> None:
            if layer.has_arrived.is_set():  # until then users see how much has come
                tell(position)

        with self._stop.at_failure():
            while not self._is_unpacked(layer, _ArrivingArchive(layer.blob, self._stop, parent, hear)):
                self._stop.check()  # else what an earlier pull left was damaged, and comes anew
            self._stop.wait_for(layer.has_arrived)
            self._kept.keep(layer.chain_id, parse_digest(layer.descriptor.digest), layer.blob.path)
            self._teller.layer(layer.id, "Pull complete")
            layer.is_made.set()

    def _is_unpacked(self, layer: _Missing, archive: _ArrivingArchive) -> bool:
        """Make the layer; false if its blob turned out to be another one meanwhile.

        Raises: what LayerStore.ensure raises, where the blob is the right one.
        """
        generation = layer.blob.generation
        try:
            self._layers.ensure(archive, layer.below, layer.chain_id, layer.diff_id)
        except OtherContent:
            return False
        except InvalidArgument:
            # Nonsense in the archive may be a wrong blob's: that is the better answer, and may be mended.
            if layer.blob.proves_right(generation, self._stop.check):
                raise
            return False
        return True


class _ArrivingArchive:
    """A LayerArchive that is still on its way."""

    def __init__(
        self, blob: PartialBlob, stop: _Stop, parent: threading.Event | None, hear: Callable[[int], None]
    ) -> None:
        self.size_bytes = blob.size_bytes
        self._blob = blob
        self._stop = stop
        self._parent = parent
        self._hear = hear
        self._is_given_up = False

    def chunks(self) -> Generator[bytes, None, None]:
        """As LayerArchive."""
        position = 0
        with closing(self._blob.chunks(self.check)) as chunks:
            for chunk in chunks:
                position += len(chunk)
                self._hear(position)
                yield chunk

    def check(self) -> None:
        """As LayerArchive. Raises: Cancelled."""
        if self._is_given_up:
            raise Cancelled("the layer is not wanted any more")
        self._stop.check()

    def wait_below(self) -> None:
        """As LayerArchive. Raises: Cancelled."""
        if self._parent is not None:
            self._stop.wait_for(self._parent)

    def give_up(self) -> None:
        """As LayerArchive."""
        self._is_given_up = True


class _Stop:
    """The end of all work on an image at the first failure, which is the one that is told."""

    def __init__(self, transport: RegistryTransport) -> None:
        self._transport = transport
        self._lock = threading.Lock()
        self._cause: BaseException | None = None

    def set(self, cause: BaseException) -> None:
        """End the others."""
        with self._lock:
            if self._cause is not None:
                return
            self._cause = cause
        self._transport.cut()

    @contextmanager
    def at_failure(self) -> Iterator[None]:
        """End the others if the block fails."""
        try:
            yield
        except BaseException as error:
            self.set(error)
            raise

    def check(self) -> None:
        """Raises: Cancelled once something has failed, or the client has gone."""
        self._transport.check()
        if self._cause is not None:
            raise Cancelled("another layer failed")

    def wait_for(self, event: threading.Event) -> None:
        """Returns when `event` is set. Raises: Cancelled."""
        while not event.wait(_POLL_S):
            self.check()

    def result_of(self, work: Future[None]) -> None:
        """Nothing, when the work is done. Raises: what failed first."""
        try:
            work.result()
        except (ShoalError, CancelledError, OSError) as error:
            raise self._cause or error from None


def _key(descriptor: Descriptor) -> tuple[str, int]:
    """What makes two blobs the same one."""
    return descriptor.digest, descriptor.size
