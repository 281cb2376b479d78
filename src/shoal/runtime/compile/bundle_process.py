"""The process of a bundle as steps: who it is by its numbers, what it may do, what it becomes. Pure."""

from __future__ import annotations

from typing import NamedTuple

from shoal.linux.capabilities import CAPABILITIES, mask
from shoal.linux.scheduling import (
    IO_CLASSES,
    MEMORY_FLAGS,
    MEMORY_MODES,
    PERSONALITIES,
    POLICIES,
    SCHEDULER_FLAGS,
)
from shoal.oci.runtime_spec import Capabilities, Linux, Process
from shoal.runtime.compile.plan import HostFacts
from shoal.runtime.compile.process import DEFAULT_UMASK, capability_steps, filter_steps
from shoal.supervisor.steps.attributes import (
    SetAffinity,
    SetIoPriority,
    SetMemoryPolicy,
    SetPersonality,
    SetScheduler,
)
from shoal.supervisor.steps.execute import Execute, FindProgram
from shoal.supervisor.steps.identity import SetUser
from shoal.supervisor.steps.network import WaitBarrier
from shoal.supervisor.steps.process import ChangeDirectory, SetRlimits, SetUmask
from shoal.supervisor.steps.rights import ConfineByApparmor, NewKeyring, NoNewPrivileges, SwitchUser
from shoal.supervisor.steps.step import Step


class BundleProcess(NamedTuple):
    """The process, the container's Linux part, and how it comes to be.

    `limits` is False where the runtime sets the resource limits from outside. A container's first process waits for
    `start` and then runs `at_start`; one that joins it does not.
    """

    process: Process
    linux: Linux
    new_keyring: bool
    limits: bool
    awaits_start: bool
    at_start: list[Step]


def bundle_process_steps(one: BundleProcess, host: HostFacts) -> list[Step]:
    """Steps from the user to execve, in the order that `supervisor/steps/rights` explains."""
    process, user = one.process, one.process.user
    known = _known(process.capabilities or Capabilities())
    rights = capability_steps(known)
    env = list(process.env)
    limits = [(limit.type, limit.soft, limit.hard) for limit in process.rlimits]
    affinity = process.exec_cpu_affinity.final if process.exec_cpu_affinity and not one.awaits_start else ""
    program = process.args[0] if process.args else ""
    waiting: list[Step] = [WaitBarrier("start"), *one.at_start] if one.awaits_start else []
    steps: list[Step] = [
        SetUmask(DEFAULT_UMASK if user.umask is None else user.umask),
        SetUser(user.uid, user.gid, list(user.additional_gids)),
        ChangeDirectory(process.cwd),
        *([NewKeyring()] if one.new_keyring else []),
        *([SetRlimits(limits)] if limits and one.limits else []),
        *_attribute_steps(process, one.linux),
        *([SetAffinity(affinity)] if affinity else []),
        *([ConfineByApparmor(process.apparmor_profile)] if process.apparmor_profile else []),
        *rights[:1],
        SwitchUser(),
    ]
    # Behind the search, so that `create` fails where there is no program; before a filter, which may forbid the wait.
    filters = filter_steps(one.linux.seccomp, host)
    if process.no_new_privileges:
        steps += [*rights[1:], NoNewPrivileges(), FindProgram(program, env, None), *waiting, *filters]
    else:
        steps += [FindProgram(program, env, mask(known.effective)), *waiting, *filters, *rights[1:]]
    return [*steps, Execute(list(process.args))]


def _known(capabilities: Capabilities) -> Capabilities:
    """Without the names that this version does not know: those of a later kernel, which cannot be granted."""
    sets = {
        name: tuple(one for one in getattr(capabilities, name) if one in CAPABILITIES)
        for name in ("bounding", "effective", "permitted", "inheritable", "ambient")
    }
    return Capabilities(**sets)


def _attribute_steps(process: Process, linux: Linux) -> list[Step]:
    steps: list[Step] = []
    if (scheduler := process.scheduler) is not None:
        flags = 0
        for name in scheduler.flags:
            flags |= SCHEDULER_FLAGS[name]
        steps.append(
            SetScheduler(
                POLICIES[scheduler.policy],
                flags=flags,
                nice=scheduler.nice,
                priority=scheduler.priority,
                runtime=scheduler.runtime,
                deadline=scheduler.deadline,
                period=scheduler.period,
            )
        )
    if (io := process.io_priority) is not None:
        steps.append(SetIoPriority(IO_CLASSES[io.class_], io.priority))
    if linux.personality is not None:
        steps.append(SetPersonality(PERSONALITIES[linux.personality.domain]))
    if (policy := linux.memory_policy) is not None:
        mode = MEMORY_MODES[policy.mode]
        for name in policy.flags:
            mode |= MEMORY_FLAGS[name]
        steps.append(SetMemoryPolicy(mode, policy.nodes))
    return steps
