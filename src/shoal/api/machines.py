"""What containers in virtual machines need of this host, on the wire: shoal's own GET /vm and POST /vm/setup."""

from __future__ import annotations

from shoal.api.wire import Wire


class MachinePart(Wire, kw_only=True):
    """One thing that a machine needs: `detail` is which one is there, or why there is none, `hint` how to get one."""

    name: str
    present: bool
    detail: str
    hint: str = ""


class MachinesStatus(Wire, kw_only=True):
    """Whether `--isolation vm` works here. `warnings` tell what works, and is slow or lacks something.

    `accelerator` is "kvm", "tcg" (every instruction is emulated), or "" where that has not been tried yet.
    """

    ready: bool
    accelerator: str = ""
    parts: list[MachinePart]
    warnings: list[str] = []
