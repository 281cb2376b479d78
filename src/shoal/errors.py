"""Kinds of problem, the one tree of errors that shoal raises.

    ShoalError
    ├── InvalidArgument     the request is malformed or asks for something impossible       HTTP 400
    ├── Unauthorized        who asks is not known                                           HTTP 401
    ├── Forbidden           the rule or the kernel does not allow it                        HTTP 403
    ├── NotFound            the named object does not exist                                 HTTP 404
    ├── Conflict            the object's present state does not allow it                    HTTP 409
    ├── NotModified         nothing to do, the object is in that state already              HTTP 304
    ├── Unavailable         a thing that is needed is not there now; a retry may work       HTTP 503
    ├── Unsupported         this version of shoal does not serve it                         HTTP 501
    ├── TimedOut            what was asked took longer than the caller wants to wait        (client only)
    └── Internal            shoal or the machine failed                                     HTTP 500
        └── SyscallError    the kernel refused a system call

A class is a kind. `what` is the sentence that a Docker client sees (Docker's wording where clients match on
it), `why` the errno text or the rule behind it, `fix` what to do, imperative and runnable if possible.
Imported by every process, the supervisor too: the standard library's smallest modules only.
"""

from __future__ import annotations

import errno as _errno
import os


class ShoalError(Exception):
    """A problem told to a user: what happened, why, how to mend it.

    `status` is the HTTP status where an engine answered so, None where the problem is of another origin.
    """

    __slots__ = ("fix", "status", "what", "why")

    def __init__(self, what: str, *, why: str = "", fix: str = "", status: int | None = None) -> None:
        super().__init__(what)
        self.what = what
        self.why = why
        self.fix = fix
        self.status = status

    def __str__(self) -> str:
        return f"{self.what}: {self.why}" if self.why else self.what


class InvalidArgument(ShoalError):
    """The request is malformed, or asks for something impossible."""


class Unauthorized(ShoalError):
    """Who asks is not known."""


class Forbidden(ShoalError):
    """A rule, or the kernel, does not allow it."""


class NotFound(ShoalError):
    """The named object does not exist."""


class Conflict(ShoalError):
    """The present state of the object does not allow it."""


class NotModified(ShoalError):
    """The object is in the asked state already."""


class Unavailable(ShoalError):
    """Something that is needed is not there now; a retry may work."""


class Unsupported(ShoalError):
    """This version of shoal, or this kernel, does not do it."""


class TimedOut(ShoalError):
    """What was asked took longer than the caller wants to wait."""


class Internal(ShoalError):
    """shoal or the machine failed."""


# What an errno means for one system call, where the plain text would mislead: (syscall, errno) -> hint.
_MEANINGS = {
    ("mount", _errno.ENOSPC): "the mount limit is reached: raise /proc/sys/fs/mount-max",
    ("move_mount", _errno.ENOSPC): "the mount limit is reached: raise /proc/sys/fs/mount-max",
    ("fsmount", _errno.EINVAL): "the file system refused its options: see `dmesg`",
    ("clone3", _errno.EAGAIN): "the process limit is reached: raise /proc/sys/kernel/pid_max or `ulimit -u`",
    ("clone3", _errno.ENOSPC): "too many namespaces: raise /proc/sys/user/max_*_namespaces",
    ("unshare", _errno.ENOSPC): "too many namespaces: raise /proc/sys/user/max_*_namespaces",
    ("clone3", _errno.EPERM): "creating namespaces needs root (CAP_SYS_ADMIN)",
    ("unshare", _errno.EPERM): "creating namespaces needs root (CAP_SYS_ADMIN)",
}


def errno_text(number: int) -> str:
    """What an error number means, in lower case as Go's programs say it: Docker's client looks for such words."""
    return os.strerror(number).lower()


class SyscallError(Internal):
    """The kernel refused a system call: ``open_tree `/x`: permission denied``.

    `syscall` is the kernel's name, `object` what it was called on ("" where there is none), `errno` the
    number.
    """

    __slots__ = ("errno", "object", "syscall")

    def __init__(self, syscall: str, object: str, errno: int, *, fix: str = "") -> None:
        subject = f"{syscall} `{object}`" if object else syscall
        super().__init__(subject, why=errno_text(errno), fix=fix or _MEANINGS.get((syscall, errno), ""))
        self.syscall = syscall
        self.object = object
        self.errno = errno
