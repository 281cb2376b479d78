"""From the text of a Dockerfile to its statements: directives, joined lines, comments, heredocs.

Pure. A statement is one instruction before its argument is looked at. Docker's Dockerfile reference §Format, §Parser
directives, §Here-documents.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from shoal.build.dockerfile.heredocs import heredocs_announced_by
from shoal.build.dockerfile.instructions import Heredoc, Span
from shoal.build.dockerfile.problems import DockerfileError, parse_error
from shoal.build.dockerfile.words import NotStrings, json_strings, split_first, split_flags

_DIRECTIVE = re.compile(r"#\s*([a-zA-Z][a-zA-Z0-9]*)\s*=\s*(.+?)\s*\Z")
_DIRECTIVES = ("syntax", "escape", "check")
_ONLY_STRINGS = "when using JSON array syntax, arrays must be comprised of strings only"
_WITH_HEREDOCS = frozenset({"RUN", "COPY", "ADD"})


# A history of more would be no image that anything can read.
_MOST_STATEMENTS = 10_000
# Whose bytes matter; of others they are text, where Docker too keeps nothing of what is no UTF-8.
_EXACT = frozenset({*_WITH_HEREDOCS, "ONBUILD"})
_NO_UTF8 = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Statement:
    """One instruction as it stands in the file: its keyword as written, its flags, and the rest of the joined line."""

    file_name: str
    file_text: str
    span: Span
    original: str
    keyword: str
    flags: tuple[str, ...]
    argument: str
    heredocs: tuple[Heredoc, ...] = ()
    escape: str = "\\"
    blank_lines: tuple[int, ...] = ()
    """Lines inside of it that are empty: Docker passes over them, with a warning."""

    @property
    def name(self) -> str:
        """The keyword in capitals."""
        return self.keyword.upper()

    def refuse(self, sentence: str, *, at: str = "", fix: str = "") -> DockerfileError:
        """The error to raise, with a mark below the first `at` in the statement, or below its first line."""
        return parse_error(self.file_name, self.file_text, self.place(at or self.keyword), sentence, fix=fix)

    def json(self, text: str) -> list[str] | None:
        """The strings of `text`, a part of the statement, if that is a JSON array, else None.

        Raises: DockerfileError, for an array of other things.
        """
        try:
            return json_strings(text)
        except NotStrings:
            raise self.refuse(_ONLY_STRINGS, at="[", fix="put quotes around every element") from None

    def place(self, part: str) -> Span:
        """Where `part` first stands in the statement; its first line where it does not stand in one piece."""
        return place(self.file_text, self.span, part)


@dataclass(frozen=True, slots=True)
class Statements:
    """All statements of a file, what its directives say, and its text, bytes that are no UTF-8 replaced by U+FFFD."""

    statements: tuple[Statement, ...]
    directives: dict[str, str]
    text: str


def place(text: str, span: Span, part: str) -> Span:
    """Where `part` first stands as a word (or else at all) in the lines of `span`, else their first line."""
    lines = text.split("\n")
    for pattern in (rf"(?<!\S){re.escape(part)}(?!\S)", re.escape(part)):
        for number in range(span.first, span.last + 1):
            if found := re.search(pattern, lines[number - 1]):
                return Span(number, number, found.start(), found.end())
    return Span(span.first, span.first)


def _readable(text: str) -> str:
    return text if text.isascii() else _NO_UTF8.sub("\ufffd", text)


def read_statements(name: str, text: str) -> Statements:
    """The statements of the file called `name`. Bytes that are no UTF-8 stand in `text` as surrogates.

    Raises: DockerfileError, for a wrong directive, a heredoc without an end, and what would not be executed or copied
    as it is written.
    """
    return _Reader(name, text.removeprefix("\ufeff")).read()


class _Reader:
    def __init__(self, name: str, text: str) -> None:
        self._name = name
        self._text = _readable(text)
        # The ends of the lines stay: they are content where a heredoc is.
        self._lines = re.findall(r"[^\n]*\n|[^\n]+", text)
        self._at = 0
        self._directives: dict[str, str] = {}
        self._statements: list[Statement] = []

    def read(self) -> Statements:
        self._read_directives()
        while self._at < len(self._lines):
            if len(self._statements) > _MOST_STATEMENTS:
                raise self._refuse(f"more than {_MOST_STATEMENTS} instructions")
            line = self._lines[self._at].strip()
            if not line or line.startswith("#"):
                self._at += 1
            else:
                self._read_statement()
        return Statements(tuple(self._statements), self._directives, self._text)

    def _read_directives(self) -> None:
        """Directives are the first lines; the first other line, a comment too, ends them."""
        for line in self._lines:
            found = _DIRECTIVE.match(line.strip())
            key = found[1].lower() if found else ""
            if found is None or key not in _DIRECTIVES:
                return
            self._at += 1
            if key in self._directives:
                raise self._refuse(f"only one {key} parser directive can be used")
            self._directives[key] = found[2]
            if key == "escape" and found[2] not in ("\\", "`"):
                raise self._refuse(f"invalid escape token '{found[2]}' does not match ` or \\")

    def _refuse(self, sentence: str) -> DockerfileError:
        return parse_error(self._name, self._text, Span(self._at, self._at), sentence)

    def _read_statement(self) -> None:
        escape = self._directives.get("escape", "\\")
        first = self._at + 1
        joined, blank_lines = self._join(escape)
        if not joined.strip():
            return
        keyword, rest = split_first(_readable(joined))
        flags, argument = split_flags(rest)
        statement = Statement(
            self._name,
            self._text,
            Span(first, self._at),
            original=_readable(joined).strip(),
            keyword=keyword,
            flags=tuple(flags),
            argument=argument,
            escape=escape,
            blank_lines=tuple(blank_lines),
        )
        heredocs = tuple(self._read_heredoc(statement, heredoc) for heredoc in _announced(statement))
        if statement.name in _EXACT and _NO_UTF8.search(joined + "".join(heredoc.written for heredoc in heredocs)):
            raise statement.refuse(f"{statement.name} has bytes that are not UTF-8", fix="save the file as UTF-8")
        self._statements.append(replace(statement, span=Span(first, self._at), heredocs=heredocs))

    def _join(self, escape: str) -> tuple[str, list[int]]:
        """The line at hand with those that continue it; comments and empty lines among them are passed over."""
        # The escape that continues a line is not escaped itself; spaces may follow it.
        continued = re.compile(rf"(?<!{re.escape(escape)}){re.escape(escape)}[ \t]*\Z")
        joined = ""
        blank_lines = []
        is_first = True
        while self._at < len(self._lines):
            line = self._lines[self._at].rstrip("\r\n")
            self._at += 1
            if is_first:
                line = line.lstrip()
            elif not line.strip():
                blank_lines.append(self._at)
                continue
            elif line.lstrip().startswith("#"):
                continue
            is_first = False
            shortened = continued.sub("", line)
            joined += shortened
            if shortened == line:
                break
        return joined, blank_lines

    def _read_heredoc(self, statement: Statement, heredoc: Heredoc) -> Heredoc:
        written: list[str] = []
        while self._at < len(self._lines):
            line = self._lines[self._at]
            self._at += 1
            end = line.rstrip("\r\n")
            if (end.lstrip("\t") if heredoc.strip_tabs else end) == heredoc.name:
                return Heredoc(heredoc.name, "".join(written), heredoc.expand, heredoc.strip_tabs)
            written.append(line)
        raise statement.refuse(
            "unterminated heredoc", at="<<", fix=f"end the document with a line that is {heredoc.name} alone"
        )


def _announced(statement: Statement) -> Sequence[Heredoc]:
    """The heredocs whose content follows the statement, still without it."""
    name, argument = statement.name, statement.argument
    if name == "ONBUILD":
        keyword, rest = split_first(argument)
        name, argument = keyword.upper(), split_flags(rest)[1]
    if name not in _WITH_HEREDOCS or "<<" not in argument:
        return ()
    try:
        is_json = json_strings(argument) is not None
    except NotStrings:
        is_json = True
    return () if is_json else heredocs_announced_by(argument)
