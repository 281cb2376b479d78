"""Steps that set how the kernel treats the process beside its limits. While we may: before the rights go."""

from __future__ import annotations

import os

from shoal.errors import SyscallError
from shoal.linux.scheduling import (
    numbers_in,
    set_io_priority,
    set_memory_policy,
    set_personality,
    set_scheduler,
)
from shoal.supervisor.steps.step import Step

TYPE_CHECKING = False
if TYPE_CHECKING:
    from shoal.supervisor.steps.context import Context


class SetScheduler(Step):
    """Sets the scheduling policy with its parameters; times in ns."""

    name = "scheduler"
    __slots__ = ("deadline", "flags", "nice", "period", "policy", "priority", "runtime")

    def __init__(
        self, policy: int, *, flags: int, nice: int, priority: int, runtime: int, deadline: int, period: int
    ) -> None:
        self.policy = policy
        self.flags = flags
        self.nice = nice
        self.priority = priority
        self.runtime = runtime
        self.deadline = deadline
        self.period = period

    def describe(self) -> str:
        return f"policy {self.policy}, nice {self.nice}, priority {self.priority}"

    def run(self, ctx: Context) -> None:
        set_scheduler(
            self.policy,
            flags=self.flags,
            nice=self.nice,
            priority=self.priority,
            runtime=self.runtime,
            deadline=self.deadline,
            period=self.period,
        )


class SetIoPriority(Step):
    """Sets the class and level of the process's I/O."""

    name = "io-priority"
    __slots__ = ("io_class", "priority")

    def __init__(self, io_class: int, priority: int) -> None:
        self.io_class = io_class
        self.priority = priority

    def describe(self) -> str:
        return f"class {self.io_class}, level {self.priority}"

    def run(self, ctx: Context) -> None:
        set_io_priority(self.io_class, self.priority)


class SetPersonality(Step):
    """Sets the execution domain: a 32-bit one tells the program that the machine is one."""

    name = "personality"
    __slots__ = ("domain",)

    def __init__(self, domain: int) -> None:
        self.domain = domain

    def describe(self) -> str:
        return f"{self.domain:#x}"

    def run(self, ctx: Context) -> None:
        set_personality(self.domain)


class SetMemoryPolicy(Step):
    """Sets on which memory nodes the process allocates."""

    name = "memory-policy"
    __slots__ = ("mode", "nodes")

    def __init__(self, mode: int, nodes: str) -> None:
        self.mode = mode
        self.nodes = nodes

    def describe(self) -> str:
        return f"mode {self.mode:#x}" + (f", nodes {self.nodes}" if self.nodes else "")

    def run(self, ctx: Context) -> None:
        set_memory_policy(self.mode, self.nodes)


class SetAffinity(Step):
    """Sets on which processors the process runs."""

    name = "affinity"
    __slots__ = ("processors",)

    def __init__(self, processors: str) -> None:
        self.processors = processors

    def describe(self) -> str:
        return f"processors {self.processors}"

    def run(self, ctx: Context) -> None:
        try:
            os.sched_setaffinity(0, numbers_in(self.processors))
        except OSError as error:
            raise SyscallError("sched_setaffinity", self.processors, error.errno or 0) from None
