"""The guest's root file system: a small Debian of this machine's own release, made once and kept as an ext4 image."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

from shoal.errors import Unavailable
from shoal.runtime.vm.kernel import Kernel, locked

PACKAGES = (
    "python3",
    "busybox-static",
    "iproute2",
    "iptables",
    "kmod",
    "libnftables1",
    "libseccomp2",
    "netbase",
    "nftables",
    "procps",
    "tini",
)
# Compared with where this machine has it, as everywhere in the tests.
REFERENCE_PACKAGES = ("apparmor", "docker.io")
# The image is sparse: what counts is what is in it.
_SIZE = "4G"
_FORMAT = 1
_LEFT_OUT = ("/usr/share/doc/*", "/usr/share/info/*", "/usr/share/locale/*", "/usr/share/man/*")


def suite() -> str:
    """The release of Debian that this machine runs, and the guest too: "bookworm".

    Raises: Unavailable where it is none.
    """
    release = platform.freedesktop_os_release()
    if release.get("ID") != "debian" or not release.get("VERSION_CODENAME"):
        raise Unavailable("the guest is a Debian of this machine's release, and this is none", why=release["NAME"])
    return release["VERSION_CODENAME"]


def packages() -> tuple[str, ...]:
    """What the guest has installed."""
    return PACKAGES + (REFERENCE_PACKAGES if shutil.which("dockerd") else ())


def root_image(kernel: Kernel, cache: Path, tell: Callable[[str], None]) -> Path:
    """The image, with the modules of `kernel`; made now if `cache` has none of that kind. Takes about two minutes then.

    Raises: Unavailable when a program is missing or fails.
    """
    recipe = json.dumps([_FORMAT, suite(), packages(), kernel.release, kernel.modules.parent.parent.parent.name])
    image = cache / f"root-{hashlib.sha256(recipe.encode()).hexdigest()[:16]}.ext4"
    with locked(cache, tell):
        if not image.exists():
            for old in cache.glob("root-*"):  # of another kernel; trees that a killed run left
                shutil.rmtree(old, ignore_errors=True) if old.is_dir() else old.unlink()
            _make(kernel, image, tell)
    return image


def _make(kernel: Kernel, image: Path, tell: Callable[[str], None]) -> None:
    partial = image.with_suffix(".partial")
    with tempfile.TemporaryDirectory(prefix="root-", dir=image.parent, ignore_cleanup_errors=True) as work:
        tree = Path(work, "tree")
        command = ["mmdebstrap", "--mode=root", "--variant=minbase", "--format=directory"]
        command += [f"--include={','.join(packages())}", *(f"--dpkgopt=path-exclude={path}" for path in _LEFT_OUT)]
        _run([*command, suite(), str(tree)], lambda line: tell(f"making the guest's Debian (once): {line}"), work)
        modules = tree / "lib/modules" / kernel.release
        shutil.copytree(kernel.modules, modules)
        _run(["chroot", str(tree), "depmod", kernel.release], tell, work)
        tell("packing the guest's Debian (once)")
        options = "lazy_itable_init=1,root_owner=0:0"
        _run(
            [
                "mke2fs",
                "-q",
                "-F",
                "-t",
                "ext4",
                "-O",
                "^has_journal",
                "-E",
                options,
                "-d",
                str(tree),
                str(partial),
                _SIZE,
            ],
            tell,
            work,
        )
    partial.rename(image)


def _run(command: list[str], show: Callable[[str], None], work: str) -> None:
    """Run a program, and show its lines as they come."""
    path = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/sbin"])
    program = shutil.which(command[0], path=path)
    if program is None:
        raise Unavailable(f"{command[0]} is missing", fix=f"apt-get install -y {_PACKAGE_OF[command[0]]}")
    environment = os.environ | {"TMPDIR": work, "LC_ALL": "C", "PATH": path}
    process = subprocess.Popen(
        [program, *command[1:]],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        env=environment,
    )
    last = ""
    try:
        assert process.stdout is not None
        for line in process.stdout:
            if line.strip():
                last = line.strip()
                show(last.removeprefix("I: "))
        code = process.wait()
    except BaseException:
        process.terminate()  # it removes what it has mounted
        process.wait()
        raise
    if code:
        raise Unavailable(f"{command[0]} failed with exit code {code}", why=last, fix="apt-get update, then again")


_PACKAGE_OF = {"mmdebstrap": "mmdebstrap", "chroot": "coreutils", "mke2fs": "e2fsprogs"}
