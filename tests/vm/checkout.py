"""This checkout, and the libraries that its tests import, as a tar for a disk of the guest's.

Compiled modules go along: compiling is slow where every instruction is emulated.
"""

from __future__ import annotations

import compileall
import io
import re
import shutil
import sys
import tarfile
from pathlib import Path

from shoal.errors import Unavailable
from tests.vm.initramfs import CHECKOUT

ROOT = Path(__file__).resolve().parents[2]
_PARTS = ("src", "tests", "pyproject.toml")
# What only a developer's machine needs.
_LEFT_OUT = re.compile(
    r"(.*mypyc?\b|ruff|pip\b|pip-|setuptools|_distutils|distutils|pkg_resources|librt|ast_serialize|types_|.*-stubs|.*\.pth)"
)


def write_checkout(target: Path) -> None:
    """Write the tar. In the guest `.venv/bin/python` is Debian's own interpreter with these libraries.

    Raises: Unavailable when this interpreter is not Debian's, whose libraries would not fit.
    """
    if sys.base_prefix != "/usr":
        raise Unavailable(
            "the guest's Python is Debian's own, and .venv is made with another one",
            why=sys.base_prefix,
            fix="rm -r .venv, apt-get install python3 python3-venv, ./dev setup",
        )
    libraries = next(Path(entry) for entry in sys.path if entry.endswith("site-packages"))
    for directory in (ROOT / "src", ROOT / "tests", libraries):
        compileall.compile_dir(directory, quiet=2, legacy=False)
    place = f".venv/lib/python3.{sys.version_info.minor}/site-packages"
    with tarfile.open(target, "w", format=tarfile.GNU_FORMAT) as archive:
        for part in _PARTS:
            archive.add(ROOT / part, part)
        for path in sorted(libraries.iterdir()):
            if not _LEFT_OUT.match(path.name):
                archive.add(path, f"{place}/{path.name}")
        _add_interpreter(archive)
        _add_runtime(archive, place)
        if docker := shutil.which("docker"):
            archive.add(Path(docker).resolve(), "bin/docker")


def _add_runtime(archive: tarfile.TarFile, place: str) -> None:
    """`shoal-runtime` as an installation in place has it: the script, its interpreter, and where the sources are."""
    archive.add(ROOT / "scripts" / "shoal-runtime", ".venv/bin/shoal-runtime")
    link = tarfile.TarInfo(".venv/bin/python3")
    link.type, link.linkname = tarfile.SYMTYPE, "python"
    archive.addfile(link)
    sources = f"{CHECKOUT}/src\n".encode()
    entry = tarfile.TarInfo(f"{place}/_editable_impl_shoal.pth")
    entry.size = len(sources)
    archive.addfile(entry, io.BytesIO(sources))


def _add_interpreter(archive: tarfile.TarFile) -> None:
    settings = b"home = /usr/bin\ninclude-system-site-packages = false\n"
    entry = tarfile.TarInfo(".venv/pyvenv.cfg")
    entry.size = len(settings)
    archive.addfile(entry, io.BytesIO(settings))
    link = tarfile.TarInfo(".venv/bin/python")
    link.type, link.linkname = tarfile.SYMTYPE, "/usr/bin/python3"
    archive.addfile(link)
