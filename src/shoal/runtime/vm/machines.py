"""What machines of this daemon are made of: the kernel, the initramfs, QEMU, virtiofsd; found before the first start.

Everything that is missing is said with its mend, here for a start and in `shoal vm status` for whoever asks.
"""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from shoal.errors import InvalidArgument, ShoalError, Unavailable
from shoal.runtime.vm.accelerator import Accelerators
from shoal.runtime.vm.initramfs import initramfs
from shoal.runtime.vm.kernel import Kernel, kernel_in
from shoal.runtime.vm.plans import compile_machine
from shoal.runtime.vm.qemu import (
    QEMU,
    QEMU_PACKAGE,
    VIRTIOFSD,
    Shape,
    files_command,
    qemu_command,
    waking_command,
)
from shoal.runtime.vm.setup import LINK, check_kernel, set_up_kernel
from shoal.runtime.vm.templates import Templates

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from shoal.runtime.compile.plan import HostFacts, Plan
    from shoal.runtime.driver import Launch, MachineSize

    # Runs work beside what is going on now; the words name it in the log.
    Spawn = Callable[[Coroutine[Any, Any, None], str], object]

_TUN = "/dev/net/tun"
T = TypeVar("T")
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that a machine needs: what it is, or why it is not there."""

    name: str
    found: str | ShoalError


@dataclass(frozen=True, slots=True)
class Status:
    """Everything that a machine needs; `without_kvm` is why KVM cannot be tried, `kvm_boots` what a trial has shown."""

    findings: tuple[Finding, ...]
    without_kvm: str
    kvm_boots: bool | None


@dataclass(frozen=True, slots=True)
class Parts:
    """All that a machine needs of this host."""

    qemu: str
    virtiofsd: str
    kernel: Kernel
    initramfs: Path
    accelerator: str

    @property
    def takes_templates(self) -> bool:
        """Whether a template saves time: with KVM it was never tried."""
        return self.accelerator == "tcg"

    def shape(self, size: MachineSize, interfaces: int = 0) -> Shape:
        """What a machine of that size is made of."""
        return Shape(
            self.qemu,
            self.kernel.image,
            self.initramfs,
            self.accelerator,
            memory_mib=size.memory_mib,
            processors=size.processors,
            interfaces=interfaces,
        )

    def are_there(self) -> bool:
        """Whether nobody has taken the files away."""
        return self.kernel.image.exists() and self.initramfs.exists()


class Machines:
    """The machines of one daemon, whose kernel is kept under `directory` (DATA_ROOT/vm)."""

    def __init__(self, directory: Path, spawn: Spawn) -> None:
        self.directory = directory
        self._spawn = spawn
        self._templates = Templates(directory / "templates")
        self._parts: Parts | None = None
        self._looking = asyncio.Lock()

    async def plan(self, launch: Launch, host: HostFacts) -> Plan:
        """The plan of a container's machine. Raises: Unavailable for what is missing; InvalidArgument; Internal."""
        size = launch.machine
        assert size is not None
        _check_fits(size.memory_mib)
        parts = await self._found()
        shape = parts.shape(size, len(launch.interfaces))
        files = files_command(parts.virtiofsd, host.rootfs_mount_point)
        template = self._templates.find(shape) if parts.takes_templates else None
        if template is not None:
            return compile_machine(launch, host, waking_command(shape), files, template=str(template))
        if parts.takes_templates:
            self._spawn(self._templates.wanted(shape), "a machine's template")
        return compile_machine(launch, host, qemu_command(shape), files)

    async def _found(self) -> Parts:
        async with self._looking:
            if self._parts is None or not self._parts.are_there():
                self._parts = await asyncio.to_thread(self._find)
            return self._parts

    def _find(self) -> Parts:
        qemu, virtiofsd = find_qemu(), find_virtiofsd()
        kernel = self.kernel()
        archive = initramfs(kernel, self.directory)
        return Parts(qemu, virtiofsd, kernel, archive, Accelerators(self.directory, qemu).best(kernel, archive))

    def kernel(self) -> Kernel:
        """The kernel that guests run. Raises: Unavailable when none was set up, or it is unfit."""
        directory = self.directory / LINK
        if not directory.is_dir():
            raise Unavailable("there is no kernel for virtual machines yet", fix="shoal vm setup")
        kernel = kernel_in(directory)
        check_kernel(kernel)
        return kernel

    def status(self) -> Status:
        """What is there of what a machine needs, and what is not. Reads files only."""
        qemu, kernel = _looked_for(find_qemu), _looked_for(self.kernel)
        findings = [
            Finding("QEMU", qemu),
            Finding("virtiofsd", _looked_for(find_virtiofsd)),
            Finding("kernel", kernel.release if isinstance(kernel, Kernel) else kernel),
            Finding("tap interfaces", _looked_for(_find_tun)),
        ]
        tried = None
        if isinstance(qemu, str) and isinstance(kernel, Kernel):
            tried = Accelerators(self.directory, qemu).remembered(kernel)
        return Status(tuple(findings), Accelerators.reason_without_trial(), tried)

    async def set_up(self, source: str, usual: MachineSize) -> None:
        """Gets a kernel, makes the initramfs, tries what it runs with, and makes the template of the `usual` size.

        Raises: InvalidArgument, Unavailable.
        """
        async with self._looking:
            await asyncio.to_thread(set_up_kernel, self.directory, source, _log.info)
            self._parts = parts = await asyncio.to_thread(self._find)
        if parts.takes_templates:
            try:
                await self._templates.make(parts.shape(usual))
            except (ShoalError, OSError) as error:
                _log.warning("machines go on booting: %s", error)


def _check_fits(memory_mib: int) -> None:
    """Raises: InvalidArgument for a machine whose own book-keeping alone might exhaust the host."""
    host_mib = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") >> 20
    if memory_mib > host_mib:
        raise InvalidArgument(
            f"a virtual machine of {memory_mib} MiB is larger than this host",
            why=f"which has {host_mib} MiB",
            fix="give it less memory: docker update --memory 1g --memory-swap 2g CONTAINER",
        )


def find_qemu() -> str:
    """The path of QEMU for this machine's processor. Raises: Unavailable."""
    found = shutil.which(QEMU)
    if found is None:
        raise Unavailable(f"{QEMU} is missing", fix=f"apt-get install -y {QEMU_PACKAGE}")
    return found


def _looked_for(search: Callable[[], T]) -> T | ShoalError:
    try:
        return search()
    except ShoalError as error:
        return error


def _find_tun() -> str:
    """The device that taps are made with. Raises: Unavailable."""
    if not os.path.exists(_TUN):
        raise Unavailable(f"there is no {_TUN}", why="the kernel's module tun is not loaded", fix="modprobe tun")
    return _TUN


def find_virtiofsd() -> str:
    """The path of virtiofsd, which no PATH leads to. Raises: Unavailable."""
    for path in VIRTIOFSD:
        if os.access(path, os.X_OK):
            return path
    raise Unavailable(
        "virtiofsd is missing, which shows a machine its files",
        why=f"it is none of {', '.join(VIRTIOFSD)}",
        fix="apt-get install -y qemu-system-common, or virtiofsd on Debian 13 and later",
    )
