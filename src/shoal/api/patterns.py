"""Regular expressions that clients write, by RE2: no expression, on no text, takes long.

The reference's expressions are Go's, whose syntax is RE2's; Python's own `re` would let one filter hold the daemon up
for hours. This is RE2's one door; it is loaded at the first expression, because most clients never send any.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from shoal.errors import InvalidArgument

# RE2's default is 8 MiB an expression, and its binding keeps the last 128.
_MAX_MEMORY_BYTES = 512 * 1024
# What Go says, by what RE2 says.
_GO_WORDS = {
    "bad repetition operator": "invalid nested repetition operator",
    "invalid perl operator": "invalid or unsupported Perl syntax",
    "invalid repetition size": "invalid repeat count",
    "missing )": "missing closing )",
    "missing ]": "missing closing ]",
    "no argument for repetition operator": "missing argument to repetition operator",
    "pattern too large - compile failed": "expression too large",
    "trailing \\": "trailing backslash at end of expression",
}


class Pattern:
    """A regular expression in RE2's syntax. What is no UTF-8 is found by none."""

    __slots__ = ("_regexp",)

    def __init__(self, expression: str) -> None:
        """Raises: InvalidArgument, in Go's words, for what is no expression."""
        import re2

        options = re2.Options()
        options.max_mem = _MAX_MEMORY_BYTES
        options.log_errors = False
        try:
            self._regexp = re2.compile(expression, options)
        except UnicodeEncodeError:
            raise InvalidArgument(f"error parsing regexp: invalid UTF-8: `{_shown(expression)}`") from None
        except re2.error as refusal:
            raise InvalidArgument(f"error parsing regexp: {_in_gos_words(refusal.args[0])}") from None

    def is_in(self, text: str) -> bool:
        """Whether a part of `text` matches."""
        return self._regexp.search(_shown(text)) is not None

    def find(self, text: str) -> tuple[int, int] | None:
        """Where the first match begins and ends, None where there is none."""
        match = self._regexp.search(_shown(text))
        return match.span() if match else None

    def each(self, text: str) -> Iterator[tuple[int, int]]:
        """Where the matches begin and end, one behind the other; those without length too."""
        return (match.span() for match in self._regexp.finditer(_shown(text)))

    def is_all_of(self, text: str) -> bool:
        """Whether the whole of `text` matches."""
        return self._regexp.fullmatch(_shown(text)) is not None


class PatternSet:
    """Several expressions that are looked for in one go, however many they are."""

    __slots__ = ("_expressions", "_set")

    def __init__(self, expressions: Sequence[str]) -> None:
        """Raises: InvalidArgument, in Go's words, for what is no expression."""
        import re2

        options = re2.Options()
        options.log_errors = False
        self._expressions = tuple(expressions)
        self._set = re2.Set.SearchSet(options)
        try:
            for expression in expressions:
                self._set.Add(_shown(expression))
            # It is in every text: where it is not found, RE2 ran out of memory, which it does not tell.
            self._set.Add("")
            self._set.Compile()
        except re2.error:
            self._set = None
            for expression in expressions:
                Pattern(expression)

    def found_in(self, text: str) -> list[int]:
        """The indices of the expressions that match a part of `text`, in order."""
        found = self._set.Match(_shown(text)) if self._set else None
        if found is None:
            return [index for index, one in enumerate(self._expressions) if Pattern(one).is_in(text)]
        return sorted(found)[:-1]


def _shown(text: str) -> str:
    """The text with U+FFFD for surrogates, as Go reads bytes that are no UTF-8."""
    return text.encode(errors="replace").decode() if not text.isascii() else text


def _in_gos_words(refusal: bytes | str) -> str:
    words = refusal.decode(errors="replace") if isinstance(refusal, bytes) else refusal
    reason, colon, place = words.partition(": ")
    return _GO_WORDS.get(reason, reason) + (f": `{place}`" if colon else "")
