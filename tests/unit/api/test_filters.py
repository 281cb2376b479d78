"""Filters in both JSON forms, and how they match."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoal.api.filters import Filters
from shoal.errors import InvalidArgument


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("", {}),
        ("{}", {}),
        ("null", {}),
        ('{"label":["a","b"]}', {"label": ["a", "b"]}),
        ('{"label":{"a":true,"b":true}}', {"label": ["a", "b"]}),
        ('{"label":{"a":true,"b":false}}', {"label": ["a", "b"]}),
        ('{"label":null,"id":[]}', {}),
        ('{"a":["x"],"b":{"y":true}}', {"a": ["x"], "b": ["y"]}),
    ],
)
def test_filters_parse_both_forms(text: str, values: dict[str, list[str]]) -> None:
    """The list form and the map form that the docker command sends say the same."""
    assert Filters.parse(text) == Filters(values)


@pytest.mark.parametrize("text", ["{", "[]", '"a"', '{"a":"b"}', '{"a":[1]}', '{"a":{"b":"c"}}', "[" * 99_999])
def test_filters_parse_nonsense_is_refused(text: str) -> None:
    """What is neither form is an invalid filter."""
    with pytest.raises(InvalidArgument, match="invalid filter"):
        Filters.parse(text)


@given(st.text(max_size=50))
def test_filters_parse_any_text_is_filters_or_a_refusal(text: str) -> None:
    """No text does anything else."""
    try:
        Filters.parse(text)
    except InvalidArgument:
        pass


def test_filters_unknown_name_is_refused() -> None:
    """A filter that a list does not know is told, not ignored."""
    Filters({"id": ["x"]}).validate({"id", "name"})
    with pytest.raises(InvalidArgument, match="invalid filter 'colour'"):
        Filters({"colour": ["red"]}).validate({"id", "name"})


@pytest.mark.parametrize(
    ("values", "answer"), [(["true"], True), (["1"], True), (["False"], False), (["0"], False), ([], True)]
)
def test_filters_boolean_values(values: list[str], answer: bool) -> None:
    """Truth has two spellings, and a default."""
    assert Filters({"dangling": values}).boolean("dangling", default=True) is answer


@pytest.mark.parametrize("values", [["x"], ["true", "false"]])
def test_filters_boolean_nonsense_is_refused(values: list[str]) -> None:
    """What is both or neither is told in Docker's words."""
    with pytest.raises(InvalidArgument, match=r"invalid filter 'dangling=\["):
        Filters({"dangling": values}).boolean("dangling", default=True)


def test_filters_match_by_value_prefix_and_pattern() -> None:
    """An absent filter lets everything through; values of one filter are alternatives."""
    filters = Filters({"status": ["running", "paused"], "id": ["ab", "cd"], "name": ["^/we", "(", "a+b"]})
    assert filters.matches_exactly("status", "paused")
    assert not filters.matches_exactly("status", "exited")
    assert filters.matches_exactly("ancestor", "anything")
    assert filters.matches_prefix("id", "cdef")
    assert not filters.matches_prefix("id", "xcd")
    assert filters.matches_pattern("name", "/web1")
    assert not filters.matches_pattern("name", "/db")
    assert filters.matches_pattern("name", "(")
    assert filters.matches_pattern("name", "a+b")


@pytest.mark.timeout(5)
def test_filters_no_pattern_takes_long() -> None:
    """An expression that Python's own engine would search for hours finds nothing at once."""
    assert not Filters({"name": ["^(a+)+$", "(a|aa)*c"]}).matches_pattern("name", "a" * 60 + "b")


def test_filters_labels_must_all_match() -> None:
    """Labels add up; a value that holds `=` is compared whole."""
    labels = {"a": "1", "b": "x=y", "c": ""}
    assert Filters({"label": ["a", "b=x=y", "c="]}).matches_labels(labels)
    assert not Filters({"label": ["a=2"]}).matches_labels(labels)
    assert not Filters({"label": ["a", "d"]}).matches_labels(labels)
    assert Filters().matches_labels({})
