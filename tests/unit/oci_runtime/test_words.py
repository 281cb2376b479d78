"""Numbers, sizes, signals and times as the command line has them."""

from __future__ import annotations

import pytest

from shoal.errors import InvalidArgument
from shoal.linux.scheduling import numbers_in
from shoal.oci_runtime.arguments import parse
from shoal.oci_runtime.ending import signal_number
from shoal.oci_runtime.verbs.limits import duration_of, size_of, wanted_resources


@pytest.mark.parametrize(("text", "number"), [("9", 9), ("KILL", 9), ("SIGTERM", 15), ("sigint", 2), ("RTMIN+1", 35)])
def test_signal_number_takes_names_and_numbers(text: str, number: int) -> None:
    """Every way to write a signal."""
    assert signal_number(text) == number


@pytest.mark.parametrize("text", ["", "0", "65", "-1", "NOSUCH", "DFL", "_DFL", "TERM+1", "RTMIN+99"])
def test_signal_number_refuses_others(text: str) -> None:
    """What is no signal is told, constants of the signal module included."""
    with pytest.raises(InvalidArgument, match="unknown signal"):
        signal_number(text)


@pytest.mark.parametrize(
    ("text", "size"), [("1024", 1024), ("1k", 1024), ("1.5M", 3 << 19), ("2GiB", 2 << 30), ("-1", -1), ("7b", 7)]
)
def test_size_of_takes_units(text: str, size: int) -> None:
    """Binary units in all spellings, and -1 for no limit."""
    assert size_of(text) == size


@pytest.mark.parametrize("text", ["", "x", "1x", "-2", "1kk", "m", "inf", "nan"])
def test_size_of_refuses_others(text: str) -> None:
    """What is no size is told."""
    with pytest.raises(InvalidArgument, match="invalid size"):
        size_of(text)


@pytest.mark.parametrize(("text", "seconds"), [("5s", 5), ("250ms", 0.25), ("1m", 60)])
def test_duration_of_takes_units(text: str, seconds: float) -> None:
    """Go's durations, as far as they are of use here."""
    assert duration_of(text) == seconds


@pytest.mark.parametrize("text", ["", "5", "s", "-1s", "0s", "1sm", "infs"])
def test_duration_of_refuses_others(text: str) -> None:
    """What is no time to wait is told."""
    with pytest.raises(InvalidArgument, match="invalid duration"):
        duration_of(text)


@pytest.mark.parametrize(("text", "numbers"), [("", set()), ("3", {3}), ("0-2,7", {0, 1, 2, 7}), ("1, 3", {1, 3})])
def test_numbers_in_a_list(text: str, numbers: set[int]) -> None:
    """The lists of cpuset(7)."""
    assert numbers_in(text) == numbers


@pytest.mark.parametrize("text", ["x", "3-1", "-1", "1-", "0-99999999", ","])
def test_numbers_in_refuses_others(text: str) -> None:
    """A list that is none, or that would be huge, is told."""
    with pytest.raises(InvalidArgument, match="invalid list"):
        numbers_in(text)


def test_wanted_resources_are_the_specifications() -> None:
    """Each flag of `update` has its place in linux.resources."""
    words = ["update", "--memory", "1m", "--cpu-share", "5", "--cpuset-cpus", "0-1", "--pids-limit", "9"]
    call = parse([*words, "--blkio-weight", "10", "one"])
    assert wanted_resources(call.flags) == {
        "memory": {"limit": 1 << 20},
        "cpu": {"shares": 5, "cpus": "0-1"},
        "pids": {"limit": 9},
        "blockIO": {"weight": 10},
    }
