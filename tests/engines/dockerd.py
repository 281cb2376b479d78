"""Debian's dockerd, the reference, in a mount and a network namespace of its own so that the host stays as it was."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import time
from pathlib import Path

from tests.engines.engine import Engine

NEEDED = ("dockerd", "containerd", "unshare", "ip", "iptables")


def missing_programs() -> list[str]:
    """What this machine lacks for a private dockerd."""
    return [program for program in NEEDED if shutil.which(program) is None]


def is_installed() -> bool:
    """Whether this machine has all that a private dockerd takes."""
    return not missing_programs()


class Dockerd(Engine):
    """A private dockerd with its own containerd, iptables rules, bridge and cgroup parent."""

    name = "dockerd"
    own_network = True

    @property
    def cgroup_parent(self) -> str:
        """The cgroup below which its containers live."""
        return self.directory.name

    def command(self) -> list[str]:
        """dockerd, started in new network and mount namespaces with the loopback up."""
        arguments = [f"--data-root={self.data_root}", f"--exec-root={self.exec_root}", f"-H=unix://{self.socket}"]
        arguments += [f"--pidfile={self.directory}/pid", f"--cgroup-parent=/{self.cgroup_parent}"]
        inner = f"ip link set lo up && exec dockerd {' '.join(arguments)}"
        return ["unshare", "-n", "-m", "--propagation", "private", "sh", "-c", inner]

    def close(self) -> None:
        """Stop it, then end what it left: shims, its containerd, and empty cgroups."""
        super().close()
        self._end_stragglers()
        for path in Path("/sys/fs/cgroup").glob(f"*/{self.cgroup_parent}"):
            with contextlib.suppress(OSError):
                path.rmdir()
        with contextlib.suppress(OSError):
            Path("/sys/fs/cgroup", self.cgroup_parent).rmdir()
        shutil.rmtree(self.directory, ignore_errors=True)

    def _end_stragglers(self) -> None:
        marker = os.fsencode(self.directory)
        deadline = time.monotonic() + 5
        while time.monotonic() < deadline:
            left = [pid for pid in map(int, filter(str.isdigit, os.listdir("/proc"))) if marker in _cmdline(pid)]
            if not left:
                return
            for pid in left:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.05)  # they are not our children: only /proc tells when they are gone


def _cmdline(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""
