"""Children for containers: cloned on demand, or ahead of time.

Cloning into fresh namespaces, making cgroups of version 1 and the file systems that every container has takes
milliseconds. So a few blank children wait, in cgroups of their own, with the file systems of the last container made
ahead (steps/preparation.py), and its device rules; when one is used, its cgroups are renamed. A cgroup of version 2
cannot be, so there are none. Blanks die with their supervisor (see child.py); a cgroup that stays behind is named after
the supervisor's pid, so that shoald can tell. Runs in a supervisor.
"""

from __future__ import annotations

import _socket
import os
import signal

from shoal.errors import ShoalError
from shoal.linux.clone import clone3
from shoal.linux.pidfd import pidfd_send_signal
from shoal.supervisor.child import child_main
from shoal.supervisor.entrance import open_entrances
from shoal.supervisor.loop import READABLE
from shoal.supervisor.protocol import close_all, encode, send_nowait
from shoal.supervisor.steps.preparation import preparable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Protocol

    from shoal.linux.cgroups import Cgroup, Layout
    from shoal.linux.fd import Fd
    from shoal.supervisor.loop import Loop
    from shoal.supervisor.protocol import LaunchBody
    from shoal.supervisor.steps.preparation import Wire

    class Listener(Protocol):
        """Whom the pool tells."""

        def log(self, level: str, text: str) -> None:
            """Something to be logged."""

        def vacancies(self) -> int:
            """How many more containers may come: no more blanks are of use."""

        def blanks_changed(self, pids: list[int]) -> None:
            """The pids of all blanks."""


_IDLE_S = 0.012
_MAX_FAILURES = 3


class Child:
    """A cloned child that waits for its plan. The owner closes `channel` and `pidfd`.

    `devices` are the device rules that its cgroup has already, as in linux.resources.
    """

    __slots__ = ("cgroup", "channel", "devices", "pid", "pidfd")

    def __init__(self, pid: int, pidfd: Fd, channel: _socket.socket, cgroup: Cgroup | None) -> None:
        self.pid = pid
        self.pidfd = pidfd
        self.channel = channel
        self.cgroup = cgroup
        self.devices: list[dict[str, Any]] = []

    def kill(self) -> None:
        """Ends it and waits for its end, which is short: it has not run anything of a user's."""
        pidfd_send_signal(self.pidfd, signal.SIGKILL)
        os.waitid(os.P_PIDFD, self.pidfd.fileno(), os.WEXITED)
        self.close()

    def close(self) -> None:
        """Gives the descriptors back."""
        self.channel.close()
        self.pidfd.close()


def clone_child(flags: int, into_cgroup: Fd | None = None) -> Child:
    """A new child in new namespaces (`flags` are CLONE_NEW*), that waits for its plan. Raises: SyscallError."""
    ours, theirs = _socket.socketpair(_socket.AF_UNIX, _socket.SOCK_SEQPACKET | _socket.SOCK_CLOEXEC)
    try:
        pid, pidfd = clone3(flags, into_cgroup=into_cgroup)
        if pidfd is None:
            child_main(theirs)
    except ShoalError:
        ours.close()
        raise
    finally:
        theirs.close()
    return Child(pid, pidfd, ours, None)


class Blanks:
    """A pool of blank children. Off until `configure`."""

    __slots__ = (
        "_blanks", "_devices", "_expected", "_failures", "_flags", "_layout", "_listener", "_loop", "_parent",
        "_serial", "_target",
    )  # fmt: skip

    def __init__(self, loop: Loop, layout: Layout, listener: Listener) -> None:
        self._loop = loop
        self._layout = layout
        self._listener = listener
        self._blanks: list[Child] = []
        self._flags = 0
        self._parent = ""
        self._target = 0
        self._serial = 0
        self._failures = 0
        self._expected: list[Wire] = []
        self._devices: list[dict[str, Any]] = []

    @property
    def pids(self) -> set[int]:
        """Those of all blanks."""
        return {child.pid for child in self._blanks}

    def configure(self, count: int, flags: int, parent: str) -> None:
        """Keeps `count` blanks with these namespaces, in cgroups under `parent`; none on cgroup v2."""
        self.clear()
        self._flags = flags
        self._parent = parent
        self._target = count if self._layout.version == "v1" and parent else 0
        self._failures = 0
        self._changed()

    def take(self, body: LaunchBody, cgroup_path: str) -> Child | None:
        """A blank whose cgroup can be renamed to `cgroup_path`, or None when there is none that fits.

        The next ones are made ready for a launch like this one.
        """
        flags = body["clone_flags"]
        parent = cgroup_path.rpartition("/")[0]
        if flags != self._flags or parent != self._parent:
            return None
        self._expected = preparable(body["steps"])
        self._devices = body["resources"].get("devices", [])
        child = self._blanks.pop(0) if self._blanks else None
        if child is not None:
            self._failures = 0
            self._loop.unwatch(child.channel.fileno())
        self._changed()
        return child

    def clear(self) -> None:
        """Ends all blanks and removes their cgroups."""
        self._target = 0
        while self._blanks:
            child = self._blanks.pop()
            self._loop.unwatch(child.channel.fileno())
            self._end(child)

    def refill_later(self) -> None:
        """Makes new ones when nothing else is to be done, as far as they are wanted."""
        if len(self._blanks) < min(self._target, self._listener.vacancies()):
            self._loop.when_idle(_IDLE_S, self._refill)

    def _changed(self) -> None:
        self._listener.blanks_changed([child.pid for child in self._blanks])
        self.refill_later()

    def _refill(self) -> None:
        if len(self._blanks) >= min(self._target, self._listener.vacancies()):
            return
        try:
            self._blanks.append(self._make())
        except (ShoalError, OSError) as error:
            self._failed(str(error))
        self._changed()

    def _make(self) -> Child:
        self._serial += 1
        cgroup = self._layout.create(f"{self._parent}/blank-{os.getpid()}-{self._serial}")
        child = None
        try:
            child = clone_child(self._flags)
            child.cgroup = cgroup
            entrances = open_entrances(cgroup, self._layout)
            try:
                # Not "cgroup": that one is reached when the container's limits and device rules are set, at its launch.
                send_nowait(child.channel, encode("go", 0, {"barrier": "blank"}), entrances)
            finally:
                close_all(entrances)
            if self._devices:
                cgroup.apply({"devices": self._devices})
                child.devices = self._devices
            if self._expected:
                send_nowait(child.channel, encode("prepare", 0, {"steps": self._expected}))
        except (ShoalError, OSError):
            if child is not None:
                child.kill()
            cgroup.remove()
            raise
        self._loop.watch(child.channel.fileno(), READABLE, self._find_dead)
        return child

    def _find_dead(self, _events: int) -> None:
        """A blank only speaks by dying (somebody killed it)."""
        for child in tuple(self._blanks):
            if os.waitid(os.P_PIDFD, child.pidfd.fileno(), os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None:
                self._blanks.remove(child)
                self._loop.unwatch(child.channel.fileno())
                self._end(child)
                self._failed("it died before it was used")
        self._changed()

    def _failed(self, why: str) -> None:
        self._failures += 1
        self._listener.log("warning", f"blank container: {why}")
        if self._failures >= _MAX_FAILURES:
            self._target = 0

    def _end(self, child: Child) -> None:
        try:
            child.kill()
            if child.cgroup is not None:
                child.cgroup.remove()
        except (ShoalError, OSError) as error:
            self._listener.log("warning", f"blank container {child.pid}: {error}")
