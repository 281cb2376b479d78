"""What a dead supervisor leaves: a start that had been answered just before its death is not taken for a failed one."""

from __future__ import annotations

import asyncio
import subprocess
from pathlib import Path
from typing import Any, cast

from shoal.linux.pidfd import pidfd_open
from shoal.runtime.driver import Exit
from shoal.runtime.native.cgroups import CgroupSweeper
from shoal.runtime.native.hosted import Hosted, HostedTable
from shoal.runtime.native.pool import SupervisorPool
from shoal.runtime.native.succession import Succession
from shoal.runtime.native.supervisors import Supervisor

KEY = ("it", "exec")


class _Heir:
    """A supervisor that adopts whatever it is asked to, and the pool that has it."""

    def __init__(self) -> None:
        self.connected = self
        self.adopted: list[str] = []

    async def request(self, kind: str, body: dict[str, Any], fds: list[int]) -> None:
        """Notes the request."""
        assert fds
        self.adopted.append(f"{kind} {body['pid']}")

    async def with_room(self, id: str) -> _Heir:
        """Itself."""
        assert id == KEY[0]
        return self

    def remove(self, supervisor: Supervisor) -> None:
        """As the pool does with a dead one."""

    def remove_blanks_of(self, pid: int) -> None:
        """As the sweeper does."""


def test_process_whose_start_was_answered_behind_its_supervisors_death_goes_on(tmp_path: Path) -> None:
    """Nothing is killed while a start is still seen through; what turns out to run is adopted."""
    program = subprocess.Popen(["sleep", "1000"])
    try:
        heir = asyncio.run(_die_while_starting(tmp_path, program.pid))
        assert heir.adopted == [f"adopt {program.pid}"]
        assert program.poll() is None
    finally:
        program.kill()
        program.wait()


async def _die_while_starting(directory: Path, pid: int) -> _Heir:
    heir, table = _Heir(), HostedTable()
    dead = Supervisor(1, directory)
    start: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    dead.starts.add(start)
    dead.starting[KEY] = pid

    def no_exit(hosted: Hosted, exit: Exit) -> None:
        raise AssertionError(f"{hosted.id} has not ended: {exit}")

    succession = Succession(cast(SupervisorPool, heir), table, cast(CgroupSweeper, heir), lambda *_: None, no_exit)
    succession.supervisor_died(dead)
    await asyncio.sleep(0.1)  # long enough for what must not happen
    # As the driver does when it takes the answer up.
    hosted = Hosted(dead, None, key=KEY)
    hosted.pid, hosted.pidfd = pid, pidfd_open(pid)
    hosted.ready.clear()
    del dead.starting[KEY]
    dead.late.append(hosted)
    dead.starts.discard(start)
    start.set_result(None)
    async with asyncio.timeout(10):
        await hosted.ready.wait()
    await succession.close()
    hosted.close()
    return heir
