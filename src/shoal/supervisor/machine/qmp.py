"""QEMU's control line (QMP), as far as we need it: commands go out in order, and one event or an error is waited for.

Runs in a supervisor's child and in the maker of templates: nothing that reads JSON is imported for three commands.
"""

from __future__ import annotations

import _socket
import os

from shoal.supervisor.loop import READABLE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from shoal.supervisor.loop import Loop

_READ_BYTES = 65536
# Refuses to take RAM that both sides have in a file from the stream, where it is not; tells of the end by an event.
_CAPABILITIES = "".join(
    (
        '{"execute":"qmp_capabilities"}',
        '{"execute":"migrate-set-capabilities","arguments":{"capabilities":[',
        '{"capability":"events","state":true},{"capability":"x-ignore-shared","state":true}]}}',
    )
)


class Qmp:
    """Our end of the line of one QEMU; `theirs` is the descriptor that it gets."""

    __slots__ = ("_buffer", "_loop", "_ours", "_theirs", "on_error", "on_moved")

    def __init__(self, loop: Loop) -> None:
        self._loop = loop
        self._ours, self._theirs = _socket.socketpair(_socket.AF_UNIX, _socket.SOCK_STREAM | _socket.SOCK_CLOEXEC)
        self._buffer = b""
        self.on_error: Callable[[str], None] | None = None
        self.on_moved: Callable[[], None] | None = None
        loop.watch(self._ours.fileno(), READABLE, self._readable)
        self.execute(_CAPABILITIES)

    @property
    def theirs(self) -> int:
        """QEMU's end, until it has it."""
        return self._theirs.fileno()

    def started(self) -> None:
        """QEMU has its end."""
        self._theirs.close()

    def execute(self, commands: str) -> None:
        """Sends commands, which are small: a socket always has room for them."""
        try:
            self._ours.send(commands.encode())
        except BrokenPipeError:
            pass  # QEMU has ended, and whoever started it hears of that

    def hand_over(self, name: str, fd: int) -> None:
        """Gives QEMU a copy of a descriptor, which commands call `name`."""
        command = f'{{"execute":"getfd","arguments":{{"fdname":"{name}"}}}}'.encode()
        rights = [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, fd.to_bytes(4, "little"))]
        self._ours.sendmsg([command], rights)

    def close(self) -> None:
        """Nothing more is asked of it."""
        if self._ours.fileno() >= 0:
            self._loop.unwatch(self._ours.fileno())
            self._ours.close()

    def _readable(self, _events: int) -> None:
        try:
            data = os.read(self._ours.fileno(), _READ_BYTES)
        except OSError:
            data = b""  # QEMU has ended without having read everything
        if not data:
            self.close()
            return
        *lines, self._buffer = (self._buffer + data).split(b"\n")
        for line in lines:
            self._told(line)

    def _told(self, line: bytes) -> None:
        if b'"error":' in line or b'"status": "failed"' in line:
            if self.on_error is not None:
                self.on_error(line.decode(errors="replace").strip())
        elif b'"MIGRATION"' in line and b'"status": "completed"' in line and self.on_moved is not None:
            self.on_moved()
