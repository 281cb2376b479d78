"""What the builder asks of others: layers, images, and running commands. The engine fills these in."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, Protocol

from shoal.build.files import Files
from shoal.oci.digest import Digest
from shoal.oci.file_entry import FileEntry
from shoal.oci.image_spec import ImageDocument
from shoal.oci.platform import Platform


class MadeLayer(NamedTuple):
    """A layer on top of others."""

    chain_id: Digest
    diff_id: str
    size_bytes: int


class Record(Protocol):
    """Hears of a directory while it is written."""

    def add(self, path: bytes, entry: FileEntry, time_ns: int, data: bytes | Iterable[bytes]) -> None:
        """This was made at `path`: with the time `time_ns`, and for a file all of its bytes."""

    def void(self) -> None:
        """The directory has become something else than what was told, or says nothing where it was told to."""


class Layers(Protocol):
    """Unpacked layers. All but `view`, `adopt` and `moved` are quick."""

    def view(self, chain_ids: Sequence[Digest]) -> Files:
        """What the layers, the bottom one first, show together. For one thread at a time."""

    def fresh_tree(self) -> str:
        """A new empty directory for a layer to be written into."""

    def drop_tree(self, tree: str) -> None:
        """Throw such a directory away."""

    def recorded(self) -> AbstractContextManager[Record]:
        """A record for whoever writes a directory for `adopt`, within the block."""

    def adopt(
        self,
        tree: str,
        below: Sequence[Digest],
        *,
        latest_ns: int,
        is_independent: bool = False,
        record: Record | None = None,
    ) -> MadeLayer | None:
        """The layer that the directory is on top of `below`, held once; None where it changes nothing.

        Times later than `latest_ns` become that. One that is independent does not look at what is below. With the
        record of all that is in it the directory is not walked. Raises: Internal for a full disk.
        """

    def lend(self, chain_id: Digest) -> str:
        """The directory of a held layer's own files, for those of a new layer to be links to."""

    def moved(self, chain_id: Digest, below: Sequence[Digest]) -> MadeLayer:
        """The same layer on top of others, held once. Raises: Internal for a full disk or a damaged layer."""

    def diff_id(self, chain_id: Digest) -> str:
        """The diffID of a layer. Raises: NotFound."""

    def hold(self, chain_ids: Sequence[Digest]) -> bool:
        """Keep the layers until `release`; False, and nothing is held, where one of them is gone."""

    def release(self, chain_ids: Sequence[Digest]) -> None:
        """Undo one `hold`."""


class BaseImage(NamedTuple):
    """An image to build on, its layers held once."""

    id: Digest
    chain_ids: tuple[Digest, ...]
    document: ImageDocument


class CacheSource(Protocol):
    """A cache from elsewhere: `steps` are the numbers of the layers that steps added, or None, by the steps' keys."""

    steps: Mapping[str, int | None]

    async def bring(self, layer: int, below: Sequence[Digest]) -> MadeLayer:
        """The layer of this number on top of others, held once.

        Raises: Unavailable where it can't be had; InvalidArgument where it is not what it is said to be.
        """


Tell = Callable[[str], Awaitable[None]]


class Images(Protocol):
    """Images by name."""

    async def base(self, name: str, platform: Platform | None, tell: Tell) -> BaseImage:
        """The image that FROM or `--from` names; pulled where it is not here, telling how far it is.

        Raises: NotFound, InvalidArgument, Unavailable.
        """

    async def keep(self, document: bytes, names: Sequence[str]) -> Digest:
        """The id of the image of this configuration, whose layers are held; it gets the names.

        One without a name is what a failed command left.
        Raises: InvalidArgument, Internal for a full disk.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class StepMount:
    """A mount of a RUN: a bind of the host's `source`, memory, a file in memory that holds `content`, or a socket.

    What comes to the socket is passed on to the one at the host's `source`.
    """

    kind: Literal["bind", "tmpfs", "file", "socket"]
    target: str
    source: str = ""
    read_only: bool = True
    options: tuple[str, ...] = ()
    content: bytes = field(default=b"", repr=False)
    mode: int = 0o400
    owner: tuple[int, int] = (0, 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """What a RUN runs, decided. `network` is default, none, host, or the name of a network.

    `hidden` are further variables, of which nothing is kept: they may be secrets.
    """

    arguments: tuple[str, ...]
    environment: tuple[str, ...]
    hidden: tuple[str, ...] = field(default=(), repr=False)
    user: str
    directory: str
    network: str
    mounts: tuple[StepMount, ...] = ()


class Ended(NamedTuple):
    """How a RUN ended: `tree` is what it wrote, until the context is left."""

    id: str
    code: int
    oom_killed: bool
    tree: str


Output = Callable[[int, bytes], Awaitable[None]]


class Runner(Protocol):
    """Runs commands on top of layers, as containers of a build."""

    def run(
        self, command: Command, chain_ids: Sequence[Digest], started: Tell, output: Output
    ) -> AbstractAsyncContextManager[Ended]:
        """Runs the command to its end within `async with`; what is left of it then is only the tree.

        `started` hears the id before anything is written. When cancelled, every process of it is gone.
        Raises: ShoalError where it could not be started, in Docker's words.
        """
