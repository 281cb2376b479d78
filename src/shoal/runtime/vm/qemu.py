"""The command lines of a machine's programs, as data. Pure.

"{name}" in a word stands for a descriptor, or a word, that the monitor knows (supervisor/machine/monitor.py).
"""

from __future__ import annotations

import platform
from dataclasses import dataclass
from pathlib import Path

from shoal.supervisor.machine.places import PORT, SHARE_TAG

QEMU = f"qemu-system-{platform.machine()}"
QEMU_PACKAGE = "qemu-system-x86"
VIRTIOFSD = ("/usr/lib/qemu/virtiofsd", "/usr/libexec/virtiofsd")
# QEMU's cache of translated code; the rest of what it takes is its own.
_TRANSLATED_MIB = 64
# Nobody: what gets out of the machine is no more than that.
_USER = "65534:65534"
# panic=-1 with -no-reboot: a kernel that panics ends QEMU at once. trust_cpu: else the interpreter waits for entropy.
# The others save time: no self-tests of ciphers, no audit, no search for three more serial lines.
_BOOT_WORDS = "console=ttyS0 panic=-1 quiet random.trust_cpu=on tsc=unstable cryptomgr.notests audit=0 8250.nr_uarts=1"
# Emulated processors have none of the holes that these close.
_EMULATED_WORDS = "mitigations=off"
# Its bus takes devices while it runs, which q35's own does not.
_MACHINE = "pc"
_FILES = ["-chardev", "socket,id=files,fd={files}"]
_CONTROLLED = ["-chardev", "socket,id=qmp,fd={qmp}", "-mon", "chardev=qmp,mode=control"]
_INCOMING = [*_CONTROLLED, "-incoming", "defer"]
_CONFINED = ["-runas", _USER, "-sandbox", "on,obsolete=deny,spawn=deny,resourcecontrol=deny"]


@dataclass(frozen=True, slots=True)
class Shape:
    """What a machine is made of."""

    program: str
    kernel: Path
    initramfs: Path
    accelerator: str
    memory_mib: int
    processors: int
    interfaces: int


def qemu_command(shape: Shape) -> list[str]:
    """QEMU's command line for a machine that boots."""
    # Shared, because virtiofsd reads and writes it.
    memory = f"memory-backend-memfd,id=memory,size={shape.memory_mib}M,share=on"
    files = [*_FILES, "-device", f"vhost-user-fs-pci,chardev=files,tag={SHARE_TAG}"]
    return [*_machine(shape, memory), *files, *_interfaces(shape.interfaces), *_kernel(shape), *_CONFINED]


def maker_command(shape: Shape) -> list[str]:
    """That of one that boots to be a template: it has no files, which no QEMU can take along, and no network.

    Whoever waits for it ends it with itself (PR_SET_PDEATHSIG), which a change of user would undo.
    """
    return [*_machine(shape, _given_memory(shape)), *_kernel(shape), *_CONTROLLED]


def waking_command(shape: Shape) -> list[str]:
    """That of one that goes on where a template was left.

    Its files are added behind that (supervisor/machine/waking.py): QEMU reads no state into a machine that has them.
    Its kernel is in its memory; given to QEMU once more it would take another 13 MB.
    """
    return [*_machine(shape, _given_memory(shape)), *_FILES, *_interfaces(shape.interfaces), *_INCOMING, *_CONFINED]


def trial_command(shape: Shape) -> list[str]:
    """That of a copy which only shows that it wakes."""
    return [*_machine(shape, _given_memory(shape)), *_INCOMING]


def _machine(shape: Shape, memory: str) -> list[str]:
    """What machines of one shape have in common: QEMU takes up a template's devices in this order."""
    is_emulated = shape.accelerator == "tcg"
    accelerator = f"tcg,thread=multi,tb-size={_TRANSLATED_MIB}" if is_emulated else "kvm"
    line = [shape.program, "-nodefaults", "-no-user-config", "-no-reboot", "-display", "none"]
    line += ["-machine", f"{_MACHINE},memory-backend=memory", "-accel", accelerator]
    line += ["-cpu", "max" if is_emulated else "host"]
    line += ["-m", f"{shape.memory_mib}M", "-smp", str(shape.processors)]
    line += ["-object", memory]
    line += ["-chardev", "socket,id=console,fd={console}", "-serial", "chardev:console"]
    line += ["-device", "virtio-serial-pci", "-chardev", "socket,id=line,fd={line}"]
    line += ["-device", f"virtserialport,chardev=line,name={PORT}"]
    line += ["-device", "virtio-rng-pci", "-device", "virtio-balloon-pci,free-page-reporting=on"]
    return line


def _kernel(shape: Shape) -> list[str]:
    words = f"{_BOOT_WORDS} {_EMULATED_WORDS}" if shape.accelerator == "tcg" else _BOOT_WORDS
    return ["-kernel", str(shape.kernel), "-initrd", str(shape.initramfs), "-append", words]


def _given_memory(shape: Shape) -> str:
    """Memory that whoever starts QEMU has made."""
    return f"memory-backend-file,id=memory,size={shape.memory_mib}M,share=on,mem-path=/proc/self/fd/{{ram}}"


def _interfaces(count: int) -> list[str]:
    line = []
    for number in range(count):
        line += ["-netdev", f"tap,id=net{number},fd={{tap{number}}}"]
        line += ["-device", f"virtio-net-pci,netdev=net{number},mac={{mac{number}}},host_mtu={{mtu{number}}},romfile="]
    return line


def files_command(program: str, directory: str) -> list[str]:
    """The command line of virtiofsd, which shows the guest `directory`."""
    return [program, "--fd={listener}", "-o", f"source={directory},xattr,cache=auto,log_level=err", "-f"]
