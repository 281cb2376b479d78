"""A control group of either version: what both have in common.

Used by the supervisor and by shoald. A Cgroup is a name for directories, it owns nothing: it can be made as
often as wanted from the path, and is gone from the kernel only after `remove`.
"""

from __future__ import annotations

import errno
import os
import signal
import time

from shoal.errors import SyscallError, Unavailable, Unsupported
from shoal.linux.cgroups.files import read_pids, tree, write_value
from shoal.linux.fd import Fd
from shoal.linux.pidfd import signal_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from shoal.linux.cgroups.settings import Section, Setting
    from shoal.linux.cgroups.usage import Usage

# An exiting process leaves its group some moments behind its parent's wait: how long to go on trying rmdir.
_REMOVE_TRIES = 40
_REMOVE_PAUSE_S = 0.005
# Once for the group as it is, once more behind the groups below it.
_NOWAIT_TRIES = 2
FREEZE_S = 5.0
_FREEZE_PAUSE_S = 0.001
# Others may remove the group above, or make the same one, between two calls; nobody does it for long.
_MAKE_TRIES = 8
# A process that forks while we read can hide a child once; each round catches those of the one before.
_KILL_ROUNDS = 16


class Cgroup:
    """One control group. Subclasses: V1Cgroup (a directory a hierarchy) and V2Cgroup (one directory)."""

    __slots__ = ("path",)

    def __init__(self, path: str) -> None:
        self.path = path

    def directories(self) -> list[str]:
        """Its directories, one for each hierarchy."""
        raise NotImplementedError

    def main_directory(self) -> str:
        """The directory in which its processes are looked up."""
        return self.directories()[0]

    def directory_of(self, controller: str) -> str | None:
        """Its directory under `controller`; None when that is not available."""
        raise NotImplementedError

    def exists(self) -> bool:
        """Whether the group is there."""
        return os.path.isdir(self.main_directory())

    def attach(self, pid: int) -> None:
        """Move the process into the group. On version 1 the first move after a quiet moment takes 6 to 14 ms.

        Raises: SyscallError (ESRCH: no such process).
        """
        for directory in self.directories():
            write_value(directory, "cgroup.procs", str(pid))

    def directory_fd(self) -> Fd:
        """The directory for CLONE_INTO_CGROUP, owned by the caller; version 2 only.

        Raises: Unsupported on version 1; SyscallError.
        """
        raise Unsupported("a process can't be cloned into a cgroup of version 1", fix="attach it")

    def apply(self, resources: Section) -> list[str]:
        """Limit the group as `linux.resources` of the OCI runtime spec says; warnings for what is missing here.

        Raises: SyscallError, InvalidArgument: the kernel refused a value.
        """
        raise NotImplementedError

    def _write_settings(self, settings: list[Setting]) -> list[str]:
        """Make the writes; warnings for those whose file does not exist.

        Some values are valid only next to others (memory against memory with swap, quota against period), and
        which must go first depends on the values before: what fails with EINVAL is tried again behind the
        rest.

        Raises: SyscallError.
        """
        warnings: list[str] = []
        postponed: list[Setting] = []
        for setting in settings:
            if not self._write(setting, warnings, postponed):
                postponed.append(setting)
        for setting in postponed:
            self._write(setting, warnings, None)
        return list(dict.fromkeys(warnings))

    def _write(self, setting: Setting, warnings: list[str], postponed: list[Setting] | None) -> bool:
        """Whether that setting is done with; False when it is to be tried again."""
        directory = self.directory_of(setting.controller) if setting.controller else None
        if directory is None:
            warnings.append(setting.warning())
            return True
        for file, value in ((setting.file, setting.value), setting.alternative or ("", "")):
            if not file:
                continue
            try:
                write_value(directory, file, value)
                return True
            except SyscallError as error:
                if error.errno == errno.EINVAL and postponed is not None:
                    return False
                # cgroupfs answers EACCES to the creation that a write to a missing file would be; EOPNOTSUPP:
                # the file is there, but the machine can't (real-time scheduling, swap accounting, weights).
                if error.errno not in (errno.ENOENT, errno.EACCES, errno.EOPNOTSUPP):
                    raise self._explained(error, setting) from None
        warnings.append(setting.warning())
        return True

    def _explained(self, error: SyscallError, setting: Setting) -> SyscallError:
        """`error` with what would help, where its text alone would not tell."""
        if error.errno == errno.EBUSY and setting.controller == "memory":
            error.fix = "the group uses more than that: stop processes in it, or allow more"
        elif error.errno == errno.EINVAL and setting.controller == "cpuset":
            error.fix = "see `lscpu` for the processors and memory nodes of this machine"
        return error

    def pids(self) -> list[int]:
        """The processes in the group and the groups below it; empty when it is gone."""
        found: list[int] = []
        for directory in tree(self.main_directory()):
            found += read_pids(directory)
        return sorted(set(found))

    def kill(self, sig: int) -> None:
        """Send `sig` to every process in the group and below, those that fork meanwhile included.

        It does not wait for their end. An empty group is no error.

        Raises: SyscallError.
        """
        self._signal_all(sig)

    def _signal_all(self, sig: int) -> None:
        """Signal what is in the group until no new process turns up."""
        done: set[int] = set()
        for _ in range(_KILL_ROUNDS):
            fresh = [pid for pid in self.pids() if pid not in done]
            if not fresh:
                return
            for pid in fresh:
                try:
                    os.kill(pid, sig)
                except ProcessLookupError:
                    pass  # it ended on its own
                except OSError as error:
                    raise SyscallError("kill", f"{pid} {signal_name(sig)}", error.errno or 0) from None
                done.add(pid)

    def freeze(self) -> None:
        """Stop every process in the group and below; done when it returns.

        Raises: SyscallError; Unavailable when they do not stop in time (it is thawed again then).
        """
        raise NotImplementedError

    def thaw(self) -> None:
        """Let the processes go on.

        Raises: SyscallError.
        """
        raise NotImplementedError

    def is_frozen(self) -> bool:
        """Whether the group, or one above it, is frozen."""
        raise NotImplementedError

    def _becomes_frozen(self, patience_s: float) -> bool:
        """Whether the group is frozen within that time."""
        deadline = time.monotonic() + patience_s
        while not self.is_frozen():
            if time.monotonic() > deadline:
                return False
            time.sleep(_FREEZE_PAUSE_S)
        return True

    def _does_not_freeze(self) -> Unavailable:
        return Unavailable(
            f"cgroup {self.path} does not freeze",
            why=f"a process has not stopped within {FREEZE_S:.0f} s",
            fix="look for processes in state D",
        )

    def oom_kills(self) -> int:
        """How many processes of the group the kernel killed for want of memory; 0 where it does not count."""
        raise NotImplementedError

    def usage(self) -> Usage:
        """What the group has used; zeroes for what this kernel does not count."""
        raise NotImplementedError

    def rename(self, new_path: str) -> None:
        """Give the group another name under the same parent; its processes stay in it. Version 1 only.

        Raises: Unsupported on version 2; SyscallError (EEXIST: the name is taken).
        """
        raise Unsupported(
            f"a cgroup of version 2 can't be renamed to {new_path}", fix="clone the process into its cgroup"
        )

    def remove(self) -> None:
        """Remove the group and the empty groups below it; a missing one is no error. It kills nothing.

        A group whose last process just ends is tried for 0.2 s.

        Raises: SyscallError (EBUSY: there are processes in it).
        """
        self._remove(_REMOVE_TRIES)

    def remove_nowait(self) -> None:
        """remove() for an event loop: a group that is still in use is EBUSY at once.

        Raises: SyscallError (EBUSY: there are processes in it, or were a moment ago).
        """
        self._remove(_NOWAIT_TRIES)

    def _remove(self, tries: int) -> None:
        for directory in self.directories():
            remove_tree(directory, tries)


def remove_tree(directory: str, tries: int = _REMOVE_TRIES) -> None:
    """Remove a directory of cgroupfs with those below it; a missing one is no error.

    Raises: SyscallError (EBUSY: there are processes in it).
    """
    for attempt in range(tries):
        try:
            os.rmdir(directory)
            return
        except FileNotFoundError:
            return
        except OSError as error:
            if error.errno != errno.EBUSY or attempt + 1 == tries:
                raise SyscallError("rmdir", directory, error.errno or 0) from None
        if not _remove_below(directory) and attempt + 2 < tries:
            time.sleep(_REMOVE_PAUSE_S)


def _remove_below(directory: str) -> bool:
    """Remove the groups below, children first; whether there were some, and all went."""
    below = tree(directory)[1:]
    for group in reversed(below):
        try:
            os.rmdir(group)
        except OSError:
            return False  # busy: the next attempt tries again
    return bool(below)


def make_directory(directory: str) -> None:
    """Make a directory of cgroupfs and the missing ones above it; one that is left over is replaced if empty.

    Raises: SyscallError (EBUSY: there is such a group, with processes in it).
    """
    for _ in range(_MAKE_TRIES):
        try:
            os.mkdir(directory, 0o755)
            return
        except FileNotFoundError:
            make_directories(os.path.dirname(directory))
        except FileExistsError:
            remove_tree(directory)
        except OSError as error:
            raise SyscallError("mkdir", directory, error.errno or 0) from None
    raise SyscallError("mkdir", directory, errno.EEXIST)


def make_directories(directory: str) -> None:
    """Make a directory of cgroupfs with the missing ones above it; existing ones stay as they are.

    Raises: SyscallError.
    """
    try:
        os.makedirs(directory, exist_ok=True)
    except OSError as error:
        raise SyscallError("mkdir", directory, error.errno or 0) from None


def is_sigkill(sig: int) -> bool:
    """Whether the signal ends a process without its doing, so that cgroup.kill may stand for it."""
    return sig == signal.SIGKILL
