"""What the cases about virtual machines need: a kernel, got once for this checkout, and an engine that has it."""

from __future__ import annotations

from pathlib import Path

import pytest

from shoal.errors import ShoalError
from shoal.runtime.vm.kernel import debian_kernel
from shoal.runtime.vm.machines import find_qemu, find_virtiofsd
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

    answer = engine.request("POST", f"/vm/setup?kernel={kernel.image.parents[1]}")
    assert answer.status == 200, answer.body
    assert answer.json["Ready"], answer.body
