"""The flags of health checks in the body of a create call."""

from __future__ import annotations

import pytest

from shoal.errors import InvalidArgument
from tests.unit.cli.test_create_request import body_of

MS = 1_000_000
S = 1000 * MS


def test_health_flags_fill_the_check() -> None:
    """All of them, in nanoseconds; a command goes to the container's shell."""
    flags = ["--health-cmd", "curl -f x", "--health-interval", "1m30s", "--health-timeout", "1.5s"]
    flags += ["--health-start-period", "2m", "--health-start-interval", "250ms", "--health-retries", "5"]
    assert body_of(*flags, "busybox")["Healthcheck"] == {
        "Test": ["CMD-SHELL", "curl -f x"],
        "Interval": 90 * S,
        "Timeout": 1500 * MS,
        "StartPeriod": 120 * S,
        "StartInterval": 250 * MS,
        "Retries": 5,
    }


def test_health_flags_leave_the_rest_to_the_image() -> None:
    """What was not given is not in the body, and without any flag there is no check in it."""
    assert body_of("--health-interval", "5s", "busybox")["Healthcheck"] == {"Interval": 5 * S}
    assert "Healthcheck" not in body_of("busybox")
    assert body_of("--no-healthcheck", "busybox")["Healthcheck"] == {"Test": ["NONE"]}


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--no-healthcheck", "--health-retries", "1"], "--no-healthcheck conflicts with --health-* options"),
        (["--health-interval", "-1s"], "--health-interval cannot be negative"),
        (["--health-timeout", "-1s"], "--health-timeout cannot be negative"),
        (["--health-start-period", "-1s"], "--health-start-period cannot be negative"),
        (["--health-start-interval", "-1s"], "--health-start-interval cannot be negative"),
        (["--health-retries", "-1"], "--health-retries cannot be negative"),
        (["--health-interval", "soon"], 'invalid argument "soon" for "--health-interval" flag'),
    ],
)
def test_health_flags_that_make_no_sense_are_refused(words: list[str], sentence: str) -> None:
    """In Docker's words."""
    with pytest.raises(InvalidArgument) as caught:
        body_of(*words, "busybox")
    assert caught.value.what.startswith(sentence)


def test_on_unhealthy_is_a_label() -> None:
    """So that it is the same through every client; other labels stay."""
    labels = body_of("--on-unhealthy", "restart", "-l", "a=b", "busybox")["Labels"]
    assert labels == {"a": "b", "shoal.on-unhealthy": "restart"}
