"""The parser: `parse` reads a whole file, `parse_trigger` an ONBUILD instruction of a base image. Pure."""

from __future__ import annotations

from shoal.build.dockerfile.forms import read_instruction
from shoal.build.dockerfile.instructions import (
    Arg,
    Checks,
    Dockerfile,
    From,
    Instruction,
    Maintainer,
    Onbuild,
    Span,
    Stage,
)
from shoal.build.dockerfile.lines import Statement, read_statements
from shoal.build.dockerfile.problems import DockerfileError, parse_error

_MOST_STAGES = 4000
_DEFAULT_NAME = "Dockerfile"


def parse(text: str, name: str = _DEFAULT_NAME) -> Dockerfile:
    """The file of the given text, which is called `name` in what is said about it.

    Raises: DockerfileError, which points into the file.
    """
    read = read_statements(name, text)
    if not read.statements:
        last = max(1, len(text.splitlines()))
        raise parse_error(name, read.text, Span(last, last), "file with no instructions")
    arguments, stages = _stages(read.statements)
    return Dockerfile(
        name=name,
        text=read.text,
        arguments=tuple(arguments),
        stages=tuple(stages),
        escape=read.directives.get("escape", "\\"),
        syntax=read.directives.get("syntax", ""),
        checks=_checks(read.directives.get("check", "")),
    )


def parse_trigger(trigger: str) -> Instruction:
    """The instruction of an ONBUILD trigger as an image's configuration keeps it.

    Raises: DockerfileError; its line is the trigger's own.
    """
    name = "ONBUILD trigger"
    statements = read_statements(name, trigger).statements
    if not statements:
        raise parse_error(name, trigger, Span(1, 1), "ONBUILD requires at least one argument")
    if len(statements) > 1:
        raise statements[1].refuse("an ONBUILD trigger is one instruction")
    instruction = read_instruction(statements[0])
    if isinstance(instruction, From | Maintainer | Onbuild):
        raise statements[0].refuse(f"{instruction.keyword} isn't allowed as an ONBUILD trigger")
    return instruction


def _stages(statements: tuple[Statement, ...]) -> tuple[list[Arg], list[Stage]]:
    """The arguments before the first FROM, and the stages."""
    arguments: list[Arg] = []
    stages: list[Stage] = []
    origin: From | None = None
    instructions: list[Instruction] = []
    for statement in statements:
        instruction = read_instruction(statement)
        if isinstance(instruction, Onbuild):
            _check_trigger(statement, instruction)
        if isinstance(instruction, From):
            if len(stages) == _MOST_STAGES:
                raise statement.refuse(f"more than {_MOST_STAGES} stages")
            if origin is not None:
                stages.append(Stage(len(stages), origin, tuple(instructions)))
            origin, instructions = instruction, []
        elif origin is not None:
            instructions.append(instruction)
        elif isinstance(instruction, Arg):
            arguments.append(instruction)
        else:
            raise statement.refuse("no build stage in current context", fix="begin with a FROM")
    if origin is None:
        raise statements[-1].refuse("no build stage in current context", fix="add a FROM")
    stages.append(Stage(len(stages), origin, tuple(instructions)))
    return arguments, stages


def _check_trigger(statement: Statement, instruction: Onbuild) -> None:
    """Read the trigger now, so that its mistakes are found by whom they belong to, not by the builds on the image."""
    try:
        parse_trigger(instruction.trigger)
    except DockerfileError as problem:
        sentence = problem.what.partition(": ")[2]
        raise statement.refuse(sentence, fix=problem.fix) from None


def _checks(text: str) -> Checks:
    """What a directive such as `skip=JSONArgsRecommended,StageNameCasing;error=true` asks for."""
    given = {key.strip().lower(): value for key, _, value in (part.partition("=") for part in text.split(";"))}
    names = {
        key: frozenset(name.strip() for name in given.get(key, "").split(",") if name.strip())
        for key in ("skip", "experimental")
    }
    return Checks(names["skip"], names["experimental"], error=given.get("error", "").strip().lower() == "true")
