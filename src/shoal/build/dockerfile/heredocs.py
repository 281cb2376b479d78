"""Heredocs: which words announce one, and what a RUN with some of them executes.

Pure. Docker's Dockerfile reference §Here-documents. A heredoc is a word of its own, `<<EOF`, `<<-EOF`, `3<<"EOF"`; what
stands inside of another word (`cat<<EOF`) is the shell's business.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from shoal.build.dockerfile.expansion import Expansion
from shoal.build.dockerfile.instructions import Heredoc, Run
from shoal.errors import InvalidArgument

_HEREDOC = re.compile(r"\d*<<(-?)([^<]*)\Z")
_NOTHING: Mapping[str, str] = {}


@dataclass(frozen=True, slots=True)
class ScriptFile:
    """A program that stands in the Dockerfile: to be put in a file of that name and executed, by its `#!` line."""

    name: str
    content: str


def heredoc_of(word: str) -> Heredoc | None:
    """The heredoc that `word` announces, without its content."""
    match = _HEREDOC.match(word)
    if match is None:
        return None
    try:
        plain = Expansion(match[2], _NOTHING, "\\", unset_as_written=True).words()
        written = Expansion(match[2], _NOTHING, "\\", raw=True).words()
    except InvalidArgument:
        return None
    if len(plain) != 1:
        return None
    return Heredoc(plain[0], "", expand=plain == written, strip_tabs=match[1] == "-")


def heredocs_announced_by(argument: str) -> list[Heredoc]:
    """The heredocs of an instruction's argument, in their order; none where its quotes don't close."""
    try:
        words = Expansion(argument, _NOTHING, "\\", raw=True).words()
    except InvalidArgument:
        return []
    return [heredoc for word in words if (heredoc := heredoc_of(word)) is not None]


def script_of(run: Run) -> str | ScriptFile:
    """What the shell form of `run` executes: a text for the shell, or a program of its own.

    A heredoc alone is the script itself. Anything more goes to the shell as it is written, with the documents below.
    """
    text = "".join(run.command.words)
    if not run.heredocs:
        return text
    first = run.heredocs[0]
    if heredoc_of(text) is not None:
        return ScriptFile(first.name, first.content) if first.content.startswith("#!") else first.content
    return text + "".join(f"\n{heredoc.written}{heredoc.name}" for heredoc in run.heredocs)
