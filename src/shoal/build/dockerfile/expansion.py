"""What a word means in an environment: variables are replaced, quotes and escapes resolved.

    $name ${name}        the value, or nothing
    ${name:-word}        word where the variable is unset or empty   ${name-word}   where it is unset
    ${name:+word}        word where it is set and not empty          ${name+word}   where it is set
    ${name:?word}        an error where it is unset or empty         ${name?word}   where it is unset
    ${name#glob} ##      without the shortest, the longest beginning that the glob matches
    ${name%glob} %%      without the shortest, the longest end
    ${name/glob/word}    the first match replaced                    ${name//glob/word}   each of them

Pure. Docker's Dockerfile reference §Environment replacement. The rules are the shell's as far as they go, but an escape
outside of quotes always takes itself away, and a value is never split but by `expand_words`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from shoal.build.dockerfile.globs import replace_glob, without_prefix, without_suffix
from shoal.errors import InvalidArgument

_SPECIAL_PARAMETERS = "@*#?-$!0"
# Deeper nesting than this is no Dockerfile's; it would end in Python's own limit.
_DEEPEST = 100
_SHOWN_CHARACTERS = 200
# What variables may add to one word: values that are made of values grow without end.
_MOST_CHARACTERS = 1 << 20


def expand(word: str, environment: Mapping[str, str], escape: str = "\\") -> str:
    """The meaning of `word`, as one word whatever is in the variables.

    Raises: InvalidArgument in Docker's sentence, `failed to process "${x": …`.
    """
    return Expansion(word, environment, escape).whole()


def expand_words(word: str, environment: Mapping[str, str], escape: str = "\\") -> list[str]:
    """The words that `word` becomes where spaces that come out of variables, or are not quoted, part them.

    Raises: InvalidArgument.
    """
    return Expansion(word, environment, escape).words()


def expand_document(text: str, environment: Mapping[str, str]) -> str:
    """The content of a heredoc with its variables replaced: quotes are text there, the escape is the backslash.

    Raises: InvalidArgument.
    """
    return Expansion(text, environment, "\\", quotes=False).whole()


def unset_names(word: str, environment: Mapping[str, str], escape: str = "\\") -> list[str]:
    """The variables that `word` uses without a default though they are not set, in their order.

    Raises: InvalidArgument.
    """
    expansion = Expansion(word, environment, escape)
    expansion.whole()
    return expansion.unset


class Expansion:
    """One reading of one word. `raw` leaves quotes, escapes and unset variables as they are written."""

    def __init__(
        self,
        word: str,
        environment: Mapping[str, str],
        escape: str,
        *,
        quotes: bool = True,
        raw: bool = False,
        unset_as_written: bool = False,
    ) -> None:
        self.unset: list[str] = []
        self._word = word
        self._environment = environment
        self._escape = escape
        self._quotes = quotes
        self._raw = raw
        self._unset_as_written = raw or unset_as_written
        self._at = 0
        self._depth = 0
        self._added = 0

    def whole(self) -> str:
        """The meaning as one word."""
        return "".join(text for text, _ in self._read())

    def words(self) -> list[str]:
        """The meaning as the words between spaces that are not quoted."""
        words: list[str] = []
        current: list[str] = []
        for text, is_quoted in self._read():
            if is_quoted:
                current.append(text)
                continue
            for character in text:
                if not character.isspace():
                    current.append(character)
                elif current:
                    words.append("".join(current))
                    current = []
        words.append("".join(current))
        return [word for word in words if word]

    def _read(self) -> list[tuple[str, bool]]:
        try:
            return self._until("")
        except _SyntaxError as problem:
            quoted = json.dumps(self._word[:_SHOWN_CHARACTERS], ensure_ascii=False)  # as Go's %q
            raise InvalidArgument(f"failed to process {quoted}", why=str(problem)) from None

    def _peek(self) -> str:
        return self._word[self._at : self._at + 1]

    def _next(self) -> str:
        character = self._word[self._at : self._at + 1]
        self._at += 1
        return character

    def _until(self, stop: str, *, keep_escapes: bool = False) -> list[tuple[str, bool]]:
        """The parts up to the character `stop` ("": the end), each with whether its spaces are quoted."""
        parts: list[tuple[str, bool]] = []
        while character := self._peek():
            if character == stop:
                self._at += 1
                return parts
            if character == "$":
                parts.append((self._dollar(), False))
            elif self._quotes and character == "'":
                parts.append((self._single_quoted(), True))
            elif self._quotes and character == '"':
                parts.append((self._double_quoted(), True))
            elif character == self._escape:
                self._at += 1
                kept = character if keep_escapes or self._raw else ""
                parts.append((kept + self._next(), True))
            else:
                self._at += 1
                parts.append((character, False))
        if stop:
            raise _SyntaxError(f"unexpected end of statement while looking for matching {stop}")
        return parts

    def _single_quoted(self) -> str:
        start = self._at
        end = self._word.find("'", start + 1)
        if end < 0:
            raise _SyntaxError("unexpected end of statement while looking for matching single-quote")
        self._at = end + 1
        return self._word[start : end + 1] if self._raw else self._word[start + 1 : end]

    def _double_quoted(self) -> str:
        self._at += 1
        parts = ['"'] if self._raw else []
        while character := self._peek():
            if character == "$":
                parts.append(self._dollar())
                continue
            self._at += 1
            if character == '"':
                return "".join(parts) + ('"' if self._raw else "")
            if character == self._escape and self._peek() and self._peek() in f'"${self._escape}':
                parts.append(character * self._raw + self._next())
            elif character != self._escape or self._peek():
                parts.append(character)
        raise _SyntaxError("unexpected end of statement while looking for matching double-quote")

    def _dollar(self) -> str:
        start = self._at
        self._at += 1
        if self._peek() == "{":
            self._at += 1
            if self._depth == _DEEPEST:
                raise _SyntaxError("substitutions are nested too deeply")
            self._depth += 1
            value = self._braced(start)
            self._depth -= 1
        else:
            name = self._name()
            value = self._plain(name, start) if name else "$"
        self._added += len(value)
        if self._added > _MOST_CHARACTERS:
            raise _SyntaxError("the variables are too long")
        return value

    def _name(self) -> str:
        """The variable's name at this point: letters, digits and underscores, only digits, or one special sign."""
        start = self._at
        if self._peek().isdecimal():
            while self._peek().isdecimal():
                self._at += 1
        elif self._peek() and self._peek() in _SPECIAL_PARAMETERS:
            self._at += 1
        else:
            while self._peek() == "_" or self._peek().isalnum():
                self._at += 1
        return self._word[start : self._at]

    def _braced(self, start: int) -> str:
        if not self._peek():
            raise _SyntaxError("syntax error: missing '}'")
        if self._peek() in "{}:":
            raise _SyntaxError("syntax error: bad substitution")
        name = self._name()
        modifier = self._next()
        if modifier == "}":
            return self._plain(name, start)
        if modifier == ":":
            modifier += self._next()
        if modifier == "/":
            return self._replaced(name, start)
        if modifier in ("#", "%"):
            return self._trimmed(name, modifier, start)
        if modifier[-1:] in ("-", "+", "?") and modifier.strip(":"):
            return self._with_default(name, modifier, start)
        if not modifier:
            raise _SyntaxError("syntax error: missing '}'")
        raise _SyntaxError(f"unsupported modifier ({modifier}) in substitution")

    def _plain(self, name: str, start: int) -> str:
        value = self._environment.get(name)
        if value is None:
            self.unset.append(name)
            return self._word[start : self._at] if self._unset_as_written else ""
        return value

    def _operand(self, stop: str, missing: str, *, keep_escapes: bool = False) -> str:
        try:
            return "".join(text for text, _ in self._until(stop, keep_escapes=keep_escapes))
        except _SyntaxError:
            if self._peek():
                raise
            raise _SyntaxError(missing) from None

    def _with_default(self, name: str, modifier: str, start: int) -> str:
        used = len(self.unset)
        word = self._operand("}", "syntax error: missing '}'")
        if self._unset_as_written:
            return self._word[start : self._at]
        value = self._environment.get(name)
        is_missing = value is None or (modifier[0] == ":" and not value)
        if is_missing == (modifier[-1] == "+"):
            del self.unset[used:]  # those of a default that is not taken
        if modifier[-1] == "+":
            return "" if is_missing else word
        if not is_missing:
            return value or ""
        if modifier[-1] == "-":
            return word
        raise _SyntaxError(f"{name}: {word or 'is not allowed to be ' + ('unset' if value is None else 'empty')}")

    def _trimmed(self, name: str, modifier: str, start: int) -> str:
        is_greedy = self._peek() == modifier
        self._at += is_greedy
        glob = self._operand("}", "syntax error: missing '}'", keep_escapes=True)
        value = self._plain(name, start)
        if self._unset_as_written:
            return value
        trim = without_prefix if modifier == "#" else without_suffix
        return trim(value, glob, greedy=is_greedy)

    def _replaced(self, name: str, start: int) -> str:
        is_global = self._peek() == "/"
        self._at += is_global
        glob = self._operand("/", "syntax error: missing '/' in ${}", keep_escapes=True)
        replacement = self._operand("}", "syntax error: missing '}'")
        value = self._plain(name, start)
        return value if self._unset_as_written else replace_glob(value, glob, replacement, every=is_global)


class _SyntaxError(Exception):
    """What is wrong with a word, without the word."""
