"""Seccomp profiles: Docker's and the OCI's JSON forms read, and turned into what one container gets.

A Docker profile has conditions (`includes`, `excludes`: capabilities, architectures, a minimum kernel), the OCI
form has none: resolving drops the rules whose conditions fail. Pure; the filter itself is compiled from the
result by linux/seccomp_compile.

Source: Docker documentation "Seccomp security profiles for Docker"; OCI runtime-spec §Seccomp.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from shoal.engine.specgen import seccomp_default as default
from shoal.errors import InvalidArgument
from shoal.oci.runtime_spec import Seccomp, Syscall, SyscallArg

ALLOW = "SCMP_ACT_ALLOW"
ERRNO = "SCMP_ACT_ERRNO"
EPERM = 1
ENOSYS = 38

# Python's name of a machine -> libseccomp's architecture and the name that profiles use in conditions.
_MACHINES = {
    "x86_64": ("SCMP_ARCH_X86_64", "amd64"),
    "aarch64": ("SCMP_ARCH_AARCH64", "arm64"),
    "armv7l": ("SCMP_ARCH_ARM", "arm"),
    "i686": ("SCMP_ARCH_X86", "x86"),
    "s390x": ("SCMP_ARCH_S390X", "s390x"),
    "ppc64le": ("SCMP_ARCH_PPC64LE", "ppc64le"),
    "riscv64": ("SCMP_ARCH_RISCV64", "riscv64"),
    "loongarch64": ("SCMP_ARCH_LOONGARCH64", "loong64"),
    "mips64": ("SCMP_ARCH_MIPS64", "mips64"),
}


class Condition(msgspec.Struct, kw_only=True, frozen=True, rename="camel"):
    """What must hold (`includes`: all of each) or must not (`excludes`: any of each) for a rule to count."""

    caps: tuple[str, ...] = ()
    arches: tuple[str, ...] = ()
    min_kernel: str = ""


class ProfileArg(msgspec.Struct, kw_only=True, frozen=True, rename="camel"):
    """One comparison with an argument."""

    index: int
    value: int = 0
    value_two: int = 0
    op: str


class ProfileRule(msgspec.Struct, kw_only=True, frozen=True, rename="camel"):
    """One rule of a profile, with its conditions. `name` is the form of old profiles."""

    action: str
    name: str = ""
    names: tuple[str, ...] | None = None
    errno_ret: int | None = None
    args: tuple[ProfileArg, ...] | None = None
    includes: Condition | None = None
    excludes: Condition | None = None


class ArchitectureMap(msgspec.Struct, kw_only=True, frozen=True, rename="camel"):
    """An architecture and those that its kernel runs as well."""

    architecture: str
    sub_architectures: tuple[str, ...] | None = None


class Profile(msgspec.Struct, kw_only=True, frozen=True, rename="camel"):
    """A profile as a user writes it, in either form."""

    default_action: str = ""
    default_errno_ret: int | None = None
    architectures: tuple[str, ...] | None = None
    arch_map: tuple[ArchitectureMap, ...] | None = None
    flags: tuple[str, ...] | None = None
    syscalls: tuple[ProfileRule, ...] | None = None


def parse_profile(document: str) -> Profile:
    """The profile that a JSON document in Docker's or the OCI's form describes.

    Raises: InvalidArgument in Docker's words.
    """
    try:
        profile = msgspec.json.decode(document, type=Profile)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise InvalidArgument(f"Decoding seccomp profile failed: {error}") from None
    if profile.architectures and profile.arch_map:
        raise InvalidArgument(
            "both 'architectures' and 'archMap' were specified in the seccomp profile, "
            "use either 'architectures' or 'archMap'"
        )
    if not profile.default_action:
        raise InvalidArgument("seccomp profile is missing a default action")
    for rule in profile.syscalls or ():
        if rule.name and rule.names:
            raise InvalidArgument(
                "both 'name' and 'names' were specified in the seccomp profile, use either 'name' or 'names'"
            )
    return profile


def resolve_profile(profile: Profile, capabilities: Iterable[str], machine: str, kernel: tuple[int, int]) -> Seccomp:
    """The unconditional filter that a container with these capabilities gets.

    `machine` is uname's word for the processor, `kernel` the release's first two numbers.
    """
    held = frozenset(capabilities)
    architecture, short_name = _MACHINES.get(machine, ("", machine))
    rules = tuple(
        Syscall(
            names=rule.names or (rule.name,),
            action=rule.action,
            errno_ret=rule.errno_ret,
            args=tuple(
                SyscallArg(index=arg.index, value=arg.value, value_two=arg.value_two, op=arg.op)
                for arg in rule.args or ()
            ),
        )
        for rule in profile.syscalls or ()
        if (rule.names or rule.name) and _applies(rule, held, short_name, kernel)
    )
    return Seccomp(
        default_action=profile.default_action,
        default_errno_ret=profile.default_errno_ret,
        architectures=_architectures(profile, architecture),
        flags=profile.flags or (),
        syscalls=rules,
    )


def default_profile() -> Profile:
    """Docker's default, built from the data in `seccomp_default`."""
    return Profile(
        default_action=ERRNO,
        default_errno_ret=EPERM,
        arch_map=tuple(
            ArchitectureMap(architecture=name, sub_architectures=others)
            for name, others in default.ARCHITECTURES.items()
        ),
        syscalls=(*_plain_rules(), *_argument_rules(), *_clone_rules()),
    )


def _plain_rules() -> list[ProfileRule]:
    always = sorted({name for names in default.ALWAYS.values() for name in names.split()})
    rules = [ProfileRule(names=tuple(always), action=ALLOW)]
    for arches, names in default.BY_ARCHITECTURE:
        rules.append(ProfileRule(names=tuple(names.split()), action=ALLOW, includes=Condition(arches=arches)))
    for capability, names in default.BY_CAPABILITY.items():
        condition = Condition(caps=(capability,))
        rules.append(ProfileRule(names=tuple(names.split()), action=ALLOW, includes=condition))
    return rules


def _argument_rules() -> list[ProfileRule]:
    rules = [
        ProfileRule(names=("socket",), action=ALLOW, args=(ProfileArg(index=0, value=value, op=op),))
        for op, value in default.SOCKET_FAMILIES
    ]
    for value in default.PERSONALITIES:
        equal = ProfileArg(index=0, value=value, op="SCMP_CMP_EQ")
        rules.append(ProfileRule(names=("personality",), action=ALLOW, args=(equal,)))
    return rules


def _clone_rules() -> list[ProfileRule]:
    s390 = ("s390", "s390x")
    flags = default.NAMESPACE_FLAGS
    return [
        ProfileRule(
            names=("clone",),
            action=ALLOW,
            args=(ProfileArg(index=0, value=flags, op="SCMP_CMP_MASKED_EQ"),),
            excludes=Condition(caps=("CAP_SYS_ADMIN",), arches=s390),
        ),
        # s390 passes the flags second.
        ProfileRule(
            names=("clone",),
            action=ALLOW,
            args=(ProfileArg(index=1, value=flags, op="SCMP_CMP_MASKED_EQ"),),
            includes=Condition(arches=s390),
            excludes=Condition(caps=("CAP_SYS_ADMIN",)),
        ),
        # The flags of clone3 lie in memory, where a filter cannot look; ENOSYS makes libc fall back to clone.
        ProfileRule(
            names=("clone3",),
            action=ERRNO,
            errno_ret=ENOSYS,
            excludes=Condition(caps=("CAP_SYS_ADMIN",)),
        ),
    ]


def _applies(rule: ProfileRule, held: frozenset[str], machine: str, kernel: tuple[int, int]) -> bool:
    wanted, unwanted = rule.includes, rule.excludes
    if wanted:
        if wanted.arches and machine not in wanted.arches:
            return False
        if not held.issuperset(wanted.caps):
            return False
        if wanted.min_kernel and kernel < _version(wanted.min_kernel):
            return False
    if unwanted:
        if machine in unwanted.arches or not held.isdisjoint(unwanted.caps):
            return False
        if unwanted.min_kernel and kernel >= _version(unwanted.min_kernel):
            return False
    return True


def _architectures(profile: Profile, native: str) -> tuple[str, ...]:
    if profile.architectures:
        return profile.architectures
    for entry in profile.arch_map or ():
        if entry.architecture == native:
            return (native, *(entry.sub_architectures or ()))
    return ()


def _version(text: str) -> tuple[int, int]:
    major, _, minor = text.partition(".")
    if not (major.isdigit() and minor.isdigit()):
        raise InvalidArgument(
            f'invalid kernel version: "{text}", expected "<kernel>.<major>"',
            fix="write minKernel as two numbers, such as 4.8",
        )
    return int(major), int(minor)
