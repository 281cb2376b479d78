"""Runs the command of a health check once, as an exec in its container.

exec ─▶ it ends in time ─▶ its exit code and output are the result
   │  └▶ it does not ───▶ the result tells so, it is killed, and waited for: probes that hang must not pile up
   └──▶ it cannot be started ─▶ the reason is the result
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import signal
from collections.abc import Callable

from shoal.api.exec import ExecConfig
from shoal.api.timestamps import format_duration
from shoal.engine.clock import Clock
from shoal.engine.container.record import ContainerRecord
from shoal.engine.execs import ExecRecord, Execs
from shoal.engine.health.check import HealthCheck
from shoal.engine.health.output import ProbeOutput
from shoal.engine.health.record import ProbeResult
from shoal.errors import Conflict, NotFound, ShoalError, Unavailable
from shoal.runtime.driver import AttachOptions, Client, RuntimeDriver

_log = logging.getLogger(__name__)
_NS = 1_000_000_000
# Many checks may be due at once, as when shoald comes back: more starts side by side would only delay each other.
_STARTS_AT_ONCE = 4
_OUTPUT_PATIENCE_S = 1.0
_KILL_PATIENCE_S = 60.0
_MARK_LENGTH = 16
_STREAMS = AttachOptions(stdin=False, stdout=True, stderr=True, mux=False)


class Prober:
    """Runs probes."""

    def __init__(self, execs: Execs, driver: RuntimeDriver, clock: Clock) -> None:
        self._execs = execs
        self._driver = driver
        self._clock = clock
        self._starting = asyncio.Semaphore(_STARTS_AT_ONCE)

    async def probe(self, container: ContainerRecord, check: HealthCheck, tell: Callable[[ProbeResult], None]) -> None:
        """Returns when the probe is over; `tell` gets its result, or nothing where that says nothing of the container.

        When it is cancelled the probe is killed.
        """
        config = ExecConfig(cmd=list(check.command), attach_stdout=True, attach_stderr=True)
        try:
            output = ProbeOutput()
        except OSError as problem:
            _log.warning("container %s was not probed: %s", container.name, problem)  # out of descriptors: next time
            return
        probe: ExecRecord | None = None
        with output:
            started_ns = self._clock()
            try:
                async with self._starting:
                    started_ns = self._clock()
                    probe = self._execs.prepare(container, config, mark=mark_of(container.id))
                    await self._execs.run(probe, None, Client(_STREAMS, output.hand_over()))
                result = await self._result(probe, output, check, started_ns)
                tell(result)
                if not probe.ended.is_set():
                    await self._await_killed(probe)
            except Conflict:
                pass  # the container has just ended
            except Unavailable as problem:
                _log.warning("container %s was not probed: %s", container.name, problem)
            except ShoalError as problem:
                tell(ProbeResult(started_ns, self._clock(), -1, str(problem)))
            finally:
                if probe is not None:
                    await self._end(probe)

    async def _result(self, probe: ExecRecord, output: ProbeOutput, check: HealthCheck, started_ns: int) -> ProbeResult:
        try:
            await asyncio.wait_for(probe.ended.wait(), check.timeout_ns / _NS)
        except TimeoutError:
            said = f"Health check exceeded timeout ({format_duration(check.timeout_ns)})"
            text = f"{said}: {output.text}" if output.text else said
            return ProbeResult(started_ns, self._clock(), -1, text)
        await output.wait_complete(_OUTPUT_PATIENCE_S)
        code = -1 if probe.exit_code is None else probe.exit_code
        return ProbeResult(started_ns, self._clock(), code, output.text)

    async def _await_killed(self, probe: ExecRecord) -> None:
        await self._kill(probe.container.id, probe.id)
        try:
            await asyncio.wait_for(probe.ended.wait(), _KILL_PATIENCE_S)
        except TimeoutError:
            _log.warning("container %s: a health check that was killed does not end", probe.container.name)

    async def _end(self, probe: ExecRecord) -> None:
        """Leaves nothing of the probe behind: neither its process nor its record."""
        if probe.running:
            await self._kill(probe.container.id, probe.id)
        self._execs.drop(probe)

    async def kill_left_over(self, container_id: str, exec_ids: tuple[str, ...]) -> None:
        """Kills those of a container's execs that are probes of a shoald which was killed: nobody awaits them."""
        for id in exec_ids:
            if id.startswith(mark_of(container_id)):
                await self._kill(container_id, id)

    async def _kill(self, container_id: str, exec_id: str) -> None:
        try:
            await self._driver.signal(container_id, exec_id, signal.SIGKILL, group=True)
        except NotFound:
            pass  # it is just being started, and killed then
        except ShoalError as problem:
            _log.warning("cannot kill a health check of container %s: %s", container_id, problem)


def mark_of(container_id: str) -> str:
    """What the ids of a container's probes begin with: by it they are known again without being written down."""
    return hashlib.sha256(f"health check of {container_id}".encode()).hexdigest()[:_MARK_LENGTH]
