"""The digest by which shoald knows supervisors of its own build."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import shoal.errors
import shoal.linux
import shoal.supervisor
from shoal.runtime.native.build import this_build


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the rooms that a supervisor imports, which the digest is taken of."""
    source = Path(shoal.errors.__file__).parent
    shutil.copy(source / "errors.py", tmp_path)
    for module in (shoal.linux, shoal.supervisor):
        name = module.__name__.rpartition(".")[2]
        shutil.copytree(source / name, tmp_path / name)
        monkeypatch.setattr(module, "__file__", str(tmp_path / name / "__init__.py"))
    return tmp_path


def test_build_of_the_same_sources_is_the_same(package: Path) -> None:
    """Neither the place nor what Python keeps beside the sources counts."""
    before = this_build()
    (package / "supervisor" / "__pycache__").mkdir(exist_ok=True)
    (package / "supervisor" / "__pycache__" / "service.pyc").write_bytes(b"compiled")
    assert this_build() == before


@pytest.mark.parametrize("name", ["errors.py", "linux/fd.py", "supervisor/service.py", "supervisor/steps/context.py"])
def test_build_changes_with_any_source(package: Path, name: str) -> None:
    """One character more in any module that a supervisor runs is another build."""
    before = this_build()
    with (package / name).open("a") as file:
        file.write("\n")
    assert this_build() != before


def test_build_changes_with_a_new_module(package: Path) -> None:
    """A module that is added, even an empty one, is another build."""
    before = this_build()
    (package / "linux" / "another.py").touch()
    assert this_build() != before
