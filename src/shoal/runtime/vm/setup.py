"""Getting a kernel for machines: Debian's, as a package that is unpacked and never installed, or one that is given.

DIRECTORY/kernel is a link to the one that is used; it changes in one step. Runs in a thread of shoald.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

from shoal.errors import InvalidArgument, Unavailable
from shoal.runtime.vm.kernel import Kernel, debian_kernel, kernel_in, module_files

LINK = "kernel"
# Without one of these a guest sees no files, or hears nothing.
_NEEDED = ("virtio_pci", "virtio_console", "virtiofs")


def set_up_kernel(directory: Path, source: str, tell: Callable[[str], None]) -> Kernel:
    """The kernel that machines run from now on.

    `source` is "" for Debian's, else a package (.deb), a directory into which one was unpacked, or a kernel's image
    whose modules are in /lib/modules. Raises: InvalidArgument, Unavailable.
    """
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    place = _given(directory, Path(source)) if source else debian_kernel(directory, tell).image.parents[1]
    kernel = kernel_in(place)
    check_kernel(kernel)
    partial = directory / f"{LINK}.partial"
    partial.unlink(missing_ok=True)
    partial.symlink_to(place)
    partial.rename(directory / LINK)
    return kernel


def check_kernel(kernel: Kernel) -> None:
    """Raises: Unavailable for a kernel that cannot be a guest's."""
    built_in = kernel.modules / "modules.builtin"
    names = {Path(line).stem.replace("-", "_") for line in built_in.read_text().split()} if built_in.exists() else set()
    for name in _NEEDED:
        if name not in names and not module_files(kernel.modules, (name,)):
            raise Unavailable(
                f"the kernel {kernel.release} cannot run in a machine of ours",
                why=f"it has no {name}, and no module of that name in {kernel.modules}",
                fix="shoal vm setup, for Debian's cloud kernel",
            )


def _given(directory: Path, source: Path) -> Path:
    if not source.is_absolute() or not source.exists():
        raise InvalidArgument(f"no kernel at {source}", fix="give the absolute path of a package, directory or image")
    if source.is_dir():
        return source
    if source.suffix == ".deb":
        return _unpacked(source, directory / f"given-{source.stem}")
    return _beside_modules(source, directory / f"given-{source.name}")


def _unpacked(package: Path, place: Path) -> Path:
    partial = place.with_suffix(".partial")
    shutil.rmtree(partial, ignore_errors=True)
    try:
        done = subprocess.run(
            ["dpkg-deb", "-x", str(package), str(partial)], capture_output=True, text=True, check=False
        )
    except FileNotFoundError:
        raise Unavailable("dpkg-deb is missing", fix="unpack the package elsewhere, and give the directory") from None
    if done.returncode:
        raise InvalidArgument(f"{package} is no Debian package", why=done.stderr.strip())
    shutil.rmtree(place, ignore_errors=True)
    partial.rename(place)
    return place


def _beside_modules(image: Path, place: Path) -> Path:
    """A directory as a package's, with links to an installed kernel's image and modules."""
    release = image.name.partition("-")[2]
    modules = Path("/lib/modules", release)
    if not release or not modules.is_dir():
        raise InvalidArgument(
            f"{image} is no kernel's image with modules",
            why=f"its name has to end in the kernel's release, of which there is {modules.parent}/RELEASE",
        )
    shutil.rmtree(place, ignore_errors=True)
    for name, target in (("boot", image), ("lib/modules", modules)):
        (place / name).mkdir(parents=True)
        os.symlink(target, place / name / (image.name if name == "boot" else release))
    return place
