"""A classic BPF machine as seccomp has it: runs a filter on one system call, without the kernel."""

from __future__ import annotations

import struct
from collections.abc import Sequence

X86_64, I386, ARM64 = 0xC000003E, 0x40000003, 0xC00000B7
ALLOW, ERRNO, KILL = 0x7FFF0000, 0x00050000, 0x00000000


def run_filter(program: bytes, number: int, arguments: Sequence[int] = (), arch: int = X86_64) -> int:
    """The SECCOMP_RET_* value of `program` for the system call `number`."""
    padded = [*arguments, *([0] * (6 - len(arguments)))]
    data = struct.pack("=IIQ6Q", number, arch, 0, *padded)
    instructions = list(struct.iter_unpack("=HBBI", program))
    accumulator = 0
    position = 0
    while True:
        code, jump_true, jump_false, constant = instructions[position]
        position += 1
        if code == 0x20:  # ld [k]
            (accumulator,) = struct.unpack_from("=I", data, constant)
        elif code == 0x06:  # ret k
            return int(constant)
        elif code == 0x05:  # ja
            position += constant
        elif code == 0x54:  # and k
            accumulator &= constant
        elif code in _COMPARISONS:
            position += jump_true if _COMPARISONS[code](accumulator, constant) else jump_false
        else:
            raise AssertionError(f"instruction {code:#x} is not known to this machine")


_COMPARISONS = {
    0x15: lambda a, k: a == k,
    0x25: lambda a, k: a > k,
    0x35: lambda a, k: a >= k,
    0x45: lambda a, k: a & k != 0,
}


def errno_of(verdict: int) -> int | None:
    """The errno that a verdict answers, None when it is another kind."""
    return verdict & 0xFFFF if verdict & 0xFFFF0000 == ERRNO else None
