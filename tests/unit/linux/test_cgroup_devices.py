"""Device rules: the policy that they come to, and the program that decides as the policy does."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoal.errors import InvalidArgument
from shoal.linux.cgroups.device_rules import (
    DevicePolicy,
    DeviceRule,
    access_bits,
    bpf_program,
    device_rules,
)

DENY_ALL = {"allow": False, "access": "rwm"}


def policy(*rules: dict[str, object]) -> DevicePolicy:
    """The policy of rules in the specification's form."""
    return DevicePolicy(device_rules({"devices": list(rules)}))


def run(program: bytes, kind: str, major: int, minor: int, access: str) -> int:
    """What the program returns: an interpreter of the few instructions that it is made of."""
    context = struct.pack("=III", access_bits(access) << 16 | {"b": 1, "c": 2}[kind], major, minor)
    registers = [0] * 11
    position = 0
    while True:
        code, both, offset, immediate = struct.unpack_from("=BBhi", program, position * 8)
        dst, src = both & 15, both >> 4
        position += 1
        match code:
            case 0x61:
                registers[dst] = struct.unpack_from("=I", context, offset)[0]
            case 0xBC:
                registers[dst] = registers[src]
            case 0xB4:
                registers[dst] = immediate
            case 0x54:
                registers[dst] &= immediate
            case 0x74:
                registers[dst] >>= immediate
            case 0x55:
                position += offset if registers[dst] != immediate else 0
            case 0x15:
                position += offset if registers[dst] == immediate else 0
            case 0x95:
                return registers[0]
            case _:
                raise AssertionError(f"instruction {code:#x}")


_kinds = st.sampled_from(["a", "b", "c"])
_numbers = st.one_of(st.none(), st.integers(0, 3))
_access = st.sampled_from(["r", "w", "m", "rw", "rm", "wm", "rwm"])
_rules = st.lists(st.builds(DeviceRule, st.booleans(), _kinds, _numbers, _numbers, _access), max_size=8)


@given(_rules, st.sampled_from(["b", "c"]), st.integers(0, 4), st.integers(0, 4), _access)
def test_program_decides_as_the_policy(rules: list[DeviceRule], kind: str, major: int, minor: int, access: str) -> None:
    """For any rules and any question the program and the policy give the same answer."""
    made = DevicePolicy(rules)
    assert run(bpf_program(made), kind, major, minor, access) == int(made.allows(kind, major, minor, access))


def test_policy_without_rules_allows_all() -> None:
    """A group that was told nothing has its parent's rights."""
    assert policy().allows("b", 8, 0, "rwm")


def test_policy_of_docker_s_rules() -> None:
    """Deny all, then a few: only those, and only in the granted way."""
    made = policy(DENY_ALL, {"allow": True, "type": "c", "major": 1, "minor": 3, "access": "rw"})
    assert made.allows("c", 1, 3, "r")
    assert made.allows("c", 1, 3, "rw")
    assert not made.allows("c", 1, 3, "m")
    assert not made.allows("c", 1, 3, "rm")
    assert not made.allows("b", 1, 3, "r")
    assert not made.allows("c", 1, 4, "r")


def test_policy_with_wild_numbers() -> None:
    """Docker lets containers make any node (`c *:* m`), but not use it."""
    made = policy(DENY_ALL, {"allow": True, "type": "c", "access": "m"}, {"allow": True, "type": "c", "major": 136})
    assert made.allows("c", 77, 7, "m")
    assert not made.allows("c", 77, 7, "r")
    assert made.allows("c", 136, 5, "rwm")


def test_policy_takes_back_what_was_allowed() -> None:
    """A later rule for the same device withdraws some of the access, or all."""
    allow = {"allow": True, "type": "c", "major": 10, "minor": 200, "access": "rwm"}
    made = policy(DENY_ALL, allow, {**allow, "allow": False, "access": "w"})
    assert made.allows("c", 10, 200, "rm")
    assert not made.allows("c", 10, 200, "w")
    assert not policy(DENY_ALL, allow, {**allow, "allow": False}).allows("c", 10, 200, "r")


def test_policy_of_a_privileged_container_with_one_exception() -> None:
    """Allow all, then deny one: the rest stays."""
    made = policy(
        {"allow": True, "access": "rwm"}, {"allow": False, "type": "b", "major": 8, "minor": 0, "access": "w"}
    )
    assert made.allows("b", 8, 0, "r")
    assert not made.allows("b", 8, 0, "rw")
    assert made.allows("b", 8, 1, "rw")


def test_rule_lines_are_what_version_1_takes() -> None:
    """`a` alone for all devices, stars for wild numbers."""
    rules = device_rules({"devices": [DENY_ALL, {"allow": True, "type": "c", "major": 1, "minor": -1, "access": "r"}]})
    assert [(rule.allow, rule.line()) for rule in rules] == [(False, "a"), (True, "c 1:* r")]


@pytest.mark.parametrize("entry", [{"type": "z"}, {"access": "rx"}, {"type": 5}, {"major": "1"}])
def test_rules_that_are_none_are_refused(entry: dict[str, object]) -> None:
    """An unknown type or access is never taken for something else."""
    with pytest.raises(InvalidArgument):
        device_rules({"devices": [entry]})
