"""Wildcards in paths by the rules of Go's `filepath.Match`, as COPY, ADD and .dockerignore have them.

    *        any characters but a slash           [a-z]    one character of these
    ?        one character but a slash            [^a-z]   one character, none of these
    \\c       the character c

Pure. No pattern takes long on any path: the expressions are RE2's.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator

from shoal.api.patterns import Pattern
from shoal.errors import InvalidArgument

_BAD_PATTERN = "syntax error in pattern"


class PathPattern:
    """One pattern for whole paths, such as `src/*.py`."""

    __slots__ = ("_pattern", "text")

    def __init__(self, text: str) -> None:
        """Raises: InvalidArgument `syntax error in pattern`."""
        self.text = text
        self._pattern = Pattern("".join(expression_of(token) for token in tokens(text)))

    def matches(self, path: str) -> bool:
        """Whether the whole of `path` matches."""
        return self._pattern.is_all_of(path)


def has_wildcards(path: str) -> bool:
    """Whether `path` is a pattern: it holds a `*`, a `?` or a `[` that no backslash takes for itself."""
    return re.search(r"[*?\[]", re.sub(r"\\.", "", path, flags=re.DOTALL)) is not None


def clean(path: str) -> str:
    """`path` as Go's `filepath.Clean` leaves it: no double slashes, no `.`, no `..` behind a name."""
    cleaned = posixpath.normpath(path)
    return cleaned[1:] if cleaned.startswith("//") else cleaned


def tokens(pattern: str) -> Iterator[str]:
    """The parts of a pattern: `*`, `?`, a class with its brackets, a character, or an escaped one with its backslash.

    Raises: InvalidArgument `syntax error in pattern`, for a class without its end or a backslash without a character.
    """
    at = 0
    while at < len(pattern):
        end = at + 1
        if pattern[at] == "\\":
            end = at + 2
        elif pattern[at] == "[":
            end = _end_of_class(pattern, at)
        if end > len(pattern):
            raise InvalidArgument(_BAD_PATTERN, why=pattern)
        yield pattern[at:end]
        at = end


def expression_of(token: str) -> str:
    """The regular expression of one part of a pattern."""
    if token == "*":
        return "[^/]*"
    if token == "?":
        return "[^/]"
    if len(token) > 2:
        return _class_expression(token)
    return re.escape(token[-1])


def _end_of_class(pattern: str, at: int) -> int:
    """Where the class that begins at `at` ends; beyond the pattern where it has no end."""
    at += 2 if pattern.startswith("[^", at) else 1
    is_empty = True
    while at < len(pattern) and (is_empty or pattern[at] != "]"):
        at = _end_of_member(pattern, at)
        if pattern.startswith("-", at):
            at = _end_of_member(pattern, at + 1)
        is_empty = False
    return at + 1


def _end_of_member(pattern: str, at: int) -> int:
    if pattern[at : at + 1] in ("", "-", "]"):
        raise InvalidArgument(_BAD_PATTERN, why=pattern)
    return at + 2 if pattern[at] == "\\" else at + 1


def _class_expression(token: str) -> str:
    is_negated = token.startswith("[^")
    body = token[2:-1] if is_negated else token[1:-1]
    members = re.findall(r"(\\.|[^\\])(?:-(\\.|[^\\]))?", body, re.DOTALL)
    # A range that ends before it begins holds nothing, which RE2 would refuse.
    ranges = [(low[-1], (high or low)[-1]) for low, high in members]
    parts = [f"\\x{{{ord(low):x}}}-\\x{{{ord(high):x}}}" for low, high in ranges if low <= high]
    if not parts:
        return r"[\s\S]" if is_negated else r"[^\s\S]"
    return f"[{'^' if is_negated else ''}{''.join(parts)}]"
