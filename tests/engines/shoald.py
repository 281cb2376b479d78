"""shoald as a user would start it, privately: own data root, exec root and socket."""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
from pathlib import Path

from tests.engines import leaks
from tests.engines.engine import Engine

SOURCE = Path(__file__).resolve().parents[2] / "src"


class Shoald(Engine):
    """A private shoald."""

    name = "shoald"

    def __init__(self, *flags: str) -> None:
        super().__init__()
        self.flags = flags

    @property
    def instance(self) -> str:
        """The name that its kernel objects carry, as it derives it from its exec root."""
        return hashlib.sha256(self.exec_root.encode()).hexdigest()[:8]

    def command(self) -> list[str]:
        """The daemon, run by the interpreter that runs the tests."""
        roots = ["--data-root", self.data_root, "--exec-root", self.exec_root, "-H", f"unix://{self.socket}"]
        return [sys.executable, "-m", "shoal.daemon.main", *roots, *self.flags]

    def environment(self) -> dict[str, str]:
        """With this checkout's sources first."""
        return super().environment() | {
            "PYTHONPATH": os.pathsep.join([str(SOURCE), *filter(None, [os.getenv("PYTHONPATH")])])
        }

    def supervisor_pids(self) -> list[int]:
        """The processes of this engine that host containers."""
        return leaks.supervisor_pids(self.exec_root)

    def clear(self) -> None:
        """Its build cache too: what a case has built must not count in the next one."""
        super().clear()
        self.request("POST", "/build/prune?all=1")

    def close(self) -> None:
        """Stop it, and assert that nothing of it is left on the machine.

        Raises: AssertionError that lists each thing left behind.
        """
        try:
            self.shutdown()
            trash = [self.directory / "data/tmp/containers", self.directory / "data/tmp/image/trash"]
            if any(True for directory in trash for _ in directory.glob("*")):
                self.start()  # shoald left before it had deleted what removals put aside: the next start does
                self.stop()
            left = leaks.wait_until_clean(self.instance, str(self.directory))
            assert not left, f"{self.name} left behind:\n" + "\n".join(left) + "\n" + self.log[-3000:]
        finally:
            if self.process is not None:
                self.kill9()
            leaks.purge(self.instance, str(self.directory))
            shutil.rmtree(self.directory, ignore_errors=True)
