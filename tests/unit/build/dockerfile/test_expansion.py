"""What a word means in an environment."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoal.build.dockerfile.expansion import expand, expand_document, expand_words, unset_names
from shoal.errors import InvalidArgument

ENVIRONMENT = {"x": "a b", "empty": "", "path": "foo/bar/baz.tar.gz", "stars": "a*b?c", "_u1": "under", "é": "letter"}


@pytest.mark.parametrize(
    ("word", "meaning"),
    [
        ("plain", "plain"),
        ("$x", "a b"),
        ("${x}", "a b"),
        ("<$x>", "<a b>"),
        ("$x$x", "a ba b"),
        ("$_u1.", "under."),
        ("$é", "letter"),
        ("$missing", ""),
        ("${missing}", ""),
        ("$12", ""),
        ("$", "$"),
        ("$.", "$."),
        ("a$", "a$"),
        ("'$x'", "$x"),
        ('"$x"', "a b"),
        (r"\$x", "$x"),
        (r"'\$x'", r"\$x"),
        (r'"\$x"', "$x"),
        (r'"\a\"\\"', r"\a" + '"\\'),
        (r"\a\b", "ab"),
        ("end\\", "end"),
        ("a' 'b", "a b"),
        ("''", ""),
        ("${missing:-word}", "word"),
        ("${missing-word}", "word"),
        ("${empty:-word}", "word"),
        ("${empty-word}", ""),
        ("${x:-word}", "a b"),
        ("${missing:-${x}}", "a b"),
        ("${missing:-'$x'}", "$x"),
        ("${missing:-a}b}", "ab}"),
        (r"${missing:-a\}b}", "a}b"),
        ("${missing:-}", ""),
        ("${x:+word}", "word"),
        ("${empty:+word}", ""),
        ("${empty+word}", "word"),
        ("${missing+word}", ""),
        ("${x:?no}", "a b"),
        ("${empty?no}", ""),
        ("${path#*/}", "bar/baz.tar.gz"),
        ("${path##*/}", "baz.tar.gz"),
        ("${path%.*}", "foo/bar/baz.tar"),
        ("${path%%.*}", "foo/bar/baz"),
        ("${path#nothing}", "foo/bar/baz.tar.gz"),
        ("${path#???}", "/bar/baz.tar.gz"),
        (r"${stars#a\*}", "b?c"),
        (r"${stars%\?c}", "a*b"),
        ("${missing#*}", ""),
        ("${path/ba/BA}", "foo/BAr/baz.tar.gz"),
        ("${path//ba/BA}", "foo/BAr/BAz.tar.gz"),
        (r"${path//\//_}", "foo_bar_baz.tar.gz"),
        ("${path//a*/_}", "foo/b_"),
        ("${path/o/}", "fo/bar/baz.tar.gz"),
        ("${path//./$x}", "foo/bar/baza btara bgz"),
        ("${path//nothing/_}", "foo/bar/baz.tar.gz"),
    ],
)
def test_expand_each_form_means_what_the_reference_says(word: str, meaning: str) -> None:
    """Every form of a variable, quotes and escapes."""
    assert expand(word, ENVIRONMENT) == meaning


@pytest.mark.parametrize(
    ("word", "why"),
    [
        ("'open", "unexpected end of statement while looking for matching single-quote"),
        ('"open', "unexpected end of statement while looking for matching double-quote"),
        ("${", "syntax error: missing '}'"),
        ("${x", "syntax error: missing '}'"),
        ("${x:-a", "syntax error: missing '}'"),
        ("${x/a", "syntax error: missing '/' in ${}"),
        ("${x/a/b", "syntax error: missing '}'"),
        ("${}", "syntax error: bad substitution"),
        ("${:x}", "syntax error: bad substitution"),
        ("${x^}", "unsupported modifier (^) in substitution"),
        ("${x:#a}", "unsupported modifier (:#) in substitution"),
        ("${missing?}", "missing: is not allowed to be unset"),
        ("${empty:?}", "empty: is not allowed to be empty"),
        ("${missing:?give it}", "missing: give it"),
        ("${x:-" * 200, "substitutions are nested too deeply"),
    ],
)
def test_expand_wrong_word_is_refused_with_its_reason(word: str, why: str) -> None:
    """What is no word, or asks for a variable that is not there, says which word and why."""
    with pytest.raises(InvalidArgument) as refused:
        expand(word, ENVIRONMENT)
    quoted = word[:200].replace('"', '\\"')
    assert str(refused.value) == f'failed to process "{quoted}": {why}'


def test_expand_grows_within_bounds() -> None:
    """Values that are made of values, and replacements of every letter, end with a refusal, not with the memory."""
    environment = {"v": "x" * 1000}
    for _ in range(2):
        environment["v"] = expand("$v" * 30, environment)
    for word in ("$v" * 30, "${v//x/" + "y" * 1000 + "}", "${none:-" + "$v" * 30 + "}"):
        with pytest.raises(InvalidArgument, match="too long"):
            expand(word, environment)
    assert len(expand("${v//x/yy}", {"v": "x" * 100_000})) == 200_000


def test_expand_other_escape_takes_its_place() -> None:
    """With the backtick as the escape a backslash is a letter like any other."""
    assert expand(r"C:\dir`$x\$x", {"x": "1"}, "`") == r"C:\dir$x\1"


@pytest.mark.parametrize(
    ("word", "words"),
    [
        ("a b", ["a", "b"]),
        ("  a  ", ["a"]),
        ("$x", ["a", "b"]),
        ('"$x"', ["a b"]),
        ("$x.c", ["a", "b.c"]),
        ("$missing", []),
        (r"a\ b", ["a b"]),
        ("'a b'c d", ["a bc", "d"]),
    ],
)
def test_expand_words_only_unquoted_spaces_part_words(word: str, words: list[str]) -> None:
    """A value that holds spaces becomes several words, unless it is quoted."""
    assert expand_words(word, ENVIRONMENT) == words


def test_expand_document_keeps_quotes_and_resolves_escapes() -> None:
    """In a heredoc quotes are text, and the backslash takes itself away as it does in a word."""
    assert expand_document('"$x" it\'s \\$x \\\\ ${x}\n', ENVIRONMENT) == '"a b" it\'s $x \\ a b\n'


@pytest.mark.parametrize(
    ("word", "names"),
    [
        ("$a ${b} $x", ["a", "b"]),
        ("${a:-$b}", ["b"]),
        ("${x:-$b}", []),
        ("${a:+$b}", []),
        ("${x:+$b}", ["b"]),
        ("${a#b}", ["a"]),
        ("'$a'", []),
    ],
)
def test_unset_names_are_those_without_a_default(word: str, names: list[str]) -> None:
    """A variable counts as missing where its absence changes the word, and nobody said what to put instead."""
    assert unset_names(word, ENVIRONMENT) == names


@given(st.text(alphabet="ab $\\'\"{}:-+?#%/*_", max_size=40))
def test_expand_any_text_ends_in_a_word_or_a_refusal(word: str) -> None:
    """No text breaks the reader, whatever stands in it."""
    try:
        whole = expand(word, {"a": "1 2", "b": ""})
    except InvalidArgument:
        return
    assert isinstance(whole, str)
    assert "".join("".join(expand_words(word, {"a": "1 2", "b": ""})).split()) == "".join(whole.split())


@given(st.text(max_size=40))
def test_expand_quoted_text_is_itself(text: str) -> None:
    """Whatever stands between single quotes is taken as it is."""
    assert expand("'" + text.replace("'", "'\\''") + "'", {}) == text


@given(st.text(alphabet="ab/.*\n-^[(", max_size=20), st.text(alphabet="ab/.", max_size=4))
def test_expand_trimming_a_literal_is_what_removeprefix_does(value: str, part: str) -> None:
    """A pattern without wildcards removes just itself, from either end, and nothing else has a meaning in it."""
    glob = part.replace("/", "\\/")
    assert expand("${v#" + glob + "}", {"v": value}) == value.removeprefix(part)
    assert expand("${v%" + glob + "}", {"v": value}) == value.removesuffix(part)
    if part:
        assert expand("${v//" + glob + "/_}", {"v": value}) == value.replace(part, "_")
