"""What a comparison was taken on."""

from __future__ import annotations

import os

from shoal.client.client import Client
from shoal.errors import NotFound

_ACCELERATORS = {"kvm": "KVM", "tcg": "TCG (every instruction is emulated)"}


def facts(client: Client) -> dict[str, str]:
    """Processor, memory, kernel, engine, and what virtual machines run with, in words, by name."""
    version = client.system.version()
    facts = {
        "processor": f"{_line('/proc/cpuinfo', 'model name')} ({os.cpu_count()})",
        "memory": f"{int(_line('/proc/meminfo', 'MemTotal').split()[0]) // 1024} MiB",
        "kernel": os.uname().release,
        "engine": f"{version.text('Platform', 'Name') or 'engine'} {version.text('Version')}",
    }
    try:
        accelerator = client.system.vm_status().text("Accelerator")
    except NotFound:
        return facts  # another engine than shoald
    if accelerator:
        facts["accelerator"] = _ACCELERATORS.get(accelerator, accelerator)
    return facts


def _line(path: str, name: str) -> str:
    """The value of the first line of a kernel file that begins with `name`."""
    with open(path, encoding="utf-8", errors="replace") as file:
        for line in file:
            if line.startswith(name):
                return line.partition(":")[2].strip()
    return "0"
