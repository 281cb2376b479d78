"""What the cases about virtual machines need: a kernel, got once for this checkout, and an engine that has it."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

import pytest

from shoal.errors import ShoalError
from shoal.runtime.vm.kernel import debian_kernel
from shoal.runtime.vm.machines import find_qemu, find_virtiofsd
from tests.engines.http import UnixConnection
from tests.engines.shoald import Shoald

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
