"""Whether KVM boots a guest on this machine: tried once with a real boot, and remembered.

That /dev/kvm is there says little: under some hypervisors it makes a virtual machine that never gets far.
"""

from __future__ import annotations

import json
import os
import subprocess
import time
from pathlib import Path

from shoal.runtime.vm.kernel import Kernel

_DEVICE = Path("/dev/kvm")
_PATIENCE_S = 20.0
# What the kernel prints when its first program runs, here because there is none that it could.
BOOTED = "Run /init as init process"
_MEMORY_MIB = 256


class Accelerators:
    """Knows what machines can be run with here; what was tried is kept in `directory`."""

    def __init__(self, directory: Path, qemu: str) -> None:
        self._file = directory / "accelerator.json"
        self._qemu = qemu

    def best(self, kernel: Kernel, initramfs: Path) -> str:
        """ "kvm" where it boots `kernel`, else "tcg", which emulates every instruction. Blocks up to 20 s, once."""
        if self.reason_without_trial():
            return "tcg"
        boots = self.remembered(kernel)
        if boots is None:
            boots = self._boots(kernel, initramfs)
            self._file.write_text(json.dumps({"subject": self._subject(kernel), "boots": boots}))
        return "kvm" if boots else "tcg"

    @staticmethod
    def reason_without_trial() -> str:
        """Why KVM cannot even be tried, "" where it can."""
        if not _DEVICE.exists():
            return f"there is no {_DEVICE}"
        return "" if os.access(_DEVICE, os.R_OK | os.W_OK) else f"{_DEVICE} may not be opened"

    def remembered(self, kernel: Kernel) -> bool | None:
        """What a trial with this kernel since the last boot of the host has shown; None before any."""
        try:
            known = json.loads(self._file.read_text())
        except (OSError, ValueError):
            return None
        return bool(known.get("boots")) if known.get("subject") == self._subject(kernel) else None

    def _subject(self, kernel: Kernel) -> list[str]:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return [os.uname().release, boot, kernel.release, str(Path(self._qemu).stat().st_mtime_ns)]

    def _boots(self, kernel: Kernel, initramfs: Path) -> bool:
        command = [self._qemu, "-machine", "pc,accel=kvm", "-cpu", "host", "-m", f"{_MEMORY_MIB}M", "-nodefaults"]
        command += ["-no-user-config", "-no-reboot", "-display", "none", "-serial", "stdio"]
        command += ["-kernel", str(kernel.image), "-initrd", str(initramfs)]
        command += ["-append", "console=ttyS0 panic=-1"]
        with subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        ) as machine:
            try:
                return _says(machine, BOOTED.encode(), time.monotonic() + _PATIENCE_S)
            finally:
                machine.kill()


def _says(machine: subprocess.Popen[bytes], word: bytes, deadline: float) -> bool:
    assert machine.stdout is not None
    os.set_blocking(machine.stdout.fileno(), False)
    said = b""
    while time.monotonic() < deadline and machine.poll() is None:
        said += machine.stdout.read() or b""
        if word in said:
            return True
        time.sleep(0.05)  # a serial line tells nothing of its end but by silence
    return word in said
