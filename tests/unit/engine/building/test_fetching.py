"""What servers of files may answer, and addresses that are none."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import cast

import pytest

from shoal.engine.building.fetching import DOCKERFILE_MAX, Fetching
from shoal.engine.building.layers import BuildLayers
from shoal.errors import InvalidArgument, ShoalError, Unavailable


class Scratch:
    """The scratch directory of `BuildLayers`, of which Fetching needs no more."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._count = 0

    def scratch_path(self, kind: str) -> str:
        """See BuildLayers."""
        self._count += 1
        return str(self._root / f"{kind}{self._count}")

    def fresh_tree(self) -> str:
        """See BuildLayers."""
        path = self._root / "tree"
        path.mkdir()
        return str(path)

    def drop_tree(self, path: str) -> None:
        """See BuildLayers."""


@contextmanager
def answering(data: bytes) -> Iterator[str]:
    """The address of a server that gives `data` to the one who asks, and hangs up."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            client = server.accept()[0]
            with client:
                client.recv(65536)
                client.sendall(data)

        thread = threading.Thread(target=serve)
        thread.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}"
        thread.join()


def fetching(root: Path) -> Fetching:
    """Fetching into `root`."""
    return Fetching(cast(BuildLayers, Scratch(root)))


async def add(root: Path, url: str) -> bytes:
    """What ADD gets from `url`."""
    async with fetching(root).url(url, "") as files:
        return files.head(files.names(b"")[0], 100)


def test_url_is_taken_as_a_whole(tmp_path: Path) -> None:
    """An answer whose length is said, or ends where the connection ends."""
    with answering(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfour") as server:
        assert asyncio.run(add(tmp_path, f"{server}/file")) == b"four"


@pytest.mark.parametrize(
    "data",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nfour",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nfour",
        b"nonsense\r\n\r\n",
    ],
)
def test_url_that_is_cut_off_is_not_there(tmp_path: Path, data: bytes) -> None:
    """Less than what the server has announced, and what is no HTTP, is no file."""
    with answering(data) as server, pytest.raises(Unavailable, match="failed to GET"):
        asyncio.run(add(tmp_path, f"{server}/file"))


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/a b", "http://127.0.0.1:x/file", "http://[/file"])
def test_url_that_is_none(tmp_path: Path, url: str) -> None:
    """An address that can't be asked is the user's mistake, or not there, but never a failure of shoal."""
    with pytest.raises(ShoalError) as caught:
        asyncio.run(add(tmp_path, url))
    assert isinstance(caught.value, InvalidArgument | Unavailable)


def test_context_of_a_url_is_an_archive_or_a_dockerfile_of_some_size(tmp_path: Path) -> None:
    """A short text is the Dockerfile; a long one is refused before it is read."""
    head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n"
    with answering(head % 12 + b"FROM scratch") as server:
        files, _ = asyncio.run(fetching(tmp_path).context(f"{server}/file"))
        assert files.head(b"Dockerfile", 100) == b"FROM scratch"
        files.close()
    too_much = DOCKERFILE_MAX + 1
    with answering(head % too_much + bytes(too_much)) as server, pytest.raises(InvalidArgument, match="too large"):
        asyncio.run(fetching(tmp_path).context(f"{server}/file"))
