"""How the C library gives memory back to the kernel. mallopt(3), of the GNU C library."""

from __future__ import annotations

import ctypes

_M_TRIM_THRESHOLD = -1
_M_MMAP_THRESHOLD = -3


def keep_freed_memory(most_bytes: int) -> bool:
    """Keeps up to `most_bytes` of freed memory for what is allocated next; False where the library cannot.

    Without it, a block of 64 KiB that is freed and needed again costs a page fault for each of its pages.
    """
    try:
        mallopt = ctypes.PyDLL(None).mallopt
    except AttributeError:
        return False  # another C library
    # SAFETY: takes two ints and touches no memory of ours.
    return bool(mallopt(_M_TRIM_THRESHOLD, most_bytes) and mallopt(_M_MMAP_THRESHOLD, most_bytes))
