"""From a seccomp profile to the BPF program that the kernel runs, through libseccomp. For shoald only.

Compiling takes some 10 ms, so a program is compiled once per profile and kept: in memory and on disk, under a
key that is the profile itself and the library's version (`FilterCache`).

In front of libseccomp's program stands a short one of our own, for system calls that are younger than the
library. Those that the profile allows (and that have the same number everywhere, as all from 424 on have) are
allowed; those younger than everything the profile names answer ENOSYS instead of the default EPERM, so that a
libc which tries the new call first falls back to the old one.

Source: seccomp(2), seccomp_rule_add(3), OCI runtime-spec §Seccomp.
"""

from __future__ import annotations

import ctypes
import hashlib
import json
import os
import struct
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from shoal.errors import Internal, InvalidArgument, Unavailable

_ACTIONS = {
    "SCMP_ACT_KILL": 0x00000000,
    "SCMP_ACT_KILL_THREAD": 0x00000000,
    "SCMP_ACT_KILL_PROCESS": 0x80000000,
    "SCMP_ACT_TRAP": 0x00030000,
    "SCMP_ACT_ERRNO": 0x00050000,
    "SCMP_ACT_NOTIFY": 0x7FC00000,
    "SCMP_ACT_TRACE": 0x7FF00000,
    "SCMP_ACT_LOG": 0x7FFC0000,
    "SCMP_ACT_ALLOW": 0x7FFF0000,
}
# The low half of these carries a number: what errno is set to, what the tracer is told.
_WITH_DATA = ("SCMP_ACT_ERRNO", "SCMP_ACT_TRACE")
_OPERATORS = {
    "SCMP_CMP_NE": 1,
    "SCMP_CMP_LT": 2,
    "SCMP_CMP_LE": 3,
    "SCMP_CMP_EQ": 4,
    "SCMP_CMP_GE": 5,
    "SCMP_CMP_GT": 6,
    "SCMP_CMP_MASKED_EQ": 7,
}
_ALLOW = _ACTIONS["SCMP_ACT_ALLOW"]
_ENOSYS_RETURN = _ACTIONS["SCMP_ACT_ERRNO"] | 38
_EPERM, _EEXIST = 1, 17
_NR_ERROR = -1
_FLTATR_CTL_OPTIMIZE = 8
_X32_BIT = 0x40000000

# AUDIT_ARCH_* of <linux/audit.h>: the architectures that number their system calls alike from 424 on.
_AUDIT_ARCHITECTURES = {
    "x86_64": 0xC000003E,
    "x86": 0x40000003,
    "aarch64": 0xC00000B7,
    "arm": 0x40000028,
    "riscv64": 0xC00000F3,
    "s390x": 0x80000016,
    "s390": 0x00000016,
    "ppc64le": 0xC0000015,
    "loongarch64": 0xC0000102,
}

# Allowed in Docker's profile and missing in the libseccomp of Debian 12 (2.5.4). <asm-generic/unistd.h>
_YOUNG_SYSCALLS = {
    "cachestat": 451,
    "fchmodat2": 452,
    "map_shadow_stack": 453,
    "futex_wake": 454,
    "futex_wait": 455,
    "futex_requeue": 456,
    "statmount": 457,
    "listmount": 458,
    "lsm_get_self_attr": 459,
    "lsm_set_self_attr": 460,
    "lsm_list_modules": 461,
    "mseal": 462,
    "setxattrat": 463,
    "getxattrat": 464,
    "listxattrat": 465,
    "removexattrat": 466,
}


class _ArgCmp(ctypes.Structure):
    """struct scmp_arg_cmp."""

    _fields_ = [
        ("arg", ctypes.c_uint),
        ("op", ctypes.c_int),
        ("datum_a", ctypes.c_uint64),
        ("datum_b", ctypes.c_uint64),
    ]


class FilterCompiler:
    """libseccomp, loaded. Not thread-safe within one call's context, which each call makes for itself."""

    def __init__(self) -> None:
        """Raises: Unavailable when the library is not installed."""
        try:
            self._lib = ctypes.CDLL("libseccomp.so.2")
        except OSError as error:
            raise Unavailable(
                "seccomp filters need libseccomp", why=str(error), fix="apt-get install libseccomp2"
            ) from None
        lib = self._lib
        for name, result, arguments in (
            ("seccomp_init", ctypes.c_void_p, (ctypes.c_uint32,)),
            ("seccomp_release", None, (ctypes.c_void_p,)),
            ("seccomp_arch_resolve_name", ctypes.c_uint32, (ctypes.c_char_p,)),
            ("seccomp_arch_add", ctypes.c_int, (ctypes.c_void_p, ctypes.c_uint32)),
            ("seccomp_arch_native", ctypes.c_uint32, ()),
            ("seccomp_attr_set", ctypes.c_int, (ctypes.c_void_p, ctypes.c_int, ctypes.c_uint32)),
            ("seccomp_syscall_resolve_name", ctypes.c_int, (ctypes.c_char_p,)),
            ("seccomp_syscall_resolve_name_arch", ctypes.c_int, (ctypes.c_uint32, ctypes.c_char_p)),
            (
                "seccomp_rule_add_array",
                ctypes.c_int,
                (ctypes.c_void_p, ctypes.c_uint32, ctypes.c_int, ctypes.c_uint, ctypes.POINTER(_ArgCmp)),
            ),
            ("seccomp_export_bpf", ctypes.c_int, (ctypes.c_void_p, ctypes.c_int)),
        ):
            function = getattr(lib, name)
            function.restype = result
            function.argtypes = arguments

    def compile(self, profile: Mapping[str, Any]) -> bytes:
        """The BPF program, an array of struct sock_filter, for a profile in the OCI's JSON shape.

        Raises: InvalidArgument for a name of an action, operator or architecture that does not exist.
        """
        default = _action(profile["defaultAction"], profile.get("defaultErrnoRet"))
        context = self._lib.seccomp_init(default)
        if not context:
            raise Internal("seccomp filter could not be made", why=f"seccomp_init refused {default:#x}")
        try:
            architectures = self._add_architectures(context, profile.get("architectures") or ())
            # A binary tree instead of a list: a call costs some 10 comparisons, not 400 (libseccomp 2.5).
            self._lib.seccomp_attr_set(context, _FLTATR_CTL_OPTIMIZE, 2)
            for rule in profile.get("syscalls") or ():
                self._add_rule(context, rule, default)
            program = self._export(context)
        finally:
            self._lib.seccomp_release(context)
        return self._prefix(profile, architectures) + program

    def _add_architectures(self, context: int, names: Sequence[str]) -> dict[str, int]:
        tokens = {}
        for name in names:
            short = name.removeprefix("SCMP_ARCH_").lower()
            token = self._lib.seccomp_arch_resolve_name(short.encode())
            if not token:
                raise InvalidArgument(f"invalid seccomp architecture: {name}", why="libseccomp does not know it")
            tokens[short] = token
            status = self._lib.seccomp_arch_add(context, token)
            if status not in (0, -_EEXIST):
                raise Internal(f"seccomp architecture {name} could not be added", why=os.strerror(-status))
        return tokens

    def _add_rule(self, context: int, rule: Mapping[str, Any], default: int) -> None:
        action = _action(rule["action"], rule.get("errnoRet"))
        if action == default:
            return  # libseccomp refuses a rule that says what the default says
        for comparisons in _alternatives(rule.get("args") or ()):
            array = (_ArgCmp * max(1, len(comparisons)))(*comparisons)
            for name in rule["names"]:
                number = self._lib.seccomp_syscall_resolve_name(name.encode())
                if number == _NR_ERROR:
                    continue  # unknown to this library: see _prefix
                # SAFETY: `array` holds len(comparisons) elements and outlives the call, which copies them.
                status = self._lib.seccomp_rule_add_array(context, action, number, len(comparisons), array)
                if status < 0:
                    raise InvalidArgument(
                        f"error adding seccomp filter rule for syscall {name}", why=os.strerror(-status)
                    )

    def _export(self, context: int) -> bytes:
        fd = os.memfd_create("seccomp", os.MFD_CLOEXEC)
        with open(fd, "rb") as file:
            status = self._lib.seccomp_export_bpf(context, fd)
            if status < 0:
                raise Internal("seccomp filter could not be written", why=os.strerror(-status))
            file.seek(0)
            return file.read()

    def _prefix(self, profile: Mapping[str, Any], architectures: Mapping[str, int]) -> bytes:
        """Our own instructions in front: young allowed calls, and ENOSYS for younger than anything named."""
        if profile["defaultAction"] in ("SCMP_ACT_ALLOW", "SCMP_ACT_LOG", "SCMP_ACT_TRACE", "SCMP_ACT_NOTIFY"):
            return b""
        allowed: set[int] = set()
        newest = 0
        tokens = [*architectures.values(), self._lib.seccomp_arch_native()]
        for rule in profile.get("syscalls") or ():
            for name in rule["names"]:
                known = self._lib.seccomp_syscall_resolve_name(name.encode()) != _NR_ERROR
                if not known and name in _YOUNG_SYSCALLS:
                    newest = max(newest, _YOUNG_SYSCALLS[name])
                    if rule["action"] == "SCMP_ACT_ALLOW" and not rule.get("args"):
                        allowed.add(_YOUNG_SYSCALLS[name])
                for token in tokens:
                    number = self._lib.seccomp_syscall_resolve_name_arch(token, name.encode())
                    if number < _X32_BIT:
                        newest = max(newest, number)
        audit = [_AUDIT_ARCHITECTURES[name] for name in architectures if name in _AUDIT_ARCHITECTURES]
        if not audit:
            audit = [self._lib.seccomp_arch_native()]
        return _young_calls_program(audit, sorted(allowed), newest)


class FilterCache:
    """Compiled filters by profile, in memory and as files in a directory that shoald owns."""

    def __init__(self, directory: str) -> None:
        """The directory is made at the first miss. Nothing is read or loaded yet."""
        self._directory = directory
        self._programs: dict[str, bytes] = {}
        self._compiler: FilterCompiler | None = None

    def program(self, profile: bytes) -> bytes:
        """The BPF program for a profile in the OCI's JSON form, compiled if it never was. May block 10 ms.

        Raises: InvalidArgument for a bad profile; Unavailable without libseccomp.
        """
        key = hashlib.sha256(_CACHE_VERSION + profile).hexdigest()
        program = self._programs.get(key)
        if program is None:
            path = os.path.join(self._directory, key)
            program = _read(path)
            if program is None:
                if self._compiler is None:
                    self._compiler = FilterCompiler()
                program = self._compiler.compile(json.loads(profile))
                _write(path, program)
            self._programs[key] = program
        return program


# Part of every key: change it when the same profile must compile to something else.
_CACHE_VERSION = b"1\0"


def compile_filter(profile: Mapping[str, Any]) -> bytes:
    """The BPF program for a profile in the OCI's JSON shape, not cached. Raises as `FilterCompiler` does."""
    return FilterCompiler().compile(profile)


def _action(name: str, data: int | None) -> int:
    try:
        action = _ACTIONS[name]
    except KeyError:
        raise InvalidArgument(f'invalid seccomp action "{name}"', fix=f"use one of {', '.join(_ACTIONS)}") from None
    if name in _WITH_DATA:
        action |= (_EPERM if data is None else data) & 0xFFFF
    return action


def _alternatives(args: Sequence[Mapping[str, Any]]) -> list[list[_ArgCmp]]:
    """The comparisons of a rule: all of them at once, or one by one where an argument is compared twice.

    One libseccomp rule compares an argument once; as other runtimes do, two comparisons of one argument
    are two rules, either of which suffices.
    """
    comparisons = []
    for arg in args:
        operator = _OPERATORS.get(arg["op"])
        if operator is None:
            raise InvalidArgument(f'invalid seccomp operator "{arg["op"]}"', fix=f"use one of {', '.join(_OPERATORS)}")
        comparisons.append(_ArgCmp(arg["index"], operator, arg["value"], arg.get("valueTwo", 0)))
    if len({arg["index"] for arg in args}) < len(args):
        return [[comparison] for comparison in comparisons]
    return [comparisons]


# Instructions of struct sock_filter, <linux/bpf_common.h>.
_LOAD_WORD, _JUMP, _JUMP_EQUAL, _JUMP_GREATER, _JUMP_GREATER_EQUAL, _RETURN = 0x20, 0x05, 0x15, 0x25, 0x35, 0x06
_OFFSET_NR, _OFFSET_ARCH = 0, 4


def _young_calls_program(audit: Sequence[int], allowed: Sequence[int], newest: int) -> bytes:
    """BPF: on these architectures allow `allowed`, answer ENOSYS above `newest`, else fall through."""
    # Layout, with n numbers: the comparisons, then ja END, ret ALLOW, ret ENOSYS, END.
    n = len(allowed)
    body = [(_LOAD_WORD, 0, 0, _OFFSET_NR), (_JUMP_GREATER_EQUAL, n + 1, 0, _X32_BIT)]
    for index, number in enumerate(allowed):
        body.append((_JUMP_EQUAL, n - index + 1, 0, number))
    body += [
        (_JUMP_GREATER, 2, 0, newest),
        (_JUMP, 0, 0, 2),
        (_RETURN, 0, 0, _ALLOW),
        (_RETURN, 0, 0, _ENOSYS_RETURN),
    ]
    head = [(_LOAD_WORD, 0, 0, _OFFSET_ARCH)]
    for index, token in enumerate(audit):
        head.append((_JUMP_EQUAL, len(audit) - index, 0, token))
    head.append((_JUMP, 0, 0, len(body)))
    return _assemble([*head, *body])


def _assemble(instructions: Iterable[tuple[int, int, int, int]]) -> bytes:
    return b"".join(struct.pack("=HBBI", *instruction) for instruction in instructions)


def _read(path: str) -> bytes | None:
    try:
        with open(path, "rb") as file:
            program = file.read()
    except OSError:
        return None
    # A file cut short by a full disk would be refused by the kernel at every start: compile it again.
    return program if program and len(program) % 8 == 0 else None


def _write(path: str, program: bytes) -> None:
    """Keeps a program for the next process; a disk that refuses costs nothing but the time to compile again."""
    temporary = f"{path}.{os.getpid()}"
    try:
        os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
        with open(temporary, "wb") as file:
            file.write(program)
        os.replace(temporary, path)
    except OSError:
        try:
            os.unlink(temporary)
        except OSError:
            pass
