"""Problems of a Dockerfile, which point into the file: the line, an excerpt, and a mark below what is meant."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable

from shoal.build.dockerfile.instructions import Dockerfile, Span
from shoal.errors import InvalidArgument, ShoalError

_LINES_AROUND = 1
_WIDEST = 160


class DockerfileError(InvalidArgument):
    """Something in a Dockerfile that does not work. `span` says where, `excerpt` shows it."""

    __slots__ = ("excerpt", "span")

    def __init__(self, what: str, *, span: Span, excerpt: str, why: str = "", fix: str = "") -> None:
        super().__init__(what, why=why, fix=fix)
        self.span = span
        self.excerpt = excerpt


def parse_error(name: str, text: str, span: Span, sentence: str, *, fix: str = "") -> DockerfileError:
    """The refusal of a part of the file called `name`, in the sentence that Docker's builder has for it."""
    what = f"dockerfile parse error line {span.first}: {sentence}"
    return DockerfileError(what, span=span, excerpt=excerpt(name, text, span, fix), fix=fix)


def pointed(file: Dockerfile, span: Span, error: ShoalError) -> DockerfileError:
    """The same problem, for one that an instruction met in the build: its sentence stays, the place is added.

    Within the instruction that is the longest word which the sentence names.
    """
    lines = file.text.split("\n")[span.first - 1 : span.last]
    words = [
        (len(found[0]), Span(number, number, found.start(), found.end()))
        for number, line in enumerate(lines, span.first)
        for found in re.finditer(r"\S+", line)
        if found[0] in str(error) and (number > span.first or line[: found.start()].strip())
    ]
    place = max(words, key=lambda word: word[0])[1] if words else span
    shown = excerpt(file.name, file.text, place, error.fix)
    return DockerfileError(error.what, span=span, excerpt=shown, why=error.why, fix=error.fix)


def excerpt(name: str, text: str, span: Span, note: str = "") -> str:
    """The lines of `span` and their neighbours, numbered, with a mark and a note below the part that is meant."""
    lines = text.split("\n")
    first, last = max(1, span.first - _LINES_AROUND), min(len(lines), span.last + _LINES_AROUND)
    width = len(str(last))
    shown = [f"{name}:{span.first}"]
    for number in range(first, last + 1):
        line = lines[number - 1].rstrip("\r")[:_WIDEST]
        inside = span.first <= number <= span.last
        shown.append(f"{'>' if inside else ' '} {number:{width}} | {line}".rstrip())
        if number == span.first and span.end is not None and span.start <= len(line):
            indent = re.sub(r"[^\t]", " ", line[: span.start])
            marks = "^" * max(1, min(span.end, len(line)) - span.start)
            shown.append(f"  {'':{width}} | {indent}{marks} {note}".rstrip())
            note = ""
    return "\n".join([*shown, f"  {'':{width}} | {note}"] if note else shown)


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """The question to ask for a word that there is not, "" where nothing is near."""
    by_folded = {candidate.casefold(): candidate for candidate in known}
    near = difflib.get_close_matches(word.casefold(), by_folded, n=1, cutoff=0.6)
    return f"did you mean {by_folded[near[0]]}?" if near else ""
