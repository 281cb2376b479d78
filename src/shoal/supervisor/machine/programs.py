"""The programs of a virtual machine, QEMU and virtiofsd, as the monitor's children; and the guest's console."""

from __future__ import annotations

import _socket
import errno
import os
import signal

from shoal.errors import Unavailable
from shoal.supervisor.loop import READABLE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from shoal.supervisor.loop import Loop

_KEPT_BYTES = 8192
_SHOWN_LINES = 12
_CAUSES = ("Kernel panic", "BUG:", "Out of memory")
_READ_BYTES = 65536


def spawn(command: list[str], errors: int, descriptors: Mapping[str, int], words: Mapping[str, str]) -> int:
    """The pid of a program that gets these descriptors, put into its command line for "{name}", and nothing else.

    Its standard error is `errors`. Raises: Unavailable where there is no such program.
    """
    values = {name: str(number) for name, number in descriptors.items()} | dict(words)
    arguments = [filled(word, values) for word in command]
    actions: list[tuple[int, ...] | tuple[int, int, str, int, int]] = [
        (os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0),
        (os.POSIX_SPAWN_OPEN, 1, "/dev/null", os.O_WRONLY, 0),
        (os.POSIX_SPAWN_DUP2, errors, 2),
    ]
    # Onto itself: clears close-on-exec (posix_spawn_file_actions_adddup2(3)).
    actions += [(os.POSIX_SPAWN_DUP2, number, number) for number in descriptors.values()]
    try:
        return os.posix_spawn(
            arguments[0],
            arguments,
            {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C"},
            file_actions=actions,
            setsigmask=[],
            setsigdef=signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP},
        )
    except OSError as error:
        if error.errno != errno.ENOENT:
            raise
        raise Unavailable(f"{arguments[0]} is missing", fix="apt-get install -y qemu-system-x86") from None


def filled(word: str, values: Mapping[str, str]) -> str:
    """The word with the values in place of their names in braces."""
    for name, value in values.items():
        word = word.replace(f"{{{name}}}", value)
    return word


class Console:
    """The end of what the guest's kernel says on its console, and QEMU on its standard error: for whoever asks why."""

    __slots__ = ("_kept", "_loop", "_ours", "theirs")

    def __init__(self, loop: Loop) -> None:
        self._loop = loop
        ours, theirs = _socket.socketpair(_socket.AF_UNIX, _socket.SOCK_STREAM | _socket.SOCK_CLOEXEC)
        self._ours, self.theirs = ours.detach(), theirs.detach()
        self._kept = b""
        os.set_blocking(self._ours, False)
        loop.watch(self._ours, READABLE, self._readable)

    def started(self) -> None:
        """The machine has its end: ours of it is given back."""
        os.close(self.theirs)
        self.theirs = -1

    def read_rest(self) -> None:
        """Takes what is there still, of a machine that has ended."""
        while self._ours >= 0 and self._take():
            pass

    def last_words(self) -> str:
        """The last lines; before them those that say what a kernel died of, which dumps its registers behind it."""
        lines = [line.rstrip() for line in self._kept.decode("utf-8", "replace").splitlines() if line.strip()]
        causes = [line for line in lines[:-_SHOWN_LINES] if any(word in line for word in _CAUSES)]
        return "\n".join([*causes, *lines[-_SHOWN_LINES:]])

    def _readable(self, _events: int) -> None:
        self._take()

    def _take(self) -> bool:
        """Whether there was something."""
        try:
            data = os.read(self._ours, _READ_BYTES)
        except BlockingIOError:
            return False
        except OSError:
            data = b""
        if data:
            self._kept = (self._kept + data)[-_KEPT_BYTES:]
            return True
        self._loop.unwatch(self._ours)
        os.close(self._ours)
        self._ours = -1
        return False
