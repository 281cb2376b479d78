"""Attach a device program to a control group of version 2. bpf(2).

Used by the supervisor. The program stays with the group until the group goes.
"""

from __future__ import annotations

import ctypes
import errno

from shoal.errors import SyscallError
from shoal.linux.cgroups.device_rules import INSTRUCTION_BYTES
from shoal.linux.fd import Fd, FdLike
from shoal.linux.libc import SYS_bpf, syscall

# include/uapi/linux/bpf.h
_BPF_PROG_LOAD = 5
_BPF_PROG_ATTACH = 8
_BPF_PROG_DETACH = 9
_BPF_PROG_GET_FD_BY_ID = 13
_BPF_PROG_QUERY = 16
_BPF_PROG_TYPE_CGROUP_DEVICE = 15
_BPF_CGROUP_DEVICE = 6
_BPF_F_ALLOW_MULTI = 2
_PROGRAMS_MAX = 64
_LOG_BYTES = 4096


class _load(ctypes.Structure):  # noqa: N801 — one arm of union bpf_attr
    _fields_ = [
        ("prog_type", ctypes.c_uint32),
        ("insn_cnt", ctypes.c_uint32),
        ("insns", ctypes.c_void_p),
        ("license", ctypes.c_char_p),
        ("log_level", ctypes.c_uint32),
        ("log_size", ctypes.c_uint32),
        ("log_buf", ctypes.c_void_p),
        ("kern_version", ctypes.c_uint32),
        ("prog_flags", ctypes.c_uint32),
        ("prog_name", ctypes.c_char * 16),
    ]


class _attach(ctypes.Structure):  # noqa: N801 — one arm of union bpf_attr
    _fields_ = [
        ("target_fd", ctypes.c_uint32),
        ("attach_bpf_fd", ctypes.c_uint32),
        ("attach_type", ctypes.c_uint32),
        ("attach_flags", ctypes.c_uint32),
        ("replace_bpf_fd", ctypes.c_uint32),
    ]


class _query(ctypes.Structure):  # noqa: N801 — one arm of union bpf_attr
    _fields_ = [
        ("target_fd", ctypes.c_uint32),
        ("attach_type", ctypes.c_uint32),
        ("query_flags", ctypes.c_uint32),
        ("attach_flags", ctypes.c_uint32),
        ("prog_ids", ctypes.c_uint64),
        ("prog_cnt", ctypes.c_uint32),
    ]


class _by_id(ctypes.Structure):  # noqa: N801 — one arm of union bpf_attr
    _fields_ = [("prog_id", ctypes.c_uint32), ("next_id", ctypes.c_uint32), ("open_flags", ctypes.c_uint32)]


_identifiers = ctypes.c_uint32 * _PROGRAMS_MAX


def _bpf(command: int, object: str, attributes: ctypes.Structure) -> int:
    # SAFETY: the caller keeps `attributes` and what its pointers lead to alive over the call.
    arguments = (command, ctypes.byref(attributes), ctypes.sizeof(attributes))
    return syscall(SYS_bpf, "bpf", object, *arguments)


def load_device_program(instructions: bytes) -> Fd:
    """The program as a descriptor, checked by the kernel. Needs CAP_BPF or CAP_SYS_ADMIN; Linux 4.15.

    Raises: SyscallError, with the verifier's words.
    """
    code = ctypes.create_string_buffer(instructions, len(instructions))
    attributes = _load(
        prog_type=_BPF_PROG_TYPE_CGROUP_DEVICE,
        insn_cnt=len(instructions) // INSTRUCTION_BYTES,
        insns=ctypes.addressof(code),
        license=b"Apache-2.0",
        prog_name=b"shoal_devices",
    )
    try:
        return Fd(_bpf(_BPF_PROG_LOAD, "BPF_PROG_LOAD", attributes))
    except SyscallError as error:
        if error.errno not in (errno.EINVAL, errno.EACCES):
            raise
        # Again, for the verifier's words, which are not wanted while all goes well.
        log = ctypes.create_string_buffer(_LOG_BYTES)
        attributes.log_level, attributes.log_size, attributes.log_buf = 1, _LOG_BYTES, ctypes.addressof(log)
        try:
            return Fd(_bpf(_BPF_PROG_LOAD, "BPF_PROG_LOAD", attributes))
        except SyscallError as failure:
            failure.why = f"{failure.why} ({log.value.decode(errors='replace').strip()})"
            raise failure from None


def attached_programs(cgroup_fd: FdLike) -> list[int]:
    """The ids of the device programs that are attached to this very group.

    Raises: SyscallError.
    """
    found = _identifiers()
    attributes = _query(
        target_fd=_number(cgroup_fd),
        attach_type=_BPF_CGROUP_DEVICE,
        prog_ids=ctypes.addressof(found),
        prog_cnt=_PROGRAMS_MAX,
    )
    _bpf(_BPF_PROG_QUERY, "BPF_PROG_QUERY", attributes)
    return list(found[: attributes.prog_cnt])


def set_device_program(cgroup_fd: FdLike, instructions: bytes) -> None:
    """Make the program the only device program of the group; those that were attached before go.

    The new one is attached before the old ones go, so that no moment is without a rule: while both are there,
    a device must be allowed by both.

    Raises: SyscallError.
    """
    before = attached_programs(cgroup_fd)
    with load_device_program(instructions) as program:
        attributes = _attach(
            target_fd=_number(cgroup_fd),
            attach_bpf_fd=program.fileno(),
            attach_type=_BPF_CGROUP_DEVICE,
            attach_flags=_BPF_F_ALLOW_MULTI,
        )
        _bpf(_BPF_PROG_ATTACH, "BPF_PROG_ATTACH", attributes)
    for identifier in before:
        _detach(cgroup_fd, identifier)


def _detach(cgroup_fd: FdLike, identifier: int) -> None:
    with Fd(_bpf(_BPF_PROG_GET_FD_BY_ID, "BPF_PROG_GET_FD_BY_ID", _by_id(prog_id=identifier))) as program:
        attributes = _attach(
            target_fd=_number(cgroup_fd),
            attach_bpf_fd=program.fileno(),
            attach_type=_BPF_CGROUP_DEVICE,
        )
        _bpf(_BPF_PROG_DETACH, "BPF_PROG_DETACH", attributes)


def _number(fd: FdLike) -> int:
    return fd if isinstance(fd, int) else fd.fileno()
