"""The packages that an image's own databases name: dpkg's, apk's, and those of Python's installers.

Nothing is run and nothing outside of the tree is read: links are resolved within it, files are read up to a limit, and
what can't be understood is passed over. Blocks.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import chain, islice
from typing import NamedTuple
from urllib.parse import quote

from shoal.build.files import Files, resolve
from shoal.errors import InvalidArgument

_FILE_MAX = 32 << 20
_HEAD_MAX = 64 << 10  # of a Python package's description
_PACKAGES_MAX = 100_000
_DIRECTORIES_MAX = 200_000
_PARTS_MAX = 10_000
_DPKG = (b"var/lib/dpkg/status",)
_DPKG_PARTS = b"var/lib/dpkg/status.d"
_APK = (b"lib/apk/db/installed", b"usr/lib/apk/db/installed")
_PYTHON = re.compile(rb"(?:site|dist)-packages\Z")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+~:-]{0,199}\Z", re.ASCII)
_VERSION = re.compile(r"[A-Za-z0-9._+~:!-]{1,200}\Z", re.ASCII)


class Package(NamedTuple):
    """One installed package; `purl` is its address among all packages of the world."""

    name: str
    version: str
    purl: str
    license: str = ""


def packages_of(files: Files) -> list[Package]:
    """Each package once, sorted. Raises: OSError."""
    return sorted(set(islice(chain(_dpkg(files), _apk(files), _python(files)), _PACKAGES_MAX)))


def _dpkg(files: Files) -> Iterator[Package]:
    distribution = _distribution(files)
    parts = (_DPKG_PARTS + b"/" + name for name in _names(files, _DPKG_PARTS) if b".md5sums" not in name)
    for path in chain(_DPKG, islice(parts, _PARTS_MAX)):
        for fields in _paragraphs(_text(files, path)):
            # A status of its own says whether it is installed; in a directory of parts there is none.
            if fields.get("Status", "install ok installed").split()[-1:] != ["installed"]:
                continue
            yield from _package("deb", distribution, fields.get("Package"), fields, fields.get("Architecture", ""))


def _apk(files: Files) -> Iterator[Package]:
    distribution = _distribution(files)
    for path in _APK:
        for fields in _paragraphs(_text(files, path)):
            named = {"Version": fields.get("V", ""), "License": fields.get("L", "")}
            yield from _package("apk", distribution, fields.get("P"), named, fields.get("A", ""))


def _python(files: Files) -> Iterator[Package]:
    for directory in _python_directories(files):
        for name in _names(files, directory):
            if name.endswith(b".dist-info"):
                path = directory + b"/" + name + b"/METADATA"
            elif name.endswith((b".egg-info", b".egg")):
                path = directory + b"/" + name + (b"/EGG-INFO/PKG-INFO" if name.endswith(b".egg") else b"/PKG-INFO")
            else:
                continue
            head = _text(files, path, _HEAD_MAX).partition("\n\n")[0]
            fields = next(_paragraphs(head), {})
            name_in_index = re.sub(r"[-_.]+", "-", fields.get("Name", "")).lower()
            yield from _package("pypi", "", name_in_index, fields, "")


def _python_directories(files: Files) -> Iterator[bytes]:
    """Every directory in which Python's installers put packages, wherever it is; links are not followed."""
    pending, seen = [b""], 0
    while pending and seen < _DIRECTORIES_MAX:
        directory = pending.pop()
        seen += 1
        for name in files.names(directory):
            path = directory + b"/" + name if directory else name
            entry = files.find(path)
            if entry is None or not entry.is_directory:
                continue
            if _PYTHON.match(name):
                yield path
            else:
                pending.append(path)


def _package(
    kind: str, distribution: str, name: str | None, fields: dict[str, str], architecture: str
) -> Iterator[Package]:
    version = fields.get("Version", "")
    if not name or not _NAME.match(name) or not _VERSION.match(version):
        return
    namespace = f"{distribution}/" if distribution else ""
    arch = f"?arch={quote(architecture, safe='')}" if _NAME.match(architecture) else ""
    purl = f"pkg:{kind}/{namespace}{quote(name, safe='')}@{quote(version, safe='')}{arch}"
    yield Package(name, version, purl, fields.get("License", "")[:200])


def _distribution(files: Files) -> str:
    """What os-release calls the distribution."""
    for path in (b"etc/os-release", b"usr/lib/os-release"):
        for line in _text(files, path, _HEAD_MAX).splitlines():
            name, _, value = line.partition("=")
            if name == "ID" and _NAME.match(value.strip("\"'")):
                return value.strip("\"'")
    return "debian" if _text(files, b"etc/debian_version", _HEAD_MAX) else "linux"


def _paragraphs(text: str) -> Iterator[dict[str, str]]:
    """The fields of each paragraph, the first of a name; lines that go on are left out."""
    for paragraph in re.split(r"\n[ \t]*\n", text):
        fields: dict[str, str] = {}
        for line in paragraph.split("\n"):
            name, colon, value = line.partition(":")
            if colon and name and not name[0].isspace():
                fields.setdefault(name, value.strip())
        if fields:
            yield fields


def _names(files: Files, path: bytes) -> list[bytes]:
    try:
        resolved = resolve(files, path)
    except InvalidArgument:
        return []
    entry = files.find(resolved)
    return list(files.names(resolved)) if entry is not None and entry.is_directory else []


def _text(files: Files, path: bytes, limit: int = _FILE_MAX) -> str:
    """The beginning of a file of the tree, "" for what is none."""
    try:
        resolved = resolve(files, path)
    except InvalidArgument:
        return ""
    entry = files.find(resolved)
    if entry is None or not entry.is_file:
        return ""
    return files.head(resolved, limit).decode(errors="replace")
