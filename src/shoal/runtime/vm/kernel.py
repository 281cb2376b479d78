"""Debian's cloud kernel: its package is downloaded with apt and unpacked, never installed."""

from __future__ import annotations

import fcntl
import re
import shutil
import subprocess
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from shoal.errors import Unavailable

PACKAGE = "linux-image-cloud-{architecture}"
_DEPENDENCY = re.compile(r"\blinux-image-[0-9]\S*")
# What a boot from a virtio disk needs; the kernel has the file system and the PCI bus built in.
BOOT_MODULES = ("virtio_pci", "virtio_blk", "virtio_console")


@dataclass(frozen=True)
class Kernel:
    """An unpacked kernel: its release ("6.1.0-56-cloud-amd64"), its image, the directory of its modules."""

    release: str
    image: Path
    modules: Path


@contextmanager
def locked(directory: Path, tell: Callable[[str], None]) -> Iterator[None]:
    """One process at a time makes what is kept in `directory`; the others wait and find it made."""
    directory.mkdir(parents=True, exist_ok=True)
    with (directory / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            tell(f"waiting for another run that makes what is kept in {directory}")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _output(*command: str) -> str:
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout
    except FileNotFoundError:
        raise Unavailable(
            f"{command[0]} is missing", why="the guest is a Debian, made with apt", fix="use Debian 12 or later"
        ) from None
    except subprocess.CalledProcessError as error:
        last = (error.stderr.strip().splitlines() or ["no output"])[-1]
        raise Unavailable(f"{' '.join(command)} failed", why=last, fix="apt-get update") from None


def newest_package() -> tuple[str, str]:
    """(package, version) that Debian's cloud kernel is today, as apt knows it.

    Raises: Unavailable where there is no apt, or none of this name.
    """
    package = PACKAGE.format(architecture=_output("dpkg", "--print-architecture").strip())
    about = _output("apt-cache", "show", "--no-all-versions", package)
    found = _DEPENDENCY.search(about)
    version = re.search(r"^Version: (\S+)", about, re.MULTILINE)
    if found is None or version is None:
        raise Unavailable(
            f"apt knows no package {package}", fix="apt-get update, or give an unpacked one: --kernel DIR"
        )
    return found.group(), version.group(1)


def debian_kernel(cache: Path, tell: Callable[[str], None]) -> Kernel:
    """Debian's cloud kernel in `cache`, downloaded now if it is not there. Takes 27 MB from the mirror.

    Raises: Unavailable when it can't be had.
    """
    package, version = newest_package()
    directory = cache / f"{package}_{version.replace(':', '%3a')}"
    with locked(cache, tell):
        if not directory.is_dir():
            tell(f"downloading {package} (once)")
            _download(package, cache, directory)
            for old in cache.glob("linux-image-*"):
                if old != directory:
                    shutil.rmtree(old, ignore_errors=True)
    return kernel_in(directory)


def _download(package: str, cache: Path, directory: Path) -> None:
    partial = cache / "kernel.partial"
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir()
    done = subprocess.run(["apt-get", "download", "-q", package], cwd=partial, capture_output=True, text=True)
    archives = list(partial.glob("*.deb"))
    if done.returncode or len(archives) != 1:
        last = (done.stderr.strip().splitlines() or ["no output"])[-1]
        raise Unavailable(f"apt-get could not download {package}", why=last, fix="apt-get update, then again")
    _output("dpkg-deb", "-x", str(archives[0]), str(partial / "unpacked"))
    (partial / "unpacked").rename(directory)
    shutil.rmtree(partial)


def kernel_in(directory: Path) -> Kernel:
    """The kernel that was unpacked into `directory`.

    Raises: Unavailable when there is none.
    """
    images = sorted(directory.glob("boot/vmlinu[xz]-*"))
    if not images:
        raise Unavailable(f"no kernel in {directory}", fix=f"dpkg-deb -x linux-image-….deb {directory}")
    release = images[-1].name.partition("-")[2]
    return Kernel(release, images[-1], directory / "lib/modules" / release)


def module_files(modules: Path, names: Iterable[str]) -> list[Path]:
    """The files of the modules `names` and of those that they need, each behind what it needs.

    A name without a file is built into the kernel. Needs no depmod: a module names what it depends on.
    """
    files = {path.name.partition(".")[0].replace("-", "_"): path for path in modules.rglob("*.ko")}
    order: list[Path] = []

    def add(name: str) -> None:
        path = files.get(name.replace("-", "_"))
        if path is None or path in order:
            return
        for needed in dependencies(path.read_bytes()):
            add(needed)
        order.append(path)

    for name in names:
        add(name)
    return order


def dependencies(module: bytes) -> list[str]:
    """The modules that this one needs, as its section .modinfo has them: "depends=a,b"."""
    found = re.search(rb"\0depends=([^\0]*)\0", module)
    return [name for name in found.group(1).decode().split(",") if name] if found else []
