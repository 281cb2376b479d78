"""What the reader of a log file asks of its format."""

from __future__ import annotations

from typing import Protocol

from shoal.api.log import LogEntry


class LogFormat(Protocol):
    """How entries stand in a file: one record behind the other, none split over two files.

    Damage is passed over as far as the format allows, and never raises.
    """

    def parse(self, data: bytes) -> tuple[list[LogEntry], int]:
        """The entries of the whole records that `data` begins with, and how many bytes these are."""

    def first_record(self, data: bytes) -> int | None:
        """Where in `data`, which begins anywhere and ends with a record, the first whole record begins.

        None when that cannot be told from so little.
        """
