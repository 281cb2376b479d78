"""Regular expressions that clients write."""

from __future__ import annotations

import pytest

from shoal.api.patterns import Pattern, PatternSet
from shoal.errors import InvalidArgument


def test_pattern_is_found_in_a_text_or_is_all_of_it() -> None:
    """A part suffices for the one question, and only the whole for the other."""
    pattern = Pattern("b+|caf.")
    assert pattern.is_in("abba")
    assert not pattern.is_all_of("abba")
    assert pattern.is_all_of("caf\u00e9")
    assert not pattern.is_in("")


@pytest.mark.timeout(5)
def test_pattern_no_expression_takes_long() -> None:
    """Time grows with the text and not with the ways to divide it."""
    assert not Pattern("^(a+)+$").is_in("a" * 100_000 + "b")
    assert not Pattern("(x+x+)+y").is_in("x" * 100_000)


@pytest.mark.parametrize(
    ("expression", "sentence"),
    [
        ("(", "missing closing ): `(`"),
        ("a[b", "missing closing ]: `[b`"),
        ("a)", "unexpected ): `a)`"),
        ("a**", "invalid nested repetition operator: `**`"),
        ("*", "missing argument to repetition operator: `*`"),
        ("a{1001}", "invalid repeat count: `{1001}`"),
        ("(?<=a)b", "invalid or unsupported Perl syntax: `(?<=`"),
        ("\\1", "invalid escape sequence: `\\1`"),
        ("\\", "trailing backslash at end of expression"),
        ("\udcff", "invalid UTF-8: `?`"),
    ],
)
def test_pattern_what_is_none_is_refused_in_gos_words(expression: str, sentence: str) -> None:
    """A client reads the sentence that it knows from Docker."""
    with pytest.raises(InvalidArgument) as refused:
        Pattern(expression)
    assert str(refused.value) == f"error parsing regexp: {sentence}"


def test_pattern_text_that_is_no_utf8_is_looked_at() -> None:
    """A name with odd bytes neither fails nor hides the rest of it."""
    assert Pattern("b").is_in("a\udcffb")


def test_pattern_is_found_where_its_first_match_is() -> None:
    """The place is one in the text's characters, whatever their length in bytes."""
    assert Pattern("b+").find("äbbab") == (1, 3)
    assert Pattern("b").find("\udcffb") == (1, 2)
    assert Pattern("x").find("b") is None
    assert list(Pattern("b+").each("äbbabä")) == [(1, 3), (4, 5)]


def test_pattern_set_finds_all_that_match() -> None:
    """Which expressions match is told by their numbers, in order."""
    several = PatternSet(["b", "^a", "x", "", "é"])
    assert several.found_in("ab") == [0, 1, 3]
    assert several.found_in("\udcffé") == [3, 4]
    assert PatternSet([]).found_in("a") == []


def test_pattern_set_too_large_for_one_go_finds_the_same() -> None:
    """Where RE2 has not the memory for all at once, each is looked for."""
    large = [f"^(?:(?:.*/)?a){{200}}(?:x|{number})" for number in range(40)]
    several = PatternSet([*large, "^a"])
    assert several.found_in("a/" * 400 + "a7") == [7, 40]


def test_pattern_set_what_is_none_is_refused() -> None:
    """A wrong expression among others is told as if it stood alone."""
    with pytest.raises(InvalidArgument, match="missing closing"):
        PatternSet(["a", "("])
