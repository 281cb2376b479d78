"""Names of containers."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from shoal.engine.container.names import invent_name, normalise_name
from shoal.errors import InvalidArgument


def _first(items: Sequence[str]) -> str:
    return items[0]


@pytest.mark.parametrize("name", ["web", "/web", "w1", "a.b_c-d"])
def test_normalise_name_allowed_loses_its_slash(name: str) -> None:
    """Names by Docker's rule pass."""
    assert normalise_name(name) == name.lstrip("/")


@pytest.mark.parametrize("name", ["a", "-web", "web/1", "wéb", "", "web "])
def test_normalise_name_forbidden_is_told_in_dockers_words(name: str) -> None:
    """Other names are refused with the sentence that clients know."""
    with pytest.raises(InvalidArgument) as caught:
        normalise_name(name)
    assert caught.value.what == f"Invalid container name ({name}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed"


def test_invent_name_free_is_two_words() -> None:
    """A made-up name is a mood and a fish."""
    assert invent_name(lambda _: False, _first) == "agile_anchovy"


def test_invent_name_taken_gets_digits() -> None:
    """When the words are taken, digits make the name unique."""
    assert invent_name({"agile_anchovy"}.__contains__, _first) == "agile_anchovy000"
