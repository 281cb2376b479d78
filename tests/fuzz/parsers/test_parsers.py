"""The fuzz targets with a little made-up input: they take their seeds, and never stumble over what is left of them."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fuzz.parsers.targets import TARGETS, feed


@pytest.mark.parametrize("name", TARGETS)
def test_target_reads_its_seeds(name: str) -> None:
    """What a fuzzer begins with is taken, not refused: else it would never get deep."""
    for seed in TARGETS[name].seeds:
        TARGETS[name].read(seed)


@pytest.mark.parametrize("name", TARGETS)
@settings(max_examples=60)
@given(data=st.data())
def test_target_never_stumbles_over_damaged_input(name: str, data: st.DataObject) -> None:
    """Bytes changed, cut out, doubled or put in anywhere: read, or refused as an invalid argument."""
    mangled = bytearray(data.draw(st.sampled_from(TARGETS[name].seeds)))
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(mangled)))
        gone = data.draw(st.integers(0, 20))
        mangled[at : at + gone] = data.draw(st.binary(max_size=20))
    feed(TARGETS[name], bytes(mangled))
