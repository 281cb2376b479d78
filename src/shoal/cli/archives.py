"""Archives on their way to the engine, out of a file or standard input, and on their way from it."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from typing import BinaryIO

from shoal.cli.context import Context
from shoal.client.http import Response
from shoal.errors import InvalidArgument

_CHUNK_BYTES = 256 * 1024


class Archive:
    """An open archive; a context manager that closes it. `size_bytes` is None for a pipe."""

    def __init__(self, file: BinaryIO, *, owned: bool) -> None:
        self._file = file
        self._owned = owned

    def __enter__(self) -> Archive:
        return self

    def __exit__(self, *_: object) -> None:
        if self._owned:
            self._file.close()

    @property
    def size_bytes(self) -> int | None:
        """How many bytes will come, where that is known."""
        status = os.fstat(self._file.fileno())
        return status.st_size - self._file.tell() if stat.S_ISREG(status.st_mode) else None

    def chunks(self) -> Iterator[bytes]:
        """The bytes, in pieces."""
        while chunk := self._file.read(_CHUNK_BYTES):
            yield chunk


def read_archive(path: str, context: Context) -> Archive:
    """The archive at `path`, "-" for standard input. Raises: InvalidArgument when it can't be opened."""
    if path == "-":
        return Archive(context.stdin.buffer, owned=False)
    try:
        return Archive(open(path, "rb"), owned=True)
    except OSError as error:
        raise InvalidArgument(f"open {path}: {(error.strerror or str(error)).lower()}") from None


def deliver_archive(response: Response, path: str, context: Context) -> None:
    """Writes what the engine sends to the file `path`, or to standard output where that is "".

    Raises: InvalidArgument when the file can't be written.
    """
    if path:
        _write_file(path, response)
        return
    for chunk in response.chunks():
        context.output.write(chunk)
    context.output.flush()


def _write_file(path: str, response: Response) -> None:
    """Writes beside the target and renames at the end: what breaks off leaves no half archive."""
    partial = f"{path}.{os.getpid()}.partial"
    try:
        with open(partial, "xb") as file:
            for chunk in response.chunks():
                file.write(chunk)
        os.replace(partial, path)
    except OSError as error:
        raise InvalidArgument(f"can't write {path}", why=error.strerror or str(error)) from None
    finally:
        if os.path.exists(partial):
            os.unlink(partial)
