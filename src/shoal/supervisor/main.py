"""The supervisor's process: how it arranges itself before it serves.

Started by shoald as `python -SI bootstrap.py DIRECTORY FD BUILD`, where FD is the listening socket DIRECTORY/socket
and BUILD names the code, for shoald to know it again.
stderr is a file in that directory: what is written there is a bug, and shoald shows it.
"""

from __future__ import annotations

import _socket
import gc
import os
import signal
import sys

from shoal.linux.allocator import keep_freed_memory
from shoal.linux.libc import close_range
from shoal.linux.prctl import set_child_subreaper, set_dumpable, set_name
from shoal.supervisor.child import describe_error
from shoal.supervisor.loop import Loop
from shoal.supervisor.service import Service

# Output goes through in blocks of a few hundred KiB, again and again.
_KEPT_BYTES = 2 << 20


def main(arguments: list[str]) -> int:
    """Serves until there is nothing to do any more; the process's exit status."""
    directory, listener_fd, build = arguments[0], int(arguments[1]), arguments[2]
    _arrange(listener_fd)
    keep_freed_memory(_KEPT_BYTES)
    _write_pid(directory)
    loop = Loop()
    service = Service(loop, _socket.socket(fileno=listener_fd), build)
    loop.on_error = lambda error: _report(service, error)
    # What exists now stays for good: the collector need not look at it, and its pages stay shared with the children.
    gc.collect()
    gc.freeze()
    loop.run()
    _remove(directory)
    return 0


def _arrange(listener_fd: int) -> None:
    """Makes the process one that survives shoald and tells containers nothing."""
    set_name("shoal-supervis")
    # What a container without a pid namespace of its own leaves behind is to be collected here (strays.py).
    set_child_subreaper()
    # Before any container is joined: nobody in it may trace this process or look at its descriptors.
    set_dumpable(False)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    if os.getsid(0) != os.getpid():
        os.setsid()
    os.umask(0o022)
    os.chdir("/")
    os.set_inheritable(listener_fd, False)
    close_range(3, listener_fd - 1) if listener_fd > 3 else None
    close_range(listener_fd + 1)


def _write_pid(directory: str) -> None:
    """For people and for tests; shoald asks by the socket."""
    fd = os.open(f"{directory}/pid.tmp", os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    os.write(fd, f"{os.getpid()}\n".encode())
    os.close(fd)
    os.rename(f"{directory}/pid.tmp", f"{directory}/pid")


def _report(service: Service, error: BaseException) -> None:
    body = describe_error(error, "supervisor")
    text = f"{body['what']}: {body['why']}"
    sys.stderr.write(f"{text}\n")
    service.log("error", text)


def _remove(directory: str) -> None:
    """Removes what is this supervisor's; what it wrote to stderr stays for shoald."""
    for name in ("socket", "pid"):
        try:
            os.unlink(f"{directory}/{name}")
        except FileNotFoundError:
            pass  # shoald was faster
    try:
        if os.stat(f"{directory}/stderr").st_size == 0:
            os.unlink(f"{directory}/stderr")
        os.rmdir(directory)
    except OSError:
        pass  # there is something to read, or shoald was faster
