"""Typed access to JSON."""

from __future__ import annotations

import json

import pytest

from shoal.client.document import Document, Json, indented_json, json_text, parse_documents, parse_json
from shoal.errors import Internal

SAMPLE = Document({"A": {"B": [1, "x", {"C": "y"}], "N": None, "T": True, "F": 1.5}, "S": "s"})


def test_document_accessors_give_what_is_there() -> None:
    """Each accessor finds its type at its path."""
    assert SAMPLE.text("S") == "s"
    assert SAMPLE.flag("A", "T")
    assert SAMPLE.texts("A", "B") == ["x"]
    assert SAMPLE.children("A", "B")[0].text("C") == "y"
    assert SAMPLE.number("A", "F") == 1
    assert SAMPLE.child("A").mapping("Q") == {}


def test_document_accessors_give_empty_values_for_what_is_missing_or_else() -> None:
    """Missing, null and other types read as the empty value: Docker omits empty fields."""
    assert SAMPLE.text("A") == "" == SAMPLE.text("S", "T", "U")
    assert SAMPLE.number("S") == 0 == SAMPLE.number("A", "T")
    assert SAMPLE.texts("A", "N") == [] == SAMPLE.children("S")
    assert not SAMPLE.flag("A", "F")


def test_parse_documents_null_is_an_empty_list() -> None:
    """Go's encoder writes null for an empty list."""
    assert parse_documents(b"null", "it") == []


@pytest.mark.parametrize("data", [b"", b"{", b"{}", b"3"])
def test_parse_documents_of_something_else_names_it(data: bytes) -> None:
    """The error says which answer was malformed."""
    with pytest.raises(Internal, match="the answer"):
        parse_documents(data, "the answer")


@pytest.mark.parametrize(
    "value",
    [
        None,
        [],
        {},
        [True, False, None, 0, -1, 1.5, 10**30, ""],
        {"a": {"b": [1, {"c": 'ö\n"\\\x7f\u2028'}], "d": {}, "e": []}},
        "plain",
    ],
)
def test_json_is_written_as_the_standard_library_would(value: Json) -> None:
    """The own writers, which save its import, say the same to the letter; and what they wrote is read back."""
    assert json_text(value) == json.dumps(value, separators=(",", ":"))
    assert indented_json(value) == json.dumps(value, indent=4, ensure_ascii=False)
    assert parse_json(f" \n{indented_json(value)}\t", "it") == value


@pytest.mark.parametrize("text", ["", " ", "{", "[1,]", "{1:2}", "nul", "1 2", "[" * 100000, '"\x01"', "\ufeff{}"])
def test_parse_json_refuses_what_is_none(text: str) -> None:
    """Told as the engine's fault, with the name of what was read."""
    with pytest.raises(Internal, match="the answer is not JSON"):
        parse_json(text, "the answer")
