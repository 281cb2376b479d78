"""Regular expressions that clients write, by RE2: no expression, on no text, takes long.

The reference's expressions are Go's, whose syntax is RE2's; Python's own `re` would let one filter hold the daemon up
for hours. This is RE2's one door; it is loaded at the first expression, because most clients never send any.
"""

from __future__ import annotations

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

    def is_all_of(self, text: str) -> bool:
        """Whether the whole of `text` matches."""
        return self._regexp.fullmatch(_shown(text)) is not None


def _shown(text: str) -> str:
    """The text with U+FFFD for surrogates, as Go reads bytes that are no UTF-8."""
    return text.encode(errors="replace").decode() if not text.isascii() else text


def _in_gos_words(refusal: bytes | str) -> str:
    words = refusal.decode(errors="replace") if isinstance(refusal, bytes) else refusal
    reason, colon, place = words.partition(": ")
    return _GO_WORDS.get(reason, reason) + (f": `{place}`" if colon else "")
