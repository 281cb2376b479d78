"""The process's part of a specification as steps: who it is, what it may do, what it becomes. Pure.

The same for a container's first process and for one that joins it.
"""

from __future__ import annotations

from shoal.linux.capabilities import mask
from shoal.linux.seccomp import FLAGS, SECCOMP_FILTER_FLAG_SPEC_ALLOW
from shoal.oci.runtime_spec import GROUP_NAMES_ANNOTATION, Capabilities, Process, RuntimeSpec, Seccomp
from shoal.runtime.compile.plan import HostFacts
from shoal.supervisor.steps.execute import Execute, FindProgram
from shoal.supervisor.steps.process import ChangeDirectory, SetOomScore, SetRlimits, SetUmask
from shoal.supervisor.steps.rights import (
    ConfineByApparmor,
    DropBounding,
    InstallSeccomp,
    LookUpUser,
    NewKeyring,
    NoNewPrivileges,
    SetCapabilities,
    SwitchUser,
)
from shoal.supervisor.steps.step import Step

DEFAULT_UMASK = 0o022


def limits_first(process: Process) -> list[Step]:
    """Steps that need the host's /proc, so they come before anything of the container's."""
    return [] if process.oom_score_adj is None else [SetOomScore(process.oom_score_adj)]


def process_steps(process: Process, spec: RuntimeSpec, host: HostFacts) -> list[Step]:
    """Steps from the directory to execve, in the order that `supervisor/steps/rights` explains."""
    user = process.user
    names = spec.annotations.get(GROUP_NAMES_ANNOTATION, "")
    numbers = list(user.additional_gids)
    # A specification of another tool has numbers and no username.
    who = user.username or (f"{user.uid}:{user.gid}" if user.uid or user.gid else "")
    # Without a filter or capabilities of its own the process keeps what the supervisor has.
    filters = filter_steps(spec.linux.seccomp if spec.linux else None, host)
    rights = capability_steps(process.capabilities)
    limits = [SetRlimits([(one.type, one.soft, one.hard) for one in process.rlimits])] if process.rlimits else []
    steps: list[Step] = [
        SetUmask(DEFAULT_UMASK if user.umask is None else user.umask),
        LookUpUser(who, numbers, names.split(",") if names else []),
        ChangeDirectory(process.cwd),
        NewKeyring(),
        # Behind the mounts, which a low RLIMIT_NOFILE would forbid us; before the rights to raise a limit are gone.
        *limits,
        *([ConfineByApparmor(process.apparmor_profile)] if process.apparmor_profile else []),
        *rights[:1],
        SwitchUser(),
    ]
    program, env, own = process.args[0], list(process.env), process.capabilities
    if process.no_new_privileges:
        steps += [*rights[1:], NoNewPrivileges(), FindProgram(program, env, None), *filters]
    else:
        effective = None if own is None else mask(own.effective)
        steps += [FindProgram(program, env, effective), *filters, *rights[1:]]
    return [*steps, Execute(list(process.args))]


def capability_steps(capabilities: Capabilities | None) -> list[Step]:
    """Steps that bound the capabilities, before the change of user, and that set them, behind it."""
    if capabilities is None:
        return []
    return [
        DropBounding(mask(capabilities.bounding)),
        SetCapabilities(
            mask(capabilities.effective),
            mask(capabilities.permitted),
            mask(capabilities.inheritable),
            mask(capabilities.ambient),
        ),
    ]


def filter_steps(seccomp: Seccomp | None, host: HostFacts) -> list[Step]:
    """The step that puts the process under its system call filter, if it has one."""
    if seccomp is None:
        return []
    flags = 0
    for name in seccomp.flags:
        flags |= FLAGS[name]
    # The mitigation of speculative store bypass costs more than it gives here: off, as in other runtimes.
    return [InstallSeccomp(host.compile_filter(seccomp), flags if seccomp.flags else SECCOMP_FILTER_FLAG_SPEC_ALLOW)]
