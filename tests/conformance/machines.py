"""What the cases about virtual machines need: a kernel, got once for this checkout, and an engine that has it."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from shoal.errors import ShoalError
from shoal.runtime.vm.kernel import debian_kernel
from shoal.runtime.vm.machines import find_qemu, find_virtiofsd
from tests.engines.http import UnixConnection
from tests.engines.leaks import own_pids
from tests.engines.shoald import Shoald

_QEMU = "qemu-system"
_KERNELS = Path(__file__).resolve().parents[2] / ".cache" / "kernel"


def prepare(engine: Shoald) -> None:
    """Gives the engine a kernel. Skips where QEMU is not installed, or no kernel can be had."""
    try:
        find_qemu()
        find_virtiofsd()
        kernel = debian_kernel(_KERNELS, lambda _text: None)
    except ShoalError as missing:
        pytest.skip(f"no virtual machines here: {missing}")

    # Makes the first file system of guests and tries KVM: on a busy machine that takes longer than other requests may.
    connection = UnixConnection(engine.socket, timeout_s=400)
    with contextlib.closing(connection):
        connection.request("POST", f"/vm/setup?kernel={kernel.image.parents[1]}")
        answer = connection.getresponse()
        body = answer.read()
    assert answer.status == 200, body
    assert json.loads(body)["Ready"], body


def processes_of(engine: Shoald, program: str) -> list[int]:
    """The pids of the machines' processes that run `program`, the lowest first."""
    return sorted(pid for pid, arguments in _running(engine, program) if program != _QEMU or _has_files(arguments))


def makers_of(engine: Shoald) -> list[int]:
    """The pids of the QEMUs that become a template, or show that one wakes: they have no files."""
    return sorted(pid for pid, arguments in _running(engine, _QEMU) if not _has_files(arguments))


def _running(engine: Shoald, program: str) -> Iterator[tuple[int, list[bytes]]]:
    for pid in own_pids(engine.instance, str(engine.directory)):
        with contextlib.suppress(OSError):  # it has ended
            name, *arguments = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
            if program in os.path.basename(name.decode()):
                yield pid, arguments


def _has_files(arguments: list[bytes]) -> bool:
    return any(b"id=files" in word for word in arguments)
