"""Installing a compiled seccomp filter, in the child shortly before execve. Light: libseccomp is not here.

Source: seccomp(2), Linux 3.17.
"""

from __future__ import annotations

import ctypes
import errno

from shoal.errors import InvalidArgument, SyscallError
from shoal.linux.libc import SYS_seccomp, syscall

# include/uapi/linux/seccomp.h
SECCOMP_SET_MODE_FILTER = 1
SECCOMP_FILTER_FLAG_TSYNC = 1
SECCOMP_FILTER_FLAG_LOG = 2
SECCOMP_FILTER_FLAG_SPEC_ALLOW = 4
SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV = 32

FLAGS = {
    "SECCOMP_FILTER_FLAG_TSYNC": SECCOMP_FILTER_FLAG_TSYNC,
    "SECCOMP_FILTER_FLAG_LOG": SECCOMP_FILTER_FLAG_LOG,
    "SECCOMP_FILTER_FLAG_SPEC_ALLOW": SECCOMP_FILTER_FLAG_SPEC_ALLOW,
    "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV": SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV,
}
_INSTRUCTION_BYTES = 8


class sock_fprog(ctypes.Structure):  # noqa: N801 — the kernel's name
    """struct sock_fprog, include/uapi/linux/filter.h."""

    _fields_ = [("len", ctypes.c_ushort), ("filter", ctypes.c_char_p)]


def install_filter(program: bytes, flags: int = 0) -> None:
    """Puts every later system call of this process under `program`, an array of struct sock_filter, for ever.

    Needs CAP_SYS_ADMIN in effect, or no_new_privs.

    Raises: InvalidArgument for a program that is none; SyscallError (EINVAL: the kernel refuses it, EACCES:
    neither the capability nor no_new_privs).
    """
    if not program or len(program) % _INSTRUCTION_BYTES:
        raise InvalidArgument("invalid seccomp filter", why=f"{len(program)} bytes are no array of instructions")
    # SAFETY: `program` is kept alive by the caller's frame and copied by the kernel during the call.
    prog = sock_fprog(len(program) // _INSTRUCTION_BYTES, program)
    try:
        syscall(SYS_seccomp, "seccomp", "", SECCOMP_SET_MODE_FILTER, flags, ctypes.byref(prog))
    except SyscallError as error:
        # Flags younger than the kernel only tune the filter: leave them out rather than fail. Ends with 4.17.
        if error.errno != errno.EINVAL or not flags:
            raise
        syscall(SYS_seccomp, "seccomp", "", SECCOMP_SET_MODE_FILTER, 0, ctypes.byref(prog))
