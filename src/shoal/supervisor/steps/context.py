"""What the steps of one plan share while they run in the child.

supervisor                                    child (runs the steps)
    │ plan, descriptors ───────────────────────▶│ Context(channel, stdio, joins)
    │ ◀──────── send_fd("console", pty master) ──│ Console
    │ ◀──────── wait("network") ─────────────────│ WaitBarrier
    │ ready ───────────────────────────────────▶│
    │ ◀──────── warn("…clamped…") ───────────────│ any
    │ ◀──────── executing ───────────────────────│ nothing is left to be done but to become the program
"""

from __future__ import annotations

from shoal.supervisor.steps.preparation import Prepared

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Protocol

    from shoal.supervisor.protocol import Body

    class Channel(Protocol):
        """The child's end of its conversation with the supervisor (supervisor/child.py)."""

        def send_fd(self, kind: str, fd: int) -> None:
            """Gives the supervisor a copy of a descriptor: kind "console" is a pty's master."""

        def wait(self, barrier: str) -> None:
            """Returns when the supervisor says that `barrier` ("network", "cgroup") is reached."""

        def warn(self, text: str) -> None:
            """Tells of something that was not done as asked and does not stop the start."""

        def tell(self, kind: str, body: Body) -> None:
            """Sends a message without descriptors."""

        def close(self) -> None:
            """Says by its end what an execve says: the process runs."""


class Context:
    """The state that steps hand on: descriptors owned by the child, and who the process is going to be.

    `stdio` are the descriptors to become 0, 1 and 2, or None with a terminal. `joins` maps a kind of
    namespace ("net", "ipc", …, or "process": a pidfd) to the descriptor to enter it by. `root_fd` is the
    container's root, -1 before it is mounted. `trees` are detached mounts that a step took for the bind mount
    at a target (the key). `prepared` are file systems made ahead of the plan. `program` and `environment` are what
    the process is going to run, `kept` the descriptors that it gets beside its standard streams.
    """

    __slots__ = (
        "channel", "cwd", "environment", "gid", "groups", "home", "joins", "kept", "prepared", "program", "root_fd",
        "stdio", "trees", "uid",
    )  # fmt: skip

    def __init__(
        self,
        channel: Channel,
        stdio: tuple[int, int, int] | None,
        joins: dict[str, int] | None = None,
        prepared: Prepared | None = None,
    ) -> None:
        self.channel = channel
        self.stdio = stdio
        self.joins = joins or {}
        self.trees: dict[str, int] = {}
        self.prepared = prepared or Prepared()
        self.kept = range(0)
        self.root_fd = -1
        self.uid = 0
        self.gid = 0
        self.groups: list[int] = []
        self.home = "/"
        self.cwd = "/"
        self.environment: dict[bytes, bytes] = {}
        self.program = b""

    def warn(self, text: str) -> None:
        """Tells the supervisor, and through it the client, without stopping."""
        self.channel.warn(text)
