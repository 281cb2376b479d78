"""One owner for one file descriptor.

Used by every process. Invariant: a descriptor number is closed once, by the Fd that owns it or by the one
that took it over with `detach`; a closed Fd holds -1, so that it can never close a number that was given
away.
"""

from __future__ import annotations

import fcntl
import os


class Fd:
    """An open file descriptor that is closed when its owner goes.

    It is a context manager, has `fileno()` for select and socket, and stands for its number wherever the
    standard library takes an index (`os.fstat(fd)`, `dir_fd=fd`).
    """

    __slots__ = ("_number",)

    def __init__(self, number: int) -> None:
        self._number = number

    def fileno(self) -> int:
        """The number, which this object goes on owning.

        Raises: ValueError once it is closed or given away.
        """
        if self._number < 0:
            raise ValueError("the file descriptor is closed")
        return self._number

    def __index__(self) -> int:
        return self.fileno()

    @property
    def closed(self) -> bool:
        """Whether the descriptor was closed or given away."""
        return self._number < 0

    def close(self) -> None:
        """Close the descriptor; closing twice does nothing.

        An error of close(2) is ignored: Linux releases the number in every case.
        """
        number, self._number = self._number, -1
        if number >= 0:
            try:
                os.close(number)
            except OSError:
                pass  # EIO and EINTR too leave the number released, close(2) §NOTES

    def detach(self) -> int:
        """Give the number away: the caller owns it from now on."""
        number = self.fileno()
        self._number = -1
        return number

    def dup(self) -> Fd:
        """A second descriptor of the same open file, close-on-exec, owned by the caller."""
        return Fd(fcntl.fcntl(self.fileno(), fcntl.F_DUPFD_CLOEXEC, 0))

    def __enter__(self) -> Fd:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __del__(self) -> None:
        # An Fd whose __init__ failed has no number; at interpreter exit `os` may be gone already.
        if getattr(self, "_number", -1) >= 0 and os is not None:
            self.close()

    def __repr__(self) -> str:
        return f"Fd({self._number})"


# What a wrapper of a system call takes as a descriptor: the number, which it borrows, or its owner.
FdLike = int | Fd
