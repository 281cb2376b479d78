"""A short soak in the ordinary tests; `./dev test soak` goes on for ten minutes."""

from __future__ import annotations

import pytest

from tests.engines.shoald import Shoald
from tests.soak.soak import Soak


@pytest.mark.root
@pytest.mark.parametrize("seed", [1, 2])
def test_soak_short_holds(private_shoald: Shoald, seed: int) -> None:
    """Random operations of four clients and random kills: each answer is one of Docker's, no end or line is lost."""
    failures = Soak(private_shoald, seed).run(10)
    assert not failures, f"seed {seed}:\n" + "\n\n".join(failures)
