""".dockerignore by Docker's rules, and wildcards by Go's."""

from __future__ import annotations

import fnmatch
import posixpath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoal.build.dockerfile.ignore import IgnoreRules, ignore_files
from shoal.build.dockerfile.paths import PathPattern, clean, has_wildcards
from shoal.errors import InvalidArgument


@pytest.mark.parametrize(
    ("rules", "excluded", "kept"),
    [
        ("a", ["a", "a/b", "a/b/c"], ["b/a", "ab"]),
        ("/a", ["a"], ["b/a"]),
        ("./a/", ["a", "a/b"], ["b/a"]),
        ("a/../b", ["b"], ["a"]),
        ("*.log", ["x.log", "x.log/y"], ["d/x.log", "x.logs"]),
        ("*/x", ["a/x", "a/x/y"], ["x", "a/b/x"]),
        ("a?c", ["abc"], ["ac", "a/c", "abbc"]),
        ("a?", ["ab", "ab/c"], ["a/b"]),
        ("**/x", ["x", "a/x", "a/b/x", "a/x/y"], ["ax", "a/bx"]),
        ("a/**", ["a/x", "a/x/y"], ["a", "b/a/x"]),
        ("a/**/x", ["a/x", "a/b/x", "a/b/c/x"], ["x", "b/a/x"]),
        ("**/*.py", ["x.py", "a/b/x.py"], ["x.pyc"]),
        ("**", ["a", "a/b"], []),
        ("**end", ["end", "theend", "a/theend"], ["ended"]),
        ("**/**/x", ["x", "a/b/x"], ["ax"]),
        ("[a-c]x", ["ax", "cx"], ["dx", "-x"]),
        ("[^a-c]x", ["dx"], ["ax"]),
        (r"\*", ["*"], ["a"]),
        (r"a\b", ["ab"], [r"a\b"]),
        ("a.b", ["a.b"], ["axb"]),
        ("a+(b)|c", ["a+(b)|c"], ["aab", "c"]),
        ("*\n!keep", ["a", "a/keep"], ["keep", "keep/x"]),
        ("a\n!a/b\na/b/c", ["a/x", "a/b/c"], ["a/b", "a/b/d"]),
        ("!a\na", ["a"], []),
        ("a\n!  a", [], ["a"]),
        ("# comment\n\n  a  \n#b\n", ["a"], ["# comment", "#b"]),
        (" #a", ["#a"], []),
        ("\ufeffa\r\nb\r\n", ["a", "b"], []),
        ("", [], ["a"]),
        ("d\nE", ["d"], ["D", "e"]),
    ],
)
def test_rules_what_is_excluded_and_what_is_kept(rules: str, excluded: list[str], kept: list[str]) -> None:
    """Every form of a pattern, its order, and its spelling."""
    parsed = IgnoreRules.parse(rules)
    assert [path for path in excluded if not parsed.excludes(path)] == []
    assert [path for path in kept if parsed.excludes(path)] == []


@pytest.mark.parametrize(
    ("rules", "sentence"),
    [
        ("!", 'illegal exclusion pattern: "!"'),
        ("a[", "syntax error in pattern: a["),
        ("a[]", "syntax error in pattern: a[]"),
        ("[a-]", "syntax error in pattern: [a-]"),
        ("[-a]", "syntax error in pattern: [-a]"),
        ("a\\", "syntax error in pattern: a\\"),
    ],
)
def test_rules_that_are_none_are_refused(rules: str, sentence: str) -> None:
    """A mistake in a pattern is told, not passed over."""
    with pytest.raises(InvalidArgument) as refused:
        IgnoreRules.parse(rules)
    assert str(refused.value) == sentence


def test_may_return_below_is_true_where_an_exception_reaches() -> None:
    """A directory that is left out is walked through only if something in it may come back."""
    rules = IgnoreRules.parse("*\n!a/b/c\n!d/*/e\n")
    assert [name for name in ("a", "a/b", "a/b/c", "a/b/c/d", "d", "d/x") if not rules.may_return_below(name)] == []
    assert [name for name in ("b", "a/c", "e", "ab") if rules.may_return_below(name)] == []
    assert IgnoreRules.parse("*\n!**/x").may_return_below("any/where")
    assert not IgnoreRules.parse("*\n").may_return_below("a")


def test_ignore_files_beside_the_dockerfile_comes_first() -> None:
    """A Dockerfile may have rules of its own."""
    assert ignore_files("build/app.Dockerfile") == ("build/app.Dockerfile.dockerignore", ".dockerignore")


def test_rules_of_hostile_size_still_match() -> None:
    """Patterns that need more memory than the fast way has are matched one by one."""
    rules = IgnoreRules(["x", *("**/a" * 300 + f"/b{number}" for number in range(20)), "y"])
    assert rules.excludes("x/1")
    assert rules.excludes("y")
    assert not rules.excludes("a/" * 2000)


_NAME = st.text(alphabet="abAB.-", min_size=1, max_size=4).filter(lambda name: name not in (".", ".."))
_PATH = st.lists(_NAME, min_size=1, max_size=4).map("/".join)


@given(st.lists(_PATH, max_size=6), _PATH)
def test_rules_of_plain_paths_exclude_them_and_what_is_below(patterns: list[str], path: str) -> None:
    """Without wildcards a rule is the path or a directory above it."""
    expected = any(path == pattern or path.startswith(pattern + "/") for pattern in patterns)
    assert IgnoreRules(patterns).excludes(path) == expected


@given(st.lists(st.tuples(st.booleans(), _PATH), max_size=6), _PATH)
def test_rules_last_match_counts(rules: list[tuple[bool, str]], path: str) -> None:
    """Rules and exceptions are taken in their order, whatever it is."""
    expected = False
    for is_exception, pattern in rules:
        if IgnoreRules([pattern]).excludes(path):
            expected = not is_exception
    assert IgnoreRules(("!" if is_exception else "") + pattern for is_exception, pattern in rules).excludes(path) is (
        expected
    )


@given(st.text(alphabet="ab*?", max_size=8), st.text(alphabet="ab", max_size=8))
def test_path_pattern_without_slashes_is_a_shell_pattern(pattern: str, name: str) -> None:
    """Within one name `*` and `?` mean what they mean to the shell."""
    assert PathPattern(pattern).matches(name) == fnmatch.fnmatchcase(name, pattern)


@given(st.text(alphabet="ab/*?[]^-\\!", max_size=12), st.text(alphabet="ab/-^]", max_size=8))
def test_path_pattern_any_text_is_a_pattern_or_refused(pattern: str, path: str) -> None:
    """No text breaks the matcher, and a path always matches itself when it is escaped."""
    assert PathPattern("".join("\\" + character for character in path)).matches(path)
    try:
        PathPattern(pattern).matches(path)
    except InvalidArgument as refused:
        assert refused.what == "syntax error in pattern"  # noqa: PT017


@given(st.lists(st.sampled_from(["", ".", "..", "a", "b"]), max_size=6))
def test_clean_is_gos_clean(parts: list[str]) -> None:
    """A clean path has no part that says nothing, and is clean already when cleaned again."""
    cleaned = clean("/".join(parts))
    assert clean(cleaned) == cleaned
    assert cleaned == posixpath.normpath("/".join(parts)).replace("//", "/")


def test_has_wildcards_escaped_ones_are_none() -> None:
    """Only what is not escaped makes a path a pattern."""
    assert [path for path in ("a*", "a?", "[a]", r"\\*") if not has_wildcards(path)] == []
    assert [path for path in ("a", r"\*", r"a\[b]") if has_wildcards(path)] == []
