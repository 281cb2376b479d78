"""The last step of a container in a virtual machine: what runs on the host is the machine's monitor, not the program.

The code is imported by the child that needs it, and only there: it stays in the host's root, and other children and
the supervisor do without.
"""

from __future__ import annotations

from shoal.supervisor.steps.step import Step

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from shoal.supervisor.steps.context import Context


class RunMachine(Step):
    """Starts the machine and what it needs, has the guest start the program, and stays until that ends.

    `qemu` and `files` are the command lines of QEMU and virtiofsd, in which "{name}" stands for a descriptor that the
    monitor makes; `interfaces` are the names of those that the machine takes over, `launch` is the guest's own start.
    `resolver` says that there is one in our network, for the guest too. `record` is the file that tells how the program
    ended, as far as an exit code does not. `template` is the directory of the machine that a copy is woken of, "" where
    one boots.
    """

    name = "machine"
    __slots__ = ("files", "interfaces", "launch", "qemu", "record", "resolver", "template")

    def __init__(
        self,
        qemu: list[str],
        files: list[str],
        interfaces: list[str],
        launch: dict[str, Any],
        *,
        record: str,
        resolver: bool,
        template: str,
    ) -> None:
        self.qemu = qemu
        self.files = files
        self.interfaces = interfaces
        self.launch = launch
        self.record = record
        self.resolver = resolver
        self.template = template

    def describe(self) -> str:
        steps = "; ".join(name for name, _ in self.launch["steps"])
        return f"{' '.join(self.qemu)}, files by {' '.join(self.files)}; in the guest: {steps}"

    def run(self, ctx: Context) -> None:
        from shoal.supervisor.machine.monitor import run_machine

        run_machine(ctx, self)


class JoinMachine(Step):
    """Has the guest of a container start one more process, whose streams are ours, and stays until that ends."""

    name = "join-machine"
    __slots__ = ("launch",)

    def __init__(self, launch: dict[str, Any]) -> None:
        self.launch = launch

    def describe(self) -> str:
        return "in the guest: " + "; ".join(name for name, _ in self.launch["steps"])

    def run(self, ctx: Context) -> None:
        from shoal.supervisor.machine.client import join_machine

        join_machine(ctx, self.launch)
