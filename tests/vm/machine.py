"""One QEMU process: its command line, as data, and the sockets behind its virtio-serial ports.

A port is one end of a socket pair, so no path leads to it and it is gone with the process that holds the other end.
The process ends with the thread that started it, whatever ends that.
"""

from __future__ import annotations

import signal
import socket
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from shoal.errors import Unavailable
from shoal.linux.prctl import set_pdeathsig

QEMU = "qemu-system-x86_64"
QEMU_PACKAGE = "qemu-system-x86"
_PATIENCE_S = 5.0
# panic=-1 with QEMU's -no-reboot: a kernel that panics ends the process at once.
_APPEND = ("console=ttyS0", "panic=-1", "tsc=unstable", "quiet")


@dataclass(frozen=True)
class Disk:
    """A raw image on a virtio disk. The guest's writes are QEMU's own and go with it: the file stays as it is."""

    path: Path


@dataclass(frozen=True)
class Shape:
    """What a machine is made of."""

    kernel: Path
    initramfs: Path
    accelerator: str = "tcg"
    memory_mib: int = 2048
    processors: int = 1
    disks: tuple[Disk, ...] = ()
    ports: tuple[str, ...] = ()
    append: tuple[str, ...] = ()
    console: Path = Path("/dev/null")


def command(shape: Shape, port_descriptors: Sequence[int]) -> list[str]:
    """The command line of QEMU for that machine; a descriptor for each of its ports."""
    line = [QEMU, "-machine", f"q35,accel={shape.accelerator}", "-cpu", "max" if shape.accelerator == "tcg" else "host"]
    line += ["-m", str(shape.memory_mib), "-smp", str(shape.processors)]
    line += ["-nodefaults", "-no-user-config", "-no-reboot", "-display", "none"]
    line += ["-chardev", f"file,id=console,path={_escaped(shape.console)}", "-serial", "chardev:console"]
    line += ["-device", "virtio-serial-pci"] if shape.ports else []
    for number, (name, descriptor) in enumerate(zip(shape.ports, port_descriptors, strict=True)):
        line += ["-chardev", f"socket,id=port{number},fd={descriptor}"]
        line += ["-device", f"virtserialport,chardev=port{number},name={name}"]
    for number, disk in enumerate(shape.disks):
        options = f"id=disk{number},if=none,format=raw,snapshot=on,cache=unsafe"
        line += ["-drive", f"file={_escaped(disk.path)},{options}", "-device", f"virtio-blk-pci,drive=disk{number}"]
    line += ["-kernel", str(shape.kernel), "-initrd", str(shape.initramfs)]
    return [*line, "-append", " ".join([*_APPEND, *shape.append])]


def _escaped(path: Path) -> str:
    """A path as a value among QEMU's options, where a comma stands for itself when doubled."""
    return str(path).replace(",", ",,")


class Machine:
    """A running QEMU; a context manager that ends it."""

    def __init__(self, shape: Shape) -> None:
        """Start it.

        Raises: Unavailable where QEMU is not installed.
        """
        pairs = [socket.socketpair() for _ in shape.ports]
        self.ports = {name: ours for name, (ours, _) in zip(shape.ports, pairs, strict=True)}
        theirs = [pair[1] for pair in pairs]
        self.console = shape.console
        self.started = time.monotonic()
        try:
            self.process = subprocess.Popen(
                command(shape, [end.fileno() for end in theirs]),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                pass_fds=[end.fileno() for end in theirs],
                # A Ctrl-C reaches only us, who then end it in order.
                start_new_session=True,
                preexec_fn=lambda: set_pdeathsig(signal.SIGKILL),
            )
        except FileNotFoundError:
            self._close_ports()
            raise Unavailable(f"{QEMU} is missing", fix=f"apt-get install -y {QEMU_PACKAGE}") from None
        finally:
            for end in theirs:
                end.close()

    def __enter__(self) -> Machine:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the process, if it still runs, and close the ports."""
        self._close_ports()
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        assert self.process.stderr is not None
        self.process.stderr.close()

    def _close_ports(self) -> None:
        for port in self.ports.values():
            port.close()

    def ends_within(self, patience_s: float = _PATIENCE_S) -> bool:
        """Whether the machine powers itself off within that time."""
        try:
            self.process.wait(patience_s)
        except subprocess.TimeoutExpired:
            return False
        return True

    def last_words(self, lines: int = 25) -> str:
        """The end of the guest's console, and what QEMU has said if it has ended."""
        console = self.console.read_text(errors="replace") if self.console.is_file() else ""
        said = ""
        if self.process.poll() is not None and self.process.stderr is not None:
            said = self.process.stderr.read().decode(errors="replace")
        return "\n".join([*console.splitlines()[-lines:], *said.splitlines()])
