"""What a check finds. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from shoal.build.dockerfile.instructions import Dockerfile, Instruction, Span
from shoal.build.dockerfile.lines import place


@dataclass(frozen=True, slots=True)
class Finding:
    """One warning: the rule's name, a sentence, and the place in the file."""

    rule: str
    text: str
    span: Span


def finding(file: Dockerfile, rule: str, instruction: Instruction, text: str, *, at: str = "") -> Finding:
    """The finding of a rule, whose place is where `at` stands in the instruction, else the instruction's keyword."""
    part = at or instruction.original.split(maxsplit=1)[0]
    return Finding(rule, text, place(file.text, instruction.span, part))
