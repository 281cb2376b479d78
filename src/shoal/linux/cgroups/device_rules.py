"""Which devices a control group may use: the rules of the OCI specification, as v1 lines and as a v2 program.

Used by the supervisor. Pure. Version 1 takes the rules one by one and keeps a default with exceptions, see
security/device_cgroup.c; version 2 wants a program, so the same default with exceptions is computed here
first, and both versions decide alike. OCI runtime-spec §Allowed Device list.
"""

from __future__ import annotations

import struct

from shoal.errors import InvalidArgument
from shoal.linux.cgroups.settings import entries, integer, text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from shoal.linux.cgroups.settings import Section

# include/uapi/linux/bpf.h
_ACCESS_BITS = {"m": 1, "r": 2, "w": 4}
_KIND_NUMBERS = {"b": 1, "c": 2}
_ALL_ACCESS = 7


class DeviceRule:
    """One rule; `kind` is "a", "b" or "c", None for `major` and `minor` is every number."""

    __slots__ = ("access", "allow", "kind", "major", "minor")

    def __init__(self, allow: bool, kind: str, major: int | None, minor: int | None, access: str) -> None:
        self.allow = allow
        self.kind = kind
        self.major = major
        self.minor = minor
        self.access = access

    def line(self) -> str:
        """The rule as devices.allow and devices.deny take it: "c 1:3 rwm"."""
        if self.kind == "a":
            return "a"
        return f"{self.kind} {_wild(self.major)}:{_wild(self.minor)} {self.access}"


def _wild(number: int | None) -> str:
    return "*" if number is None else str(number)


def device_rules(resources: Section) -> list[DeviceRule]:
    """The rules in the OCI resources, in their order.

    Raises: InvalidArgument for malformed rules.
    """
    return [_rule(entry) for entry in entries(resources, "devices")]


def _rule(entry: Section) -> DeviceRule:
    kind = text(entry, "type") or "a"
    access = text(entry, "access") or "rwm"
    if kind not in ("a", "b", "c") or not set(access) <= set("rwm"):
        raise InvalidArgument(
            f"invalid device rule {kind} {access}", why="the type is a, b or c, the access of the letters rwm"
        )
    return DeviceRule(bool(entry.get("allow")), kind, _number(entry, "major"), _number(entry, "minor"), access)


def _number(entry: Section, name: str) -> int | None:
    value = integer(entry, name)
    return None if value is None or value < 0 else value


class DevicePolicy:
    """What the rules come to: a default, and exceptions from it as (kind, major, minor) -> access bits."""

    __slots__ = ("default_allow", "exceptions")

    def __init__(self, rules: list[DeviceRule]) -> None:
        # A new group of version 1 has its parent's rights: all, below a root that denies nothing.
        self.default_allow = True
        self.exceptions: dict[tuple[str, int | None, int | None], int] = {}
        for rule in rules:
            self._add(rule)

    def _add(self, rule: DeviceRule) -> None:
        if rule.kind == "a":
            self.default_allow = rule.allow
            self.exceptions.clear()
            return
        key = (rule.kind, rule.major, rule.minor)
        bits = access_bits(rule.access)
        present = self.exceptions.get(key, 0)
        if rule.allow != self.default_allow:
            self.exceptions[key] = present | bits
        elif present & ~bits:
            self.exceptions[key] = present & ~bits
        else:
            self.exceptions.pop(key, None)

    def allows(self, kind: str, major: int, minor: int, access: str) -> bool:
        """Whether a process may do `access` with the device; what the program of `bpf_program` computes."""
        wanted = access_bits(access)
        for (its_kind, its_major, its_minor), bits in self.exceptions.items():
            if its_kind != kind or its_major not in (None, major) or its_minor not in (None, minor):
                continue
            if self.default_allow and wanted & bits:
                return False
            if not self.default_allow and not wanted & ~bits:
                return True
        return self.default_allow


def access_bits(access: str) -> int:
    """BPF_DEVCG_ACC_* of the letters r, w, m."""
    bits = 0
    for letter in access:
        bits |= _ACCESS_BITS[letter]
    return bits


# Instructions: include/uapi/linux/bpf.h, Documentation/bpf/standardization/instruction-set.rst.
_LOAD_WORD = 0x61  # dst = *(u32 *)(src + offset)
_MOVE_REGISTER = 0xBC  # w(dst) = w(src)
_MOVE = 0xB4  # w(dst) = immediate
_AND = 0x54  # w(dst) &= immediate
_SHIFT_RIGHT = 0x74  # w(dst) >>= immediate
_JUMP_UNEQUAL = 0x55  # if dst != immediate goto +offset
_JUMP_EQUAL = 0x15  # if dst == immediate goto +offset
_EXIT = 0x95
INSTRUCTION_BYTES = 8


def _instruction(code: int, dst: int = 0, src: int = 0, offset: int = 0, immediate: int = 0) -> bytes:
    """struct bpf_insn: the registers share a byte, whose halves follow the byte order of the machine."""
    registers = src << 4 | dst if _LITTLE_ENDIAN else dst << 4 | src
    return struct.pack("=BBhi", code, registers, offset, immediate)


_LITTLE_ENDIAN = struct.pack("=H", 1) == b"\x01\x00"


def bpf_program(policy: DevicePolicy) -> bytes:
    """A program of type BPF_PROG_TYPE_CGROUP_DEVICE that decides as `policy` does. bpf(2), Linux 4.15.

    Registers: r1 the context (access << 16 | kind, major, minor), then r2 kind, r3 access, r4 major, r5
    minor.
    """
    parts = [
        _instruction(_LOAD_WORD, 2, 1, 0),
        _instruction(_MOVE_REGISTER, 3, 2),
        _instruction(_AND, 2, immediate=0xFFFF),
        _instruction(_SHIFT_RIGHT, 3, immediate=16),
        _instruction(_LOAD_WORD, 4, 1, 4),
        _instruction(_LOAD_WORD, 5, 1, 8),
    ]
    for (kind, major, minor), bits in policy.exceptions.items():
        parts += _exception(kind, major, minor, bits, default_allow=policy.default_allow)
    parts += [_instruction(_MOVE, 0, immediate=int(policy.default_allow)), _instruction(_EXIT)]
    return b"".join(parts)


def _exception(kind: str, major: int | None, minor: int | None, bits: int, *, default_allow: bool) -> list[bytes]:
    """The instructions for one exception: tests that jump behind it if it does not apply, then its verdict."""
    tests = [(_JUMP_UNEQUAL, 2, _KIND_NUMBERS[kind])]
    if major is not None:
        tests.append((_JUMP_UNEQUAL, 4, major))
    if minor is not None:
        tests.append((_JUMP_UNEQUAL, 5, minor))
    if default_allow:  # denied as soon as one wanted kind of access is among the bits
        mask, test = bits, (_JUMP_EQUAL, 1, 0)
    else:  # allowed only if all wanted kinds of access are
        mask, test = _ALL_ACCESS & ~bits, (_JUMP_UNEQUAL, 1, 0)
    verdict = [_instruction(_MOVE, 0, immediate=int(not default_allow)), _instruction(_EXIT)]
    access = [_instruction(_MOVE_REGISTER, 1, 3), _instruction(_AND, 1, immediate=mask)]
    body: list[bytes] = []
    for number, (code, register, value) in enumerate(tests):
        behind = len(tests) - number - 1 + len(access) + 1 + len(verdict)
        body.append(_instruction(code, register, offset=behind, immediate=value))
    code, register, value = test
    return [*body, *access, _instruction(code, register, offset=len(verdict), immediate=value), *verdict]
