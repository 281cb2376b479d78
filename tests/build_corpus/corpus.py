"""The cases of the corpus, and the context that they are built in."""

from __future__ import annotations

import io
import json
import re
import shlex
import struct
import tarfile
import zlib
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from urllib.parse import urlencode

HERE = Path(__file__).parent
_OPTIONS = re.compile(r"^# build: (.*?)\r?$", re.MULTILINE)


@dataclass(frozen=True)
class Case:
    """One Dockerfile and how it is to be built."""

    name: str
    text: str
    build_args: dict[str, str] = field(default_factory=dict)
    target: str = ""
    expected: str = ""

    @property
    def record(self) -> Path:
        """Where the classic builder's image of a case is recorded."""
        return HERE / "classic" / f"{self.name}.json"

    def query(self, tag: str) -> str:
        """The parameters of `POST /build`."""
        words = {"t": tag, "dockerfile": "Dockerfile", "rm": "1", "forcerm": "1", "target": self.target}
        return urlencode({**words, "buildargs": json.dumps(self.build_args)})


def cases(kind: str) -> list[Case]:
    """The cases of `classic`, `modern`, `refused` or `failing`, by name."""
    return [_case(path) for path in sorted((HERE / kind).glob("*.Dockerfile"))]


def _case(path: Path) -> Case:
    text = path.read_bytes().decode()
    found = _OPTIONS.search(text)
    words = shlex.split(found[1]) if found else []
    options = list(zip(words[::2], words[1::2], strict=True))
    expected = path.with_suffix(".expected")
    return Case(
        path.name.removesuffix(".Dockerfile"),
        text,
        dict(value.split("=", 1) for flag, value in options if flag == "--build-arg"),
        next((value for flag, value in options if flag == "--target"), ""),
        expected.read_text().rstrip("\n") if expected.exists() else "",
    )


def context(case: Case) -> bytes:
    """The build context as a tar: files, directories, links, archives, and the case's Dockerfile."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        _add(archive, "Dockerfile", case.text.encode())
        _add_files(archive)
    return buffer.getvalue()


def _add_files(archive: tarfile.TarFile) -> None:
    _add(archive, "a.txt", b"a\n")
    _add(archive, "b.txt", b"b\n")
    _add(archive, "spaced name.txt", b"spaced\n")
    _add(archive, "readme.md", b"# read\n")
    _add(archive, "tool.sh", b"#!/bin/sh\necho tool\n", mode=0o755)
    _add(archive, "hollow", None)
    _add(archive, "dir", None)
    _add(archive, "dir/one.txt", b"one\n")
    _add(archive, "dir/two.md", b"two\n", mode=0o600)
    _add(archive, "dir/sub", None, mode=0o750)
    _add(archive, "dir/sub/deep.txt", b"deep\n")
    _add(archive, "links", None)
    _add(archive, "links/relative", None, link="../a.txt")
    _add(archive, "links/absolute", None, link="/etc/passwd")
    _add(archive, "links/dangling", None, link="nowhere")
    _add(archive, "link.txt", None, link="a.txt")
    _add(archive, "archive.tar", _archive())
    _add(archive, "archive.tar.gz", _gzipped(_archive()))
    _add(archive, "no-archive.tar", b"no archive\n")


@cache
def _archive() -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        _add(archive, "inside", None, mode=0o711)
        _add(archive, "inside/file", b"packed\n", owner=(1000, 2000))
        _add(archive, "inside/link", None, link="file")
    return buffer.getvalue()


def _gzipped(data: bytes) -> bytes:
    """A gzip file that is the same bytes everywhere: one stored block, no time, no name."""
    header = b"\x1f\x8b\x08" + bytes(6) + b"\xff"
    block = struct.pack("<BHH", 1, len(data), len(data) ^ 0xFFFF) + data
    return header + block + struct.pack("<II", zlib.crc32(data), len(data))


def _add(
    archive: tarfile.TarFile,
    name: str,
    content: bytes | None,
    *,
    mode: int = 0,
    link: str = "",
    owner: tuple[int, int] = (0, 0),
) -> None:
    entry = tarfile.TarInfo(name)
    entry.uid, entry.gid = owner
    entry.mtime = 1_600_000_000
    if link:
        entry.type, entry.linkname, entry.mode = tarfile.SYMTYPE, link, 0o777
    elif content is None:
        entry.type, entry.mode = tarfile.DIRTYPE, mode or 0o755
    else:
        entry.size, entry.mode = len(content), mode or 0o644
    archive.addfile(entry, io.BytesIO(content or b""))
