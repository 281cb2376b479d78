"""The corpus of Dockerfiles, built: the same image as from Docker's classic builder, field by field and file by file.

The classic builder's images are recorded (`./dev test corpus` holds the records against dockerd), because it takes a
second for what takes shoald a tenth of one.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

import pytest

from tests.build_corpus.corpus import Case, cases
from tests.build_corpus.images import build, files, outcome
from tests.engines.busybox import IMAGE
from tests.engines.engine import Engine


@pytest.fixture
def builder(shoald: Engine) -> Iterator[Engine]:
    """shoald, with only its busybox again afterwards."""
    yield shoald
    shoald.remove_images()


@pytest.fixture(scope="session")
def base(engines: Callable[[str], Engine]) -> dict[str, str]:
    """The files of shoald's busybox."""
    return files(engines("shoald"), IMAGE)


@pytest.mark.parametrize("case", cases("classic"), ids=lambda case: case.name)
def test_corpus_image_is_the_classic_builders(builder: Engine, base: dict[str, str], case: Case) -> None:
    """The steps that are printed, configuration, history and files are those of Docker's classic builder."""
    built = build(builder, case, case.name)
    assert built.error == ""
    assert outcome(builder, case.name, base, built) == json.loads(case.record.read_text())


@pytest.mark.parametrize("case", cases("modern"), ids=lambda case: case.name)
def test_corpus_of_newer_forms_builds(builder: Engine, case: Case) -> None:
    """What Docker's newer builder added does what each file says in its own RUNs."""
    assert build(builder, case, case.name).error == ""


@pytest.mark.parametrize("case", [*cases("refused"), *cases("failing")], ids=lambda case: case.name)
def test_corpus_mistake_is_refused(builder: Engine, case: Case) -> None:
    """A mistake ends the build with the sentence that Docker's builder has for it."""
    error = build(builder, case, "refused").error
    assert error
    assert case.expected in error
