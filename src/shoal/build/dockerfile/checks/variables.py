"""Checks of variables: UndefinedVar, UndefinedArgInFrom and InvalidDefaultArgInFrom."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping

from shoal.build.dockerfile.arguments import PREDEFINED, global_arguments, platform_arguments
from shoal.build.dockerfile.checks.finding import Finding, finding
from shoal.build.dockerfile.expansion import expand, unset_names
from shoal.build.dockerfile.instructions import (
    Add,
    Arg,
    Copy,
    Dockerfile,
    Env,
    Expose,
    From,
    Instruction,
    Label,
    Run,
    Stage,
    StopSignal,
    User,
    Volume,
    Workdir,
)
from shoal.build.dockerfile.problems import did_you_mean
from shoal.errors import InvalidArgument
from shoal.oci.platform import Platform
from shoal.oci.reference import Reference

_SOME_PLATFORM = Platform("linux", "amd64")
_SCRATCH = "scratch"


def variable_findings(file: Dockerfile, base_environments: Mapping[int, Mapping[str, str]]) -> Iterator[Finding]:
    """Variables that nothing sets, where everything that may set them is known."""
    platform = platform_arguments(_SOME_PLATFORM, _SOME_PLATFORM)
    try:
        values = global_arguments(file, {}, platform)
    except InvalidArgument:
        return  # the build itself will say so
    declared = {*platform, *(argument.key for arg in file.arguments for argument in arg.arguments)}
    for stage in file.stages:
        yield from _of_from(file, stage.origin, declared, values)
    known: dict[int, set[str]] = {}
    for stage in file.stages:
        names = _base_names(file, stage, known, base_environments)
        if names is not None:
            yield from _of_stage(file, stage, names)
            known[stage.index] = names


def _of_from(file: Dockerfile, origin: From, declared: set[str], values: Mapping[str, str]) -> Iterator[Finding]:
    named = dict.fromkeys(declared, "") | dict(values)
    missing = [name for word in (origin.base, origin.platform) for name in _unset(word, named, file.escape)]
    for name in missing:
        text = _with_hint(f"no ARG before the first FROM declares {name}", name, declared)
        yield finding(file, "UndefinedArgInFrom", origin, text, at=_as_written(origin, name))
    if not missing and "$" in origin.base and not _is_reference(origin.base, values, file.escape):
        text = f"with the defaults of its arguments {origin.base} is no image's name"
        yield finding(file, "InvalidDefaultArgInFrom", origin, text, at=origin.base)


def _is_reference(word: str, values: Mapping[str, str], escape: str) -> bool:
    try:
        Reference.parse(expand(word, values, escape))
    except InvalidArgument:
        return False
    return True


def _base_names(
    file: Dockerfile, stage: Stage, known: Mapping[int, set[str]], given: Mapping[int, Mapping[str, str]]
) -> set[str] | None:
    """The names that a stage begins with; None where its base image's environment is not known."""
    base = file.stage_named(stage.origin.base, before=stage.index)
    if base is not None:
        return set(known[base.index]) if base.index in known else None
    if stage.index in given:
        return {"PATH", *given[stage.index]}
    return {"PATH"} if stage.origin.base == _SCRATCH else None


def _of_stage(file: Dockerfile, stage: Stage, names: set[str]) -> Iterator[Finding]:
    """The findings of a stage, line by line; `names` grows by what ENV and ARG add."""
    of_stage: set[str] = set()
    for instruction in stage.instructions:
        environment = dict.fromkeys({*names, *of_stage, *PREDEFINED}, "x")
        for word in words_of(instruction):
            for name in _unset(word, environment, file.escape):
                text = _with_hint(f"nothing sets {name}", name, environment)
                yield finding(file, "UndefinedVar", instruction, text, at=_as_written(instruction, name))
        if isinstance(instruction, Env):
            names.update(pair.key.strip("'\"") for pair in instruction.pairs)
        if isinstance(instruction, Arg):
            of_stage.update(argument.key for argument in instruction.arguments)


def words_of(instruction: Instruction) -> Iterable[str]:
    """The words of an instruction that are expanded in its stage."""
    match instruction:
        case Env() | Label():
            return [word for pair in instruction.pairs for word in (pair.key, pair.value)]
        case Arg():
            return [argument.default or "" for argument in instruction.arguments]
        case Copy():
            return [*instruction.sources, instruction.destination, instruction.chown, instruction.chmod]
        case Add():
            paths = [*instruction.sources, instruction.destination]
            return [*paths, instruction.chown, instruction.chmod, instruction.checksum]
        case Run():
            return instruction.mounts
        case Expose():
            return instruction.ports
        case Volume():
            return instruction.paths
        case User():
            return [instruction.user]
        case Workdir():
            return [instruction.path]
        case StopSignal():
            return [instruction.signal]
    return []


def _unset(word: str, environment: Mapping[str, str], escape: str) -> list[str]:
    try:
        return unset_names(word, environment, escape)
    except InvalidArgument:
        return []  # the build itself will say so


def _as_written(instruction: Instruction, name: str) -> str:
    """The variable as it stands in the instruction, `$name` or `${name`."""
    found = re.search(rf"\$\{{?{re.escape(name)}", instruction.original)
    return found[0] if found else ""


def _with_hint(text: str, name: str, known: Iterable[str]) -> str:
    hint = did_you_mean(name, known)
    return f"{text}; {hint}" if hint else text
