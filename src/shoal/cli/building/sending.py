"""The context of a build on its way to the engine: a directory without what is to be ignored, or standard input."""

from __future__ import annotations

import io
import os
import subprocess
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass

from shoal.cli.context import Context
from shoal.client.copies.packing import pack_tree
from shoal.errors import InvalidArgument

TYPE_CHECKING = False
if TYPE_CHECKING:
    from shoal.build.dockerfile.ignore import IgnoreRules

_EXTRA = ".shoal.dockerfile"  # the engine takes it out of the context again
_CHUNK_BYTES = 256 * 1024


@dataclass(frozen=True, slots=True)
class Sending:
    """What is sent: an archive, or the address of a context; which Dockerfile counts; the time of the newest commit."""

    chunks: Iterator[bytes] | None
    remote: str = ""
    dockerfile: str = ""
    commit_s: str = ""


def sending(path: str, dockerfile: str, context: Context, *, changed_s: int = 0) -> Sending:
    """The context `path`, with the Dockerfile of that path on this machine, "" for the usual one.

    With `changed_s` every file is that much younger, which is to make no difference. Raises: InvalidArgument.
    """
    if path == "-":
        return _standard_input(dockerfile, context)
    if path.startswith(("http://", "https://", "git://", "git@", "ssh://")):
        return Sending(None, remote=path, dockerfile=dockerfile)
    if not os.path.isdir(path):
        raise InvalidArgument(
            f"unable to prepare context: path {path!r} not found", fix="name a directory, as in shoal build ."
        )
    extra = b""
    name = dockerfile or "Dockerfile"
    if dockerfile == "-":
        name, extra = _EXTRA, context.stdin.buffer.read()
    elif dockerfile:
        inside = os.path.relpath(os.path.abspath(dockerfile), os.path.abspath(path))
        if inside.startswith("../"):
            name, extra = _EXTRA, _read(dockerfile)
        else:
            name = inside
    return Sending(_directory(path, name, extra, changed_s), dockerfile=name, commit_s=_commit(path))


def _standard_input(dockerfile: str, context: Context) -> Sending:
    """An archive, or a Dockerfile alone."""
    stream = context.stdin.buffer
    head = stream.read(512)
    is_archive = head[257:262] == b"ustar" or head[:2] == b"\x1f\x8b" or head[:3] == b"BZh"
    if is_archive or head[:6] == b"\xfd7zXZ\0" or head[:4] == b"\x28\xb5\x2f\xfd":
        rest = iter(lambda: stream.read(_CHUNK_BYTES), b"")
        return Sending((piece for pieces in ((head,), rest) for piece in pieces), dockerfile=dockerfile)
    return Sending(iter([_file("Dockerfile", head + stream.read()), bytes(1024)]), dockerfile="Dockerfile")


def _directory(path: str, dockerfile: str, extra: bytes, changed_s: int) -> Iterator[bytes]:
    names = (f"{dockerfile}.dockerignore", ".dockerignore")
    text = next((_read(found).decode() for name in names if os.path.isfile(found := os.path.join(path, name))), "")
    rules = _rules(text) if text.strip() else None
    kept = {dockerfile, *names}

    def leaves_out(name: str, is_directory: bool) -> bool:
        if name in kept or rules is None or not rules.excludes(name):
            return False
        return not (is_directory and (rules.may_return_below(name) or any(one.startswith(f"{name}/") for one in kept)))

    if extra:
        yield _file(_EXTRA, extra)
    yield from pack_tree(path, leaves_out, changed_s=changed_s)


def _rules(text: str) -> IgnoreRules:
    """The rules of the engine: what it would pass over need not be sent."""
    import site

    site.main()  # the start script has left it out, and the patterns need a library
    from shoal.build.dockerfile.ignore import IgnoreRules

    return IgnoreRules.parse(text)


def _file(name: str, content: bytes) -> bytes:
    entry = tarfile.TarInfo(name)
    entry.size = len(content)
    buffer = io.BytesIO()
    buffer.write(entry.tobuf())
    buffer.write(content + bytes(-len(content) % 512))
    return buffer.getvalue()


def _read(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError as error:
        raise InvalidArgument(f"unable to prepare context: can't read {path}", why=error.strerror or "") from None


def _commit(path: str) -> str:
    """When the newest commit of the directory was made, in seconds; "" where git tells nothing."""
    if not os.path.exists(os.path.join(path, ".git")):
        return ""
    try:
        command = ["git", "-C", path, "log", "-1", "--format=%ct"]
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return ""
