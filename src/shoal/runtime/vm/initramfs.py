"""The guest's first file system: this interpreter, what the guest's process 1 imports, their libraries, and the
kernel's modules. Made once for each of them, and kept.

What is imported, a copy of the interpreter tells that has imported it; what is needed, the loader that the interpreter
names. Runs in a thread of shoald.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import re
import subprocess
from collections.abc import Iterable, Iterator
from importlib import _bootstrap_external
from pathlib import Path
from typing import BinaryIO

import shoal
from shoal.errors import Internal
from shoal.runtime.native.build import this_build
from shoal.runtime.native.interpreter import this_interpreter
from shoal.runtime.vm.cpio import Archive
from shoal.runtime.vm.kernel import Kernel, module_files

# What a guest needs of its kernel: the bus, the line to the host, random numbers, files, network, memory given back.
MODULES = ("virtio_pci", "virtio_mmio", "virtio_console", "virtio_rng", "virtiofs", "virtio_net", "virtio_balloon")
PROGRAM = "shoal.supervisor.machine.guest"
_FORMAT = 1
_PACKAGES = "lib/shoal"
_DIRECTORIES = ("dev", "modules", "proc", "run", "sys", "tmp")
_START = f"""import sys
sys.path.append("/{_PACKAGES}")
from {PROGRAM} import main
main()
"""
_QUESTION = """import importlib, sys
sys.path.append(sys.argv[1])
importlib.import_module(sys.argv[2])
for name, module in sorted(sys.modules.items()):
    if name != "__main__" and getattr(module, "__file__", None):
        print(name, module.__file__, sep="\\t")
"""
_NEEDED = re.compile(r"=> (/\S+)|^\s+(/\S+)", re.MULTILINE)
_PT_INTERP = 3


def initramfs(kernel: Kernel, cache: Path) -> Path:
    """The archive for `kernel`, made now if `cache` has none of it. Raises: Internal, OSError."""
    interpreter = this_interpreter()
    about = os.stat(interpreter)
    modules = str(kernel.modules.resolve())
    recipe = json.dumps([_FORMAT, interpreter, about.st_mtime_ns, about.st_size, this_build(), kernel.release, modules])
    archive = cache / f"initramfs-{hashlib.sha256(recipe.encode()).hexdigest()[:16]}"
    if not archive.exists():
        cache.mkdir(mode=0o700, parents=True, exist_ok=True)
        for old in cache.glob("initramfs-*"):
            old.unlink(missing_ok=True)
        partial = archive.with_suffix(f".{os.getpid()}")
        with partial.open("wb") as out:
            write_archive(out, interpreter, module_files(kernel.modules, MODULES))
        partial.rename(archive)
    return archive


def write_archive(out: BinaryIO, interpreter: str, modules: Iterable[Path]) -> None:
    """Writes the archive. Raises: Internal when the interpreter cannot run the guest's program."""
    files = {"init": (f"#!{interpreter} -SIB\n{_START}".encode(), 0o755)}
    files.update(_interpreter_files(interpreter))
    order = []
    for path in modules:
        files[f"modules/{path.name}"] = path.read_bytes(), 0o644
        order.append(path.name)
    files["modules/order"] = "\n".join(order).encode(), 0o644
    archive = Archive(out)
    for directory in sorted({*_DIRECTORIES, *_parents(files)}):
        archive.directory(directory)
    archive.device("dev/console", 0o600, 5, 1)
    for name, (content, mode) in files.items():
        archive.file(name, content, mode)
    archive.close()


def _interpreter_files(interpreter: str) -> Iterator[tuple[str, tuple[bytes, int]]]:
    """(name in the archive, (content, mode)) of the interpreter, its modules and libraries, each where it lies here."""
    programs = [interpreter]
    for name, path in _imported(interpreter).items():
        if path.endswith(".py"):
            yield _compiled_name(name, path), (_compiled(path), 0o644)
        else:
            programs.append(path)
    loader = _loader(Path(interpreter).read_bytes())
    if loader:
        programs.append(loader)
    libraries = {library for program in programs for library in _needed(loader, program)}
    for path in [*programs, *sorted(libraries - set(programs))]:
        yield path.lstrip("/"), (Path(path).read_bytes(), 0o755)


def _imported(interpreter: str) -> dict[str, str]:
    """{module: file} of a process that has imported what the guest does. Raises: Internal."""
    root = str(Path(shoal.__file__).parents[1])
    command = [interpreter, "-SIB", "-c", _QUESTION, root, PROGRAM]
    asked = subprocess.run(command, capture_output=True, text=True, check=False)
    if asked.returncode:
        why = (asked.stderr.strip().splitlines() or ["it was killed"])[-1]
        raise Internal("the guest's program cannot be imported", why=why)
    return {name: path for name, _, path in (line.partition("\t") for line in asked.stdout.splitlines())}


def _compiled_name(name: str, path: str) -> str:
    """Where a compiled module lies that is found without its source."""
    if name.partition(".")[0] != "shoal":
        return path.lstrip("/") + "c"
    return f"{_PACKAGES}/{name.replace('.', '/')}" + ("/__init__.pyc" if path.endswith("/__init__.py") else ".pyc")


def _compiled(path: str) -> bytes:
    """The module's code as a .pyc that is never held against its source (PEP 552)."""
    source = Path(path).read_bytes()
    code = compile(source, os.path.basename(path), "exec", dont_inherit=True)
    data: bytearray = _bootstrap_external._code_to_hash_pyc(code, importlib.util.source_hash(source), False)  # type: ignore[attr-defined]
    return bytes(data)


def _needed(loader: str, program: str) -> set[str]:
    """The libraries that the loader finds for a program or library, by the names that they are looked for."""
    if not loader:
        return set()
    listed = subprocess.run([loader, "--list", program], capture_output=True, text=True, check=False)
    return {found.group(1) or found.group(2) for found in _NEEDED.finditer(listed.stdout)}


def _loader(elf: bytes) -> str:
    """The loader that a 64-bit ELF program names (PT_INTERP), by the path that the kernel looks for; "" for none."""
    headers, size, count = (
        int.from_bytes(elf[at : at + length], "little") for at, length in ((32, 8), (54, 2), (56, 2))
    )
    for start in range(headers, headers + size * count, size):
        if int.from_bytes(elf[start : start + 4], "little") == _PT_INTERP:
            place, length = (int.from_bytes(elf[at : at + 8], "little") for at in (start + 8, start + 32))
            return elf[place : place + length].rstrip(b"\0").decode()
    return ""


def _parents(names: Iterable[str]) -> Iterator[str]:
    for name in names:
        parent = os.path.dirname(name)
        while parent:
            yield parent
            parent = os.path.dirname(parent)
