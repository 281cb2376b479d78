"""What a probe writes: the first 4096 bytes kept, the rest read and thrown away, so that the probe never waits."""

from __future__ import annotations

import asyncio
import socket

from shoal.linux.fd import Fd

_KEPT_BYTES = 4096
_READ_BYTES = 65536


class ProbeOutput:
    """The reading end of a connection whose other end a supervisor writes to. Made on the event loop."""

    def __init__(self) -> None:
        self._socket, other = socket.socketpair()
        self._socket.setblocking(False)
        other.setblocking(False)
        self._client = Fd(other.detach())
        self._kept = bytearray()
        self._is_cut = False
        self._complete = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._socket, self._read)

    def __enter__(self) -> ProbeOutput:
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.remove_reader(self._socket)
        self._socket.close()
        self._client.close()

    def hand_over(self) -> Fd:
        """The other end, the caller's from here on."""
        client, self._client = self._client, Fd(-1)
        return client

    def _read(self) -> None:
        try:
            data = self._socket.recv(_READ_BYTES)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            data = b""  # its supervisor has died
        if not data:
            self._loop.remove_reader(self._socket)
            self._complete.set()
            return
        room = _KEPT_BYTES - len(self._kept)
        self._kept += data[:room]
        self._is_cut = self._is_cut or len(data) > room

    async def wait_complete(self, timeout_s: float) -> None:
        """Returns when all output has come, or after `timeout_s` all the same."""
        try:
            await asyncio.wait_for(self._complete.wait(), timeout_s)
        except TimeoutError:
            pass  # a process that the probe has left behind still has it open

    @property
    def text(self) -> str:
        """The output so far, with dots at the end where there was more."""
        return bytes(self._kept).decode(errors="replace") + ("..." if self._is_cut else "")
