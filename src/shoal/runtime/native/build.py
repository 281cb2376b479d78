"""Which code a supervisor runs: a digest of its sources. Runs in shoald.

A supervisor outlives shoald, and with it an upgrade: the next shoald may speak another language than one that was
started from older files. It says at `configure` which build it is, and one of another build is replaced
(see recovery.py).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import shoal.linux
import shoal.supervisor


def this_build() -> str:
    """The digest of everything that a supervisor started now would import from this package. Takes 2 ms."""
    digest = hashlib.sha256()
    for name, path in _sources():
        content = path.read_bytes()
        digest.update(f"{name} {len(content)}\n".encode())
        digest.update(content)
    return digest.hexdigest()


def _sources() -> Iterator[tuple[str, Path]]:
    """The rooms that a supervisor imports (tests/arch), in an order that does not depend on the file system."""
    package = Path(shoal.supervisor.__file__).parents[1]
    yield "errors.py", package / "errors.py"
    for module in (shoal.linux, shoal.supervisor):
        for path in sorted(Path(module.__file__ or "").parent.rglob("*.py")):
            yield str(path.relative_to(package)), path
