"""Whether KVM boots this kernel on this machine: tried once with a real boot, and remembered.

That /dev/kvm is there says little: under some hypervisors it makes a virtual machine that never gets far.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

from shoal.runtime.vm.kernel import Kernel
from tests.vm.initramfs import BOOTED, PROBE_WORD
from tests.vm.machine import QEMU, Machine, Shape

_DEVICE = Path("/dev/kvm")
_PATIENCE_S = 20.0


def accelerator(kernel: Kernel, initramfs: Path, cache: Path, tell: Callable[[str], None]) -> str:
    """ "kvm" where it boots `kernel`, else "tcg", which emulates every instruction."""
    if not os.access(_DEVICE, os.R_OK | os.W_OK):
        return "tcg"
    memory = cache / "kvm.json"
    subject = [
        os.uname().release,
        Path("/proc/sys/kernel/random/boot_id").read_text().strip(),
        kernel.release,
        _version(),
    ]
    try:
        known = json.loads(memory.read_text())
    except (OSError, ValueError):
        known = {}
    if known.get("subject") != subject:
        tell(f"{_DEVICE} is there: trying whether it boots this kernel (once, up to {_PATIENCE_S:.0f} s)")
        known = {"subject": subject, "boots": _boots(kernel, initramfs, cache / "kvm.console")}
        memory.write_text(json.dumps(known))
    if not known["boots"]:
        tell(f"KVM does not boot this kernel here: going on without it (rm {memory} to try again)")
    return "kvm" if known["boots"] else "tcg"


def _version() -> str:
    try:
        return subprocess.run([QEMU, "--version"], capture_output=True, text=True).stdout.partition("\n")[0]
    except FileNotFoundError:
        return ""  # Machine says so with its mend


def _boots(kernel: Kernel, initramfs: Path, console: Path) -> bool:
    shape = Shape(kernel.image, initramfs, "kvm", memory_mib=256, append=(PROBE_WORD,), console=console)
    with Machine(shape) as machine:
        machine.ends_within(_PATIENCE_S)
    return console.is_file() and BOOTED in console.read_text(errors="replace")
