"""Golden files: what a pure function is to say, kept beside the test that asks for it.

SHOAL_UPDATE_GOLDEN=1 pytest …      writes what comes out now; read the difference before you commit it
"""

from __future__ import annotations

import os
from pathlib import Path


def assert_golden(path: Path, text: str) -> None:
    """Returns when the file at `path` holds exactly `text`."""
    if os.environ.get("SHOAL_UPDATE_GOLDEN"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    assert text == path.read_text(), f"{path.name} differs; SHOAL_UPDATE_GOLDEN=1 writes what comes out now"
