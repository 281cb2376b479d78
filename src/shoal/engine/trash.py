"""Directories that are to go: put aside at once, deleted when nobody waits for it."""

from __future__ import annotations

import os
import shutil
from pathlib import Path


class Trash:
    """The directory `path`, on the same file system as what is put into it. `purge` may run in a thread."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def put(self, directory: Path) -> None:
        """Takes `directory` away, which may be gone already. Raises: OSError."""
        try:
            os.rename(directory, self._path / directory.name)
        except FileNotFoundError:
            if directory.exists():  # then it is the trash that is not there yet
                self._path.mkdir(mode=0o700, parents=True, exist_ok=True)
                os.rename(directory, self._path / directory.name)

    def purge(self) -> None:
        """Deletes what was put in; what cannot be deleted stays for the next time."""
        if self._path.is_dir():
            for entry in self._path.iterdir():
                shutil.rmtree(entry, ignore_errors=True)
