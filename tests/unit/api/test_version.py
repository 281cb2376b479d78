"""Which versions of the API are served, and the keys that detach."""

from __future__ import annotations

import pytest

from shoal.api.detach_keys import parse_detach_keys
from shoal.api.version import MAXIMUM, MINIMUM, ApiVersion, parse_version
from shoal.errors import InvalidArgument


def test_version_is_compared_by_numbers() -> None:
    """1.9 is older than 1.24."""
    assert parse_version("1.24") == MINIMUM
    assert parse_version("1.50") == MAXIMUM == ApiVersion(1, 50)
    assert ApiVersion(1, 9) < MINIMUM
    assert str(parse_version("1.41")) == "1.41"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (
            "1.23",
            "client version 1.23 is too old. Minimum supported API version is 1.24, "
            "please upgrade your client to a newer version",
        ),
        ("1.99", "client version 1.99 is too new. Maximum supported API version is 1.50"),
        ("2.0", "client version 2.0 is too new. Maximum supported API version is 1.50"),
        ("1", "invalid API version: '1'"),
        ("1.", "invalid API version: '1.'"),
        ("..", "invalid API version: '..'"),
        ("1.2.3", "invalid API version: '1.2.3'"),
        ("1." + "9" * 99, "invalid API version: "),
    ],
)
def test_version_out_of_range_is_told_in_dockers_words(text: str, sentence: str) -> None:
    """Clients print this sentence to their users."""
    with pytest.raises(InvalidArgument) as caught:
        parse_version(text)
    assert str(caught.value).startswith(sentence)


@pytest.mark.parametrize(
    ("text", "keys"),
    [("", b"\x10\x11"), ("ctrl-p,ctrl-q", b"\x10\x11"), ("a,b", b"ab"), ("ctrl-@,ctrl-_,CTRL-Z", b"\x00\x1f\x1a")],
)
def test_detach_keys_are_bytes(text: str, keys: bytes) -> None:
    """A sequence of names is the sequence of bytes that a terminal sends."""
    assert parse_detach_keys(text) == keys


@pytest.mark.parametrize("text", ["ctrl-", "ctrl-1", "abc", "a,", "ä"])
def test_detach_keys_nonsense_is_refused(text: str) -> None:
    """A key that no terminal has is told."""
    with pytest.raises(InvalidArgument, match="Invalid detach keys"):
        parse_detach_keys(text)
