""".dockerignore: which paths of a context are left out. Docker's rules, which are not git's.

Every pattern is one for the whole path from the context's root, by `filepath.Match`, with `**` for any number of
directories; what matches a directory matches everything below; `!` takes back; the last pattern that matches counts.
Pure. https://docs.docker.com/build/concepts/context/#dockerignore-files.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from shoal.api.patterns import PatternSet
from shoal.build.dockerfile.paths import clean, expression_of, has_wildcards, tokens
from shoal.errors import InvalidArgument

FILE_NAME = ".dockerignore"


class IgnoreRules:
    """The patterns of one file, in their order."""

    __slots__ = ("_rules", "_set")

    def __init__(self, patterns: Iterable[str]) -> None:
        """Raises: InvalidArgument, for an exception without a pattern, and for what is no pattern."""
        self._rules = [_rule(pattern) for pattern in patterns if pattern.strip()]
        self._set = PatternSet([f"^(?s:{_expression(pattern)})(?:/|$)" for _, pattern in self._rules])

    @classmethod
    def parse(cls, text: str) -> IgnoreRules:
        """The rules of a file of that text.

        Raises: InvalidArgument.
        """
        lines = text.removeprefix("\ufeff").split("\n")
        return cls(line for line in lines if not line.startswith("#"))

    def __bool__(self) -> bool:
        return bool(self._rules)

    def excludes(self, path: str) -> bool:
        """Whether `path`, relative to the context, is left out, by itself or with a directory above it."""
        found = self._set.found_in(path)
        return bool(found) and not self._rules[found[-1]][0]

    def may_return_below(self, directory: str) -> bool:
        """Whether an exception may bring back something below `directory`, so that it must be walked through."""
        return any(is_exception and _reaches(pattern, directory) for is_exception, pattern in self._rules)


def ignore_files(dockerfile: str) -> tuple[str, str]:
    """Where the rules for the Dockerfile of that path may stand; the first file that exists counts."""
    return dockerfile + FILE_NAME, FILE_NAME


def _rule(line: str) -> tuple[bool, str]:
    """Whether a line is an exception, and its pattern as a clean path from the root."""
    text = line.strip()
    is_exception = text.startswith("!")
    pattern = text[1:].strip() if is_exception else text
    if not pattern:
        raise InvalidArgument('illegal exclusion pattern: "!"', fix="write the path that is to stay behind the `!`")
    pattern = clean(pattern)
    return is_exception, pattern[1:] if len(pattern) > 1 and pattern.startswith("/") else pattern


def _expression(pattern: str) -> str:
    """The regular expression of a pattern, without its end."""
    if pattern.startswith("**") and not re.search(r"[*?\[\]\\]", pattern[2:]) and not pattern.startswith("**/"):
        return ".*" + re.escape(pattern[2:])  # `**name`: everything that ends so
    parts = list(tokens(pattern))
    expression = ""
    at = 0
    while at < len(parts):
        if parts[at : at + 2] != ["*", "*"]:
            expression += expression_of(parts[at])
            at += 1
            continue
        at += 3 if parts[at + 2 : at + 3] == ["/"] else 2
        expression += "(?:.*/)?" if at < len(parts) else ".*"
    return expression


def _reaches(exception: str, directory: str) -> bool:
    """Whether the pattern can match something below the directory, or the directory itself."""
    for part, name in zip(exception.split("/"), directory.split("/"), strict=False):
        if has_wildcards(part) or "\\" in part:
            return True
        if part != name:
            return False
    return True
