"""Whether commands for another processor run here: by the processor itself, or by an emulator that the kernel knows."""

from __future__ import annotations

import os

from shoal.errors import Unsupported
from shoal.oci.platform import Platform

_BINFMT = "/proc/sys/fs/binfmt_misc"
# What the emulators' entries are called, where not as the architecture.
_EMULATORS = {"amd64": "x86_64", "arm64": "aarch64", "386": "i386", "loong64": "loongarch64"}
_ALSO = {("amd64", "386"), ("arm64", "arm")}  # (the machine's, what it runs too)


def check_runs(machine: Platform, target: Platform, directory: str = _BINFMT) -> None:
    """Nothing, where `machine` can run commands for `target`.

    Raises: Unsupported. Source: binfmt_misc(5), the names that qemu-user-static registers.
    """
    if machine.runs(target) or (machine.architecture, target.architecture) in _ALSO:
        return
    emulator = _EMULATORS.get(target.architecture, target.architecture)
    if not os.path.exists(os.path.join(directory, f"qemu-{emulator}")):
        raise Unsupported(
            f"commands for {target} can't run on {machine}",
            why="the kernel knows no emulator for them",
            fix="apt-get install qemu-user-static binfmt-support",
        )
