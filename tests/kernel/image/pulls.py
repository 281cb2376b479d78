"""A store that pulls from a registry of the test's own."""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from shoal.errors import ShoalError
from shoal.image.registry.credentials import Credentials
from shoal.image.registry.endpoints import RegistrySettings
from shoal.image.registry.progress import Told
from shoal.image.store import ImageStore
from shoal.oci.platform import Platform
from shoal.oci.reference import Reference
from tests.engines.bad_registry import BadRegistry, Exchange, digest_of, layer_tar

AMD64 = Platform("linux", "amd64")
BIG = layer_tar("big", os.urandom(3 << 20))
SMALL = layer_tar("small", b"data")


@dataclass
class Puller:
    """An image store and a registry to pull from."""

    store: ImageStore
    registry: BadRegistry
    scratch: Path

    def pull(
        self,
        tag: str = "1",
        *,
        credentials: Credentials | None = None,
        hear: Callable[[Told], None] = lambda _: None,
        settings: RegistrySettings | None = None,
        platform: Platform = AMD64,
        host: str = "",
    ) -> str:
        """The id of the pulled image; `host` is what the registry is called, if it is to be another name."""
        registries = self.store.registries(settings or RegistrySettings(certificates=(), retry_pause_s=0.01))
        work = registries.begin(credentials or Credentials())
        return work.pull(Reference.parse(f"{host or self.registry.host}/x/y:{tag}"), platform, hear)[0].id

    def fails(self, tag: str = "1", **options: object) -> str:
        """What a pull that must fail says; asserts that nothing stays of it."""
        with pytest.raises(ShoalError) as caught:
            self.pull(tag, **options)  # type: ignore[arg-type]
        assert "\n" not in str(caught.value)
        self.assert_empty()
        return str(caught.value)

    def restart(self, *, drops_blobs: bool = True) -> None:
        """Open the store anew, as the next shoald does."""
        self.store.close()
        self.store = open_store(self.scratch.parent.parent, drops_blobs=drops_blobs)

    @property
    def partial(self) -> Path:
        """Where blobs lie that have not come to their end."""
        return self.scratch.parent.parent / "partial"

    def kept_bytes(self) -> int:
        """How many bytes there are of them."""
        return sum(path.stat().st_size for path in self.partial.iterdir())

    def assert_empty(self) -> None:
        """No image and no file; a layer, or bytes of one, for the next try at the most."""
        assert self.store.images() == []
        self.store.collect_garbage(unfinished=True)
        assert self.store.layers_size() == 0
        assert sorted(os.listdir(self.scratch)) == ["trash"]
        assert os.listdir(self.scratch / "trash") == []
        assert not [thread.name for thread in threading.enumerate() if thread.name.startswith("shoal-pull")]


def open_store(root: Path, *, drops_blobs: bool = True) -> ImageStore:
    """The store under `root`, as a process that has just started opens it; the caller closes it."""

    def connect() -> sqlite3.Connection:
        return sqlite3.connect(root.parent / "db", check_same_thread=False, isolation_level=None)

    return ImageStore(root, connect, driver="vfs", drops_blobs=drops_blobs)


def on_blob(data: bytes, act: Callable[[Exchange], None]) -> Callable[[Exchange], bool]:
    """A trick that answers for one blob."""

    def trick(exchange: Exchange) -> bool:
        if not exchange.path.endswith(digest_of(data)):
            return False
        act(exchange)
        return True

    return trick
