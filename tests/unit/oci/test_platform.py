"""Platforms."""

from __future__ import annotations

import pytest

from shoal.errors import InvalidArgument
from shoal.oci.platform import Platform

HOST = Platform("linux", "amd64")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("linux/arm64", "linux/arm64"),
        ("linux/arm/v7", "linux/arm/v7"),
        ("linux", "linux/amd64"),
        ("aarch64", "linux/arm64"),
        ("Linux/X86_64", "linux/amd64"),
        ("windows/amd64", "windows/amd64"),
    ],
)
def test_parse_known_spelling_is_normalised(text: str, expected: str) -> None:
    """Users' spellings of a platform become Go's, and parts left out are the host's."""
    assert str(Platform.parse(text, host=HOST)) == expected


@pytest.mark.parametrize("text", ["", "a/b/c/d", "linux/", "plan9000", "linux/a;b"])
def test_parse_nonsense_is_refused(text: str) -> None:
    """What is no platform is an invalid argument."""
    with pytest.raises(InvalidArgument):
        Platform.parse(text, host=HOST)


def test_runs_other_architectures_not_but_older_arms() -> None:
    """A machine runs its own architecture, and on arm older variants."""
    assert HOST.runs(Platform("linux", "amd64"))
    assert not HOST.runs(Platform("linux", "arm64"))
    assert Platform.of_machine("armv7l").runs(Platform("linux", "arm", "v6"))
    assert not Platform.of_machine("armv6l").runs(Platform("linux", "arm", "v7"))
