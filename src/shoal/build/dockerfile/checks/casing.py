"""Checks of how things are written: ConsistentInstructionCasing, FromAsCasing, StageNameCasing, NoEmptyContinuation."""

from __future__ import annotations

from collections.abc import Iterator

from shoal.build.dockerfile.checks.finding import Finding
from shoal.build.dockerfile.instructions import Dockerfile, Span
from shoal.build.dockerfile.lines import Statement, read_statements


def casing_findings(file: Dockerfile) -> Iterator[Finding]:
    """What is written in another way than the rest of the file."""
    statements = read_statements(file.name, file.text).statements
    upper = sum(statement.keyword.isupper() for statement in statements)
    lower = sum(statement.keyword.islower() for statement in statements)
    usual = "lower" if lower > upper else "upper"
    for statement in statements:
        if not (statement.keyword.islower() if usual == "lower" else statement.keyword.isupper()):
            text = f"{statement.keyword} is not in {usual} case, as most instructions of this file are"
            yield Finding("ConsistentInstructionCasing", text, statement.place(statement.keyword))
        if statement.name == "FROM":
            yield from _of_from(statement)
        if statement.blank_lines:
            line = statement.blank_lines[0]
            text = f"{statement.name} has an empty line inside of it, where a comment or an end may be meant"
            yield Finding("NoEmptyContinuation", text, Span(line, line))


def _of_from(statement: Statement) -> Iterator[Finding]:
    words = statement.argument.split()
    if len(words) != 3:
        return
    _, keyword, name = words
    if keyword.isupper() != statement.keyword.isupper() or keyword.islower() != statement.keyword.islower():
        text = f"{statement.keyword} and {keyword} are not written in the same case"
        yield Finding("FromAsCasing", text, statement.place(keyword))
    if name != name.lower():
        text = f"the stage's name {name} is not in lower case, which is how it is looked up"
        yield Finding("StageNameCasing", text, statement.place(name))
