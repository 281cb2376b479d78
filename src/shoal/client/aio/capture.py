"""Running a command in a container and collecting what it writes, for programs rather than people."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from shoal.api import stdcopy
from shoal.client.aio.client import Client


@dataclass(frozen=True, slots=True)
class Captured:
    """How a command ended, and its output."""

    exit_code: int
    stdout: bytes
    stderr: bytes

    def text(self) -> str:
        """Its standard output as text."""
        return self.stdout.decode("utf-8", "replace")


async def exec_captured(client: Client, ref: str, command: Sequence[str]) -> Captured:
    """Runs `command` in the running container `ref` and waits for its end. Raises: as `Client.call`."""
    exec_id = await client.execs.create(ref, {"Cmd": list(command), "AttachStdout": True, "AttachStderr": True})
    stream = await client.execs.start(exec_id, tty=False)
    decoder = stdcopy.StdcopyDecoder()
    collected = {stdcopy.STDOUT: bytearray(), stdcopy.STDERR: bytearray()}
    try:
        while data := await stream.receive():
            for which, payload in decoder.feed(data):
                collected.get(which, collected[stdcopy.STDERR]).extend(payload)
    finally:
        stream.close()
    state = await client.execs.inspect(exec_id)
    return Captured(state.number("ExitCode"), bytes(collected[stdcopy.STDOUT]), bytes(collected[stdcopy.STDERR]))
