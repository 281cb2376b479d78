"""Further commands in a running container."""

from __future__ import annotations

from collections.abc import Mapping

from shoal.aio.streams import Attachment
from shoal.client.aio.client import Client
from shoal.client.aio.endings import pause, time_limit
from shoal.client.aio.http import Hijacked
from shoal.client.chunks import Collector
from shoal.client.document import Document, Json
from shoal.client.results import CommandTimedOut, ExecFailed, Output
from shoal.errors import TimedOut

_POLL_S = 0.01


class Exec(Attachment):
    """A command that runs in a container beside its own, with its streams attached."""

    def __init__(self, client: Client, exec_id: str, hijacked: Hijacked, *, tty: bool) -> None:
        super().__init__(hijacked, tty=tty)
        self._client = client
        self.id = exec_id

    async def __aenter__(self) -> Exec:
        return self

    async def inspect(self) -> Document:
        """What the engine knows of it: `Running`, `ExitCode`, `Pid`. Docker API v1.50 ExecInspect."""
        return await self._client.execs.inspect(self.id)

    async def wait(self) -> int:
        """Its exit code, once it has ended. Output that was not read by then is dropped."""
        async for _ in self:
            pass
        # The streams may be closed by a command that still runs, and nothing announces its end.
        while (state := await self.inspect()).flag("Running"):
            await pause(_POLL_S)
        return state.number("ExitCode")

    async def resize(self, *, rows: int, cols: int) -> None:
        """Sets the size of its terminal."""
        await self._client.execs.resize(self.id, rows=rows, cols=cols)


async def run_exec(
    client: Client, ref: str, config: Mapping[str, Json], data: bytes | None, *, check: bool, timeout_s: float | None
) -> Output:
    """Runs a command in the container `ref` to its end. Raises: ExecFailed, CommandTimedOut, and as `Client.call`."""
    collector = Collector()
    words = config.get("Cmd")
    shown = " ".join(map(str, words)) if isinstance(words, list) else ""
    try:
        async with time_limit(timeout_s):
            exec_id = await client.execs.create(ref, config)
            tty = config.get("Tty") is True
            async with Exec(client, exec_id, await client.execs.start(exec_id, tty=tty), tty=tty) as running:
                await running.converse(data, collector.take)
                exit_code = await running.wait()
    except TimedOut:
        what = f"`{shown}` in {ref[:12]} did not end within {timeout_s} s"
        raise CommandTimedOut(what, stdout=collector.stdout, stderr=collector.stderr) from None
    output = Output(exit_code, collector.stdout, collector.stderr)
    if check and exit_code:
        raise ExecFailed(f"`{shown}` in {ref[:12]} ended with exit code {exit_code}", output)
    return output
