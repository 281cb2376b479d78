"""Which boot of the machine the records speak of."""

from __future__ import annotations

import sqlite3

from shoal.engine.boots import Boots


def test_boots_tells_another_boot_until_it_is_noted() -> None:
    """A new database speaks of none; a kill before `note` leaves the question as it was."""
    connection = sqlite3.connect(":memory:", isolation_level=None)
    first = Boots(connection, "first")
    assert not first.is_another
    first.note()
    assert not Boots(connection, "first").is_another
    second = Boots(connection, "second")
    assert second.is_another
    assert Boots(connection, "second").is_another
    second.note()
    assert not second.is_another
