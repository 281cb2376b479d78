"""Compiled filters, run by a small BPF machine: what a container may call."""

from __future__ import annotations

import errno
import json
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import pytest

from shoal.engine.specgen.capabilities import DEFAULT_CAPABILITIES
from shoal.engine.specgen.seccomp_profile import default_profile, parse_profile, resolve_profile
from shoal.errors import InvalidArgument, SyscallError
from shoal.linux.seccomp import install_filter
from shoal.linux.seccomp_compile import FilterCache, compile_filter
from shoal.oci.runtime_spec import seccomp_json
from tests.unit.linux.bpf import ALLOW, ARM64, I386, KILL, errno_of, run_filter

# x86_64: arch/x86/entry/syscalls/syscall_64.tbl
READ, SOCKET, CLONE, PTRACE, PERSONALITY, CHROOT, MOUNT, REBOOT = 0, 41, 56, 101, 135, 161, 165, 169
KEXEC_LOAD, UNSHARE, CLONE3, MSEAL, FCHMODAT2, YOUNGEST = 246, 272, 435, 462, 452, 600
IO_URING_SETUP = 425
NEWNS, NEWUSER, SIGCHLD = 0x00020000, 0x10000000, 17
AF_INET, AF_ALG, AF_NFC, AF_VSOCK, AF_XDP = 2, 38, 39, 40, 44


@cache
def default_filter(*more: str) -> bytes:
    """Docker's default filter for the default capabilities and `more`."""
    seccomp = resolve_profile(default_profile(), (*DEFAULT_CAPABILITIES, *more), "x86_64", (6, 1))
    return compile_filter(json.loads(seccomp_json(seccomp)))


def verdict(number: int, *arguments: int, capabilities: Sequence[str] = (), arch: int = 0xC000003E) -> int:
    return run_filter(default_filter(*capabilities), number, arguments, arch)


@pytest.mark.parametrize("number", [READ, PTRACE, CHROOT, MSEAL, FCHMODAT2])
def test_default_filter_allows_what_programs_need(number: int) -> None:
    """Among them calls that are younger than libseccomp itself."""
    assert verdict(number) == ALLOW


@pytest.mark.parametrize("number", [MOUNT, UNSHARE, REBOOT, KEXEC_LOAD, IO_URING_SETUP])
def test_default_filter_refuses_with_eperm(number: int) -> None:
    """What is not in the list fails as if the right were missing."""
    assert errno_of(verdict(number)) == errno.EPERM


def test_default_filter_answers_enosys_for_calls_younger_than_the_list() -> None:
    """A libc that tries a new call first falls back on ENOSYS, and breaks on EPERM."""
    assert errno_of(verdict(YOUNGEST)) == errno.ENOSYS


def test_default_filter_hides_clone3() -> None:
    """Its flags lie in memory, out of the filter's sight; ENOSYS makes libc use clone."""
    assert errno_of(verdict(CLONE3)) == errno.ENOSYS
    assert verdict(CLONE3, capabilities=["CAP_SYS_ADMIN"]) == ALLOW


@pytest.mark.parametrize("flag", [NEWNS, NEWUSER, NEWNS | NEWUSER])
def test_default_filter_refuses_clone_into_namespaces(flag: int) -> None:
    """A new user namespace would open the whole kernel to an unprivileged process."""
    assert verdict(CLONE, SIGCHLD) == ALLOW
    assert errno_of(verdict(CLONE, SIGCHLD | flag)) == errno.EPERM
    assert verdict(CLONE, SIGCHLD | flag, capabilities=["CAP_SYS_ADMIN"]) == ALLOW


@pytest.mark.parametrize(
    ("family", "allowed"), [(AF_INET, True), (AF_ALG, False), (AF_NFC, True), (AF_VSOCK, False), (AF_XDP, True)]
)
def test_default_filter_closes_two_socket_families(family: int, allowed: bool) -> None:
    """AF_VSOCK reaches the hypervisor, AF_ALG the kernel's crypto; everything else is open."""
    assert (verdict(SOCKET, family) == ALLOW) is allowed


@pytest.mark.parametrize(
    ("value", "allowed"), [(0, True), (8, True), (0x20000, True), (0xFFFFFFFF, True), (0x0040000, False)]
)
def test_default_filter_allows_harmless_personalities(value: int, allowed: bool) -> None:
    """ADDR_NO_RANDOMIZE is not among them."""
    assert (verdict(PERSONALITY, value) == ALLOW) is allowed


@pytest.mark.parametrize(("capability", "number"), [("CAP_SYS_ADMIN", MOUNT), ("CAP_SYS_BOOT", REBOOT)])
def test_default_filter_opens_with_capabilities(capability: str, number: int) -> None:
    """`--cap-add` would be of no use if the filter stayed shut."""
    assert verdict(number, capabilities=[capability]) == ALLOW


def test_default_filter_covers_the_32_bit_calls_too() -> None:
    """Through int 0x80 the same rules hold: 21 is mount there, 3 is read."""
    assert verdict(3, arch=I386) == ALLOW
    assert errno_of(verdict(21, arch=I386)) == errno.EPERM
    assert verdict(MSEAL, arch=I386) == ALLOW


def test_default_filter_kills_calls_of_a_foreign_architecture() -> None:
    """A number means something else there, so nothing can be decided."""
    assert verdict(READ, arch=ARM64) == KILL


def test_custom_profile_in_the_oci_form_is_compiled() -> None:
    """Allow all but one call, which answers an errno of its own."""
    profile = parse_profile(
        '{"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_X86_64"],'
        ' "syscalls": [{"names": ["mount"], "action": "SCMP_ACT_ERRNO", "errnoRet": 37}]}'
    )
    program = compile_filter(json.loads(seccomp_json(resolve_profile(profile, (), "x86_64", (6, 1)))))
    assert run_filter(program, READ) == ALLOW
    assert errno_of(run_filter(program, MOUNT)) == 37
    assert run_filter(program, YOUNGEST) == ALLOW


def test_custom_profile_two_comparisons_of_one_argument_are_alternatives() -> None:
    """As in other runtimes: either value is allowed."""
    arguments = [{"index": 0, "value": value, "op": "SCMP_CMP_EQ"} for value in (1, 2)]
    profile = {
        "defaultAction": "SCMP_ACT_ERRNO",
        "syscalls": [{"names": ["socket"], "action": "SCMP_ACT_ALLOW", "args": arguments}],
    }
    program = compile_filter(profile)
    assert run_filter(program, SOCKET, [1]) == ALLOW
    assert run_filter(program, SOCKET, [2]) == ALLOW
    assert errno_of(run_filter(program, SOCKET, [3])) == errno.EPERM


@pytest.mark.parametrize(
    ("document", "sentence"),
    [
        ("{", "Decoding seccomp profile failed"),
        pytest.param('{"x":' + "[" * 200_000 + "]" * 200_000 + "}", "Decoding seccomp profile failed", id="nested"),
        ("{}", "seccomp profile is missing a default action"),
        (
            '{"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["a"], "archMap": [{"architecture": "b"}]}',
            "both 'architectures' and 'archMap' were specified in the seccomp profile",
        ),
        (
            '{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"name": "a", "names": ["b"], "action": "x"}]}',
            "both 'name' and 'names' were specified in the seccomp profile",
        ),
    ],
)
def test_parse_profile_that_is_none_is_refused(document: str, sentence: str) -> None:
    """The user wrote it, so the fault is named."""
    with pytest.raises(InvalidArgument) as caught:
        parse_profile(document)
    assert caught.value.what.startswith(sentence)


@pytest.mark.parametrize(
    "change",
    [
        {"defaultAction": "SCMP_ACT_ODD"},
        {"architectures": ["SCMP_ARCH_ODD"]},
        {"syscalls": [{"names": ["read"], "action": "SCMP_ACT_ODD"}]},
        {
            "syscalls": [
                {"names": ["read"], "action": "SCMP_ACT_ERRNO", "args": [{"index": 0, "value": 1, "op": "ODD"}]}
            ]
        },
    ],
)
def test_compile_unknown_word_is_refused(change: dict[str, object]) -> None:
    """Names of actions, architectures and operators are checked, with the word in the sentence."""
    with pytest.raises(InvalidArgument, match="ODD"):
        compile_filter({"defaultAction": "SCMP_ACT_ALLOW", **change})


def test_profile_conditions_hold_or_fail_together() -> None:
    """`includes` wants all of its capabilities, `excludes` none, and a kernel that is new enough."""
    document = {
        "defaultAction": "SCMP_ACT_ERRNO",
        "archMap": [{"architecture": "SCMP_ARCH_X86_64", "subArchitectures": ["SCMP_ARCH_X86"]}],
        "syscalls": [
            {"names": ["a"], "action": "SCMP_ACT_ALLOW", "includes": {"caps": ["CAP_BPF", "CAP_SYSLOG"]}},
            {"names": ["b"], "action": "SCMP_ACT_ALLOW", "excludes": {"caps": ["CAP_BPF"]}},
            {"names": ["c"], "action": "SCMP_ACT_ALLOW", "includes": {"minKernel": "6.2"}},
            {"names": ["d"], "action": "SCMP_ACT_ALLOW", "includes": {"arches": ["arm64"]}},
            {"name": "e", "action": "SCMP_ACT_ALLOW"},
        ],
    }
    profile = parse_profile(json.dumps(document))

    def names(capabilities: Sequence[str], kernel: tuple[int, int] = (6, 1)) -> list[str]:
        resolved = resolve_profile(profile, capabilities, "x86_64", kernel)
        assert resolved.architectures == ("SCMP_ARCH_X86_64", "SCMP_ARCH_X86")
        return [name for rule in resolved.syscalls for name in rule.names]

    assert names([]) == ["b", "e"]
    assert names(["CAP_BPF"]) == ["e"]
    assert names(["CAP_BPF", "CAP_SYSLOG"], (6, 2)) == ["a", "c", "e"]


def test_filter_cache_compiles_once_and_keeps_the_file(tmp_path: Path) -> None:
    """The second process finds the program on disk, the second call in memory."""
    profile = b'{"defaultAction": "SCMP_ACT_ALLOW"}'
    program = FilterCache(str(tmp_path / "c")).program(profile)
    (kept,) = (tmp_path / "c").iterdir()
    assert kept.read_bytes() == program
    kept.write_bytes(program[:8])
    assert FilterCache(str(tmp_path / "c")).program(profile) == program[:8]


def test_filter_cache_cut_file_is_compiled_again(tmp_path: Path) -> None:
    """A disk that was full must not make every later start fail."""
    profile = b'{"defaultAction": "SCMP_ACT_ALLOW"}'
    cache_ = FilterCache(str(tmp_path))
    program = cache_.program(profile)
    (kept,) = tmp_path.iterdir()
    kept.write_bytes(program[:5])
    assert FilterCache(str(tmp_path)).program(profile) == program


def test_filter_cache_without_a_place_still_compiles() -> None:
    """A disk that refuses costs time, not the start."""
    assert FilterCache("/proc/nowhere").program(b'{"defaultAction": "SCMP_ACT_ALLOW"}')


@pytest.mark.parametrize("program", [b"", b"1234567"])
def test_install_filter_that_is_no_program_is_refused(program: bytes) -> None:
    """The kernel never sees bytes that are no array of instructions."""
    with pytest.raises(InvalidArgument):
        install_filter(program)


def test_install_filter_that_the_kernel_refuses_tells_the_errno() -> None:
    """A program that does not end in a return is invalid."""
    with pytest.raises(SyscallError) as caught:
        install_filter(bytes(8))
    assert (caught.value.syscall, caught.value.errno) in (("seccomp", errno.EINVAL), ("seccomp", errno.EACCES))
