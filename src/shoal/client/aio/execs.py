"""Calls on execs: further processes in a running container."""

from __future__ import annotations

from shoal.client.document import Document, Json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from shoal.client.aio.caller import Caller
    from shoal.client.aio.http import Hijacked


class Execs:
    """The exec calls of one client. Docker API v1.50, tag Exec. All raise as `Client.call`."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    async def create(self, ref: str, config: Mapping[str, Json]) -> str:
        """The id of a new exec in the container `ref`."""
        answer = await self._caller.document("POST", f"/containers/{ref}/exec", body=config)
        return answer.text("Id")

    async def start(self, exec_id: str, *, tty: bool, size: tuple[int, int] | None = None) -> Hijacked:
        """Starts it with its streams attached; the caller closes them. `size` is (rows, cols) of its terminal."""
        return await self._caller.hijack(f"/exec/{exec_id}/start", body=_start_body(detach=False, tty=tty, size=size))

    async def start_detached(self, exec_id: str, *, tty: bool) -> None:
        """Starts it without any stream."""
        await self._caller.perform("POST", f"/exec/{exec_id}/start", body=_start_body(detach=True, tty=tty, size=None))

    async def inspect(self, exec_id: str) -> Document:
        """`Running`, `ExitCode`, and the rest."""
        return await self._caller.document("GET", f"/exec/{exec_id}/json")

    async def resize(self, exec_id: str, *, rows: int, cols: int) -> None:
        """Sets the size of its terminal."""
        await self._caller.perform("POST", f"/exec/{exec_id}/resize", query={"h": str(rows), "w": str(cols)})


def _start_body(*, detach: bool, tty: bool, size: tuple[int, int] | None) -> dict[str, Json]:
    body: dict[str, Json] = {"Detach": detach, "Tty": tty}
    if size is not None and tty:
        body["ConsoleSize"] = [size[0], size[1]]
    return body
