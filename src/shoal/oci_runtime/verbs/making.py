"""`create`, `run` and `start`: a container out of a bundle, and its program."""

from __future__ import annotations

import os
import signal

from shoal.errors import InvalidArgument, ShoalError, Unsupported
from shoal.oci_runtime.arguments import Invocation
from shoal.oci_runtime.console import Foreground
from shoal.oci_runtime.ending import destroy
from shoal.oci_runtime.launch import Container, LaunchOptions, launch
from shoal.oci_runtime.report import Report
from shoal.oci_runtime.starting import run_poststart

# What a call inherits beside its standard streams, at most: SCM_RIGHTS and RLIMIT_NOFILE are not far from it.
_MOST_KEPT = 512


def create(call: Invocation, report: Report) -> int:
    """Makes the container, and leaves it waiting for `start`."""
    options = _options(call)
    container = launch(call.root, options, report)
    console = container.conversation.console if container.conversation is not None else None
    if console is not None and not options.console_socket:
        _end(container, report)
        raise InvalidArgument(
            "cannot allocate tty if shoal-runtime will detach without setting console socket",
            fix="give --console-socket",
        )
    container.let_go()
    return 0


def run(call: Invocation, report: Report) -> int:
    """Makes the container and lets its program run; its exit code, or 0 at once when detached."""
    options, detach = _options(call), call.flags.switch("detach")
    if options.console_socket and not detach:
        raise InvalidArgument("cannot use console socket if shoal-runtime will not detach or allocate tty")
    container = launch(call.root, options, report)
    conversation = container.conversation
    assert conversation is not None
    assert container.pidfd is not None
    try:
        if detach and conversation.console is not None and not options.console_socket:
            raise InvalidArgument("cannot allocate tty if shoal-runtime will detach without setting console socket")
        foreground = None if detach else Foreground(container.pidfd, conversation.console)
        container.start()
        run_poststart(container.spec.hooks, container.record)
    except ShoalError:
        _end(container, report)
        raise
    if foreground is None:
        return 0
    container.place.unlock()
    code = foreground.wait()
    if not call.flags.switch("keep"):
        container.place.lock()
        destroy(container.place, container.record, report)
    return code


def _options(call: Invocation) -> LaunchOptions:
    flags = call.flags
    options = LaunchOptions(call.only_id(), flags.text("bundle", "."))
    options.console_socket = flags.text("console-socket")
    options.pid_file = flags.text("pid-file")
    options.pivot = not flags.switch("no-pivot")
    options.new_keyring = not flags.switch("no-new-keyring")
    options.rootless = call.rootless
    options.kept = kept_descriptors(flags.number("preserve-fds"))
    refuse_systemd(call)
    return options


def kept_descriptors(count: int) -> range:
    """The descriptors that the program gets: 3 and `count` of them, those of socket activation included.

    Raises: InvalidArgument when one of them is not open. sd_listen_fds(3).
    """
    listening = os.environ.get("LISTEN_FDS", "")
    count += int(listening) if listening.isascii() and listening.isdigit() else 0
    if not 0 <= count <= _MOST_KEPT:
        raise InvalidArgument(f"cannot preserve {count} descriptors", why=f"it is from 0 to {_MOST_KEPT}")
    for fd in range(3, 3 + count):
        try:
            os.fstat(fd)
        except OSError:
            raise InvalidArgument(f"unable to stat preserved-fd {fd - 2} (of {count})", why="it is not open") from None
    return range(3, 3 + count)


def refuse_systemd(call: Invocation) -> None:
    """Raises: Unsupported for `--systemd-cgroup`: what systemd does not know of, it may reset at its next reload."""
    if call.options.switch("systemd-cgroup"):
        raise Unsupported(
            "systemd cgroup flag passed, but systemd support for managing cgroups is not available",
            why="shoal-runtime makes control groups itself",
            fix="leave --systemd-cgroup out, and let the engine use the driver cgroupfs",
        )


def _end(container: Container, report: Report) -> None:
    """Ends and forgets a container that could not go on."""
    if container.conversation is not None:
        container.conversation.close()
    if container.pidfd is not None:
        os.kill(container.record.pid, signal.SIGKILL)
        os.waitpid(container.record.pid, 0)
        container.pidfd.close()
    destroy(container.place, container.record, report)
