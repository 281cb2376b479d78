"""Checks of the instructions of a stage, one by one or beside each other."""

from __future__ import annotations

import re
from collections.abc import Iterator

from shoal.build.dockerfile.checks.finding import Finding, finding
from shoal.build.dockerfile.instructions import (
    Arg,
    Cmd,
    Dockerfile,
    Entrypoint,
    Env,
    Expose,
    Healthcheck,
    Instruction,
    Label,
    Maintainer,
    Shell,
    Stage,
    Workdir,
)

_SECRETS = re.compile(
    r"(?:^|_)(?:apikey|auth|credentials?|key|password|pword|passwd|secret|token)(?:_|$)", re.IGNORECASE
)
_PUBLIC = re.compile(r"(?:^|_)public(?:_|$)", re.IGNORECASE)
_ONLY_THE_LAST = (Cmd, Entrypoint, Healthcheck)


def step_findings(file: Dockerfile) -> Iterator[Finding]:
    """What the rules for single instructions find, those before the first FROM too."""
    for arg in file.arguments:
        yield from _secrets(file, arg)
    for stage in file.stages:
        yield from _relative_directories(file, stage)
        yield from _repeated(file, stage)
        yield from _shell_forms(file, stage)
        for instruction in stage.instructions:
            yield from _of_one(file, instruction)


def _of_one(file: Dockerfile, instruction: Instruction) -> Iterator[Finding]:
    yield from _secrets(file, instruction)
    if isinstance(instruction, Maintainer):
        text = "MAINTAINER is deprecated; write `LABEL org.opencontainers.image.authors=…`"
        yield finding(file, "MaintainerDeprecated", instruction, text)
    if isinstance(instruction, Env | Label) and instruction.pairs[0].legacy:
        key = instruction.pairs[0].key
        text = f"write `{instruction.keyword} {key}=value`; the form without the equals sign is a legacy"
        yield finding(file, "LegacyKeyValueFormat", instruction, text)
    if isinstance(instruction, Expose):
        yield from _ports(file, instruction)


def _ports(file: Dockerfile, instruction: Expose) -> Iterator[Finding]:
    for port in instruction.ports:
        protocol = port.partition("/")[2]
        if protocol != protocol.lower() and "$" not in protocol:
            text = f"the protocol {protocol} is not in lower case"
            yield finding(file, "ExposeProtoCasing", instruction, text, at=port)
        if ":" in re.sub(r"\$\{[^}]*\}", "", port):
            text = f"{port} names an address or a port of the host, which EXPOSE has no use for"
            yield finding(file, "ExposeInvalidFormat", instruction, text, at=port)


def _secrets(file: Dockerfile, instruction: Instruction) -> Iterator[Finding]:
    names: list[str] = []
    if isinstance(instruction, Env):
        names = [pair.key for pair in instruction.pairs]
    elif isinstance(instruction, Arg):
        names = [argument.key for argument in instruction.arguments]
    for name in names:
        if _SECRETS.search(name) and not _PUBLIC.search(name):
            text = f"{name} looks like a secret, and everybody can read it in the image; use `RUN --mount=type=secret`"
            yield finding(file, "SecretsUsedInArgOrEnv", instruction, text, at=name)


def _relative_directories(file: Dockerfile, stage: Stage) -> Iterator[Finding]:
    """A relative WORKDIR where nothing before it, in this stage or those below it, says what it is relative to."""
    if _sets_directory(file, stage):
        return
    for instruction in stage.instructions:
        if isinstance(instruction, Workdir):
            if not instruction.path.strip("'\"").startswith(("/", "$")):
                text = f"{instruction.path} is relative to whatever directory the base image has"
                yield finding(file, "WorkdirRelativePath", instruction, text, at=instruction.path)
            return


def _sets_directory(file: Dockerfile, stage: Stage) -> bool:
    """Whether one of the stages below has a WORKDIR."""
    base = file.stage_named(stage.origin.base, before=stage.index)
    while base is not None:
        if any(isinstance(entry, Workdir) for entry in base.instructions):
            return True
        base = file.stage_named(base.origin.base, before=base.index)
    return False


def _repeated(file: Dockerfile, stage: Stage) -> Iterator[Finding]:
    for kind in _ONLY_THE_LAST:
        for instruction in [entry for entry in stage.instructions if isinstance(entry, kind)][:-1]:
            text = f"a later {instruction.keyword} of this stage takes the place of this one"
            yield finding(file, "MultipleInstructionsDisallowed", instruction, text)


def _shell_forms(file: Dockerfile, stage: Stage) -> Iterator[Finding]:
    """CMD and ENTRYPOINT that a shell runs, but for stages that chose their shell."""
    has_shell = False
    for instruction in stage.instructions:
        has_shell = has_shell or isinstance(instruction, Shell)
        if isinstance(instruction, Cmd | Entrypoint) and instruction.command.is_shell and not has_shell:
            text = f'signals reach the shell, not the program; write `{instruction.keyword} ["program", …]`'
            yield finding(file, "JSONArgsRecommended", instruction, text)
