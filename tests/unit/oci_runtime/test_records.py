"""The directories of an OCI runtime's containers, when two calls are at one of them."""

from __future__ import annotations

import fcntl
from pathlib import Path

import pytest

from shoal.errors import NotFound
from shoal.oci_runtime.records import find, reserve


def test_lock_of_an_id_that_was_given_anew_meanwhile_is_not_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who waited for a container that was deleted gets no lock that its successor does not know of."""
    reserve(str(tmp_path), "one").unlock()
    waiting = find(str(tmp_path), "one")
    flock = fcntl.flock

    def deleted_and_made_anew(number: int, operation: int) -> None:
        monkeypatch.setattr(fcntl, "flock", flock)
        reserve_again = find(str(tmp_path), "one")
        reserve_again.lock()
        (tmp_path / "one").rename(tmp_path / "gone")
        reserve(str(tmp_path), "one").unlock()
        reserve_again.unlock()
        flock(number, operation)

    monkeypatch.setattr(fcntl, "flock", deleted_and_made_anew)
    with pytest.raises(NotFound):
        waiting.lock()
