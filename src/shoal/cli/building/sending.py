"""The context of a build on its way to the engine: a directory without what is to be ignored, or standard input."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain

from shoal.cli.building.keeping import Note, changes
from shoal.cli.context import Context
from shoal.client.copies.packing import gathered, pack_file, pack_tree
from shoal.errors import InvalidArgument, NotFound

TYPE_CHECKING = False
if TYPE_CHECKING:
    from shoal.build.dockerfile.ignore import IgnoreRules

_EXTRA = ".shoal.dockerfile"  # the engine takes it out of the context again
_CHUNK_BYTES = 256 * 1024


@dataclass(frozen=True, slots=True)
class Sending:
    """What is sent: an archive, or the address of a context; which Dockerfile counts; the time of the newest commit.

    `kept` asks the engine to keep the context: "new", or the token of the one that the archive changes. `note` is told
    the token that it has then.
    """

    chunks: Iterator[bytes] | None
    remote: str = ""
    dockerfile: str = ""
    commit_s: str = ""
    kept: str = ""
    note: Callable[[str], None] | None = None


def sending(path: str, dockerfile: str, context: Context, *, changed_s: int = 0, whole: bool = False) -> Sending:
    """The context `path`, with the Dockerfile of that path on this machine, "" for the usual one.

    With `changed_s` every file is that much younger, which is to make no difference; with `whole` all of it is sent,
    whatever the engine has. Raises: InvalidArgument.
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
    extras = pack_file(_EXTRA, extra) if extra else b""
    leaves_out = _left_out(path, name)
    commit_s = _commit(path)
    note = None if changed_s else _note(path, context)
    if note is not None and whole:
        note.token, note.marks = "", {}
    if note is None:
        packed = pack_tree(path, leaves_out or _nothing, changed_s=changed_s)
        return Sending(gathered(chain((extras,), packed)), dockerfile=name, commit_s=commit_s)
    found = changes(path, leaves_out, note.marks)
    if extra:
        found.marks[_EXTRA] = ()  # so that it goes when it is not sent any more

    def keep(token: str) -> None:
        if token != note.token or found.changed or found.removed:
            note.token, note.marks = token, found.marks
            note.save()

    return Sending(gathered(found.packed(extras)), "", name, commit_s, note.token or "new", keep)


def _note(path: str, context: Context) -> Note | None:
    """What the engine has of the directory; None where it keeps none, as engines other than shoal, or we can't."""
    note = Note.of(context.config_directory, context.client.transport.address, path)
    if note is not None:
        try:
            if not context.client.images.has_context(note.token):
                note.token, note.marks = "", {}
        except NotFound:
            return None
    return note


def _standard_input(dockerfile: str, context: Context) -> Sending:
    """An archive, or a Dockerfile alone."""
    stream = context.stdin.buffer
    head = stream.read(512)
    is_archive = head[257:262] == b"ustar" or head[:2] == b"\x1f\x8b" or head[:3] == b"BZh"
    if is_archive or head[:6] == b"\xfd7zXZ\0" or head[:4] == b"\x28\xb5\x2f\xfd":
        rest = iter(lambda: stream.read(_CHUNK_BYTES), b"")
        return Sending((piece for pieces in ((head,), rest) for piece in pieces), dockerfile=dockerfile)
    return Sending(iter([pack_file("Dockerfile", head + stream.read()), bytes(1024)]), dockerfile="Dockerfile")


def _left_out(path: str, dockerfile: str) -> Callable[[str, bool], bool] | None:
    """Whether a name of the context (that of a directory?) is to be left out, with all in it; None for none."""
    names = (f"{dockerfile}.dockerignore", ".dockerignore")
    text = next((_read(found).decode() for name in names if os.path.isfile(found := os.path.join(path, name))), "")
    if not text.strip():
        return None
    rules = _rules(text)
    kept = {dockerfile, *names}

    def leaves_out(name: str, is_directory: bool) -> bool:
        if name in kept or not rules.excludes(name):
            return False
        return not (is_directory and (rules.may_return_below(name) or any(one.startswith(f"{name}/") for one in kept)))

    return leaves_out


def _nothing(_name: str, _is_directory: bool) -> bool:
    return False


def _rules(text: str) -> IgnoreRules:
    """The rules of the engine: what it would pass over need not be sent."""
    import site

    site.main()  # the start script has left it out, and the patterns need a library
    from shoal.build.dockerfile.ignore import IgnoreRules

    return IgnoreRules.parse(text)


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
