"""The corpus of Dockerfiles, as far as it needs no builder."""

from __future__ import annotations

import pytest

from shoal.build.dockerfile.checks import check
from shoal.build.dockerfile.parser import parse
from shoal.build.dockerfile.problems import DockerfileError
from tests.build_corpus.corpus import Case, cases


@pytest.mark.parametrize("case", [*cases("classic"), *cases("modern"), *cases("failing")], ids=lambda case: case.name)
def test_corpus_parses(case: Case) -> None:
    """Every file of the corpus is read, instruction by instruction, and checked."""
    file = parse(case.text)
    lines = [entry.span for stage in file.stages for entry in (stage.origin, *stage.instructions)]
    assert lines == sorted(lines, key=lambda span: span.first)
    for finding in check(file):
        assert 1 <= finding.span.first <= case.text.count("\n")


@pytest.mark.parametrize("case", cases("refused"), ids=lambda case: case.name)
def test_corpus_mistakes_are_refused(case: Case) -> None:
    """A mistake in the file itself is found when it is read."""
    with pytest.raises(DockerfileError) as refused:
        parse(case.text)
    assert case.expected in refused.value.what
