"""The WWW-Authenticate header."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoal.image.registry.challenges import Challenge, parse_challenges


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ('Basic realm="a b"', [Challenge("basic", {"realm": "a b"})]),
        (
            'Bearer realm="https://auth/token",service="registry",scope="repository:a/b:pull,push"',
            [
                Challenge(
                    "bearer",
                    {"realm": "https://auth/token", "service": "registry", "scope": "repository:a/b:pull,push"},
                )
            ],
        ),
        (
            'Bearer realm="x", Basic realm="y"',
            [Challenge("bearer", {"realm": "x"}), Challenge("basic", {"realm": "y"})],
        ),
        ('BEARER Realm="q\\"uote", service=plain', [Challenge("bearer", {"realm": 'q"uote', "service": "plain"})]),
        ("", []),
        ('="', []),
    ],
)
def test_parse_challenges_of_registries(header: str, expected: list[Challenge]) -> None:
    """Schemes and names in any case, quoted and plain values, several challenges in one header."""
    assert parse_challenges(header) == expected


@given(st.text(max_size=200))
def test_parse_challenges_of_anything_ends(header: str) -> None:
    """Whatever a registry sends, the parser comes back with challenges that have a scheme."""
    assert all(challenge.scheme for challenge in parse_challenges(header))
