"""Which stages a target needs, how their steps are numbered, and what can't be built."""

from __future__ import annotations

import pytest

from shoal.build.dockerfile.parser import parse
from shoal.build.graph import Graph, make_graph
from shoal.errors import InvalidArgument
from shoal.oci.platform import Platform

AMD64 = Platform("linux", "amd64")


def graph(text: str, target: str = "", **given: str) -> Graph:
    """The graph of a file."""
    return make_graph(parse(text), target, given, (AMD64, AMD64))


def test_graph_leaves_out_what_the_target_does_not_need() -> None:
    """Stages that nobody reads are not there, and steps are counted without them."""
    made = graph(
        "ARG V=1\nFROM a AS one\nRUN x\nFROM b AS unused\nRUN y\nRUN z\nFROM c AS three\nCOPY --from=one /x /\n"
    )
    assert {index: node.first_step for index, node in made.nodes.items()} == {0: 2, 2: 4}
    assert made.steps == 5
    assert made.target == 2


def test_graph_follows_bases_copies_and_mounts() -> None:
    """A stage is needed as a base, by COPY --from by name or number, and by RUN --mount."""
    made = graph(
        "FROM a AS base\nFROM base AS copied\nFROM c AS mounted\nFROM d AS numbered\nFROM e\n"
        "COPY --from=copied /x /\nRUN --mount=from=mounted,target=/m x\nCOPY --from=3 /x /\n"
    )
    assert sorted(made.nodes) == [0, 1, 2, 3, 4]
    assert made.nodes[1].base == 0
    assert made.nodes[0].image == "a"


def test_graph_expands_bases_and_platforms_with_global_arguments() -> None:
    """FROM sees the ARGs before it, those that were given, and the platform's."""
    text = "ARG BASE=debian\nARG TAG\nFROM --platform=$BUILDPLATFORM ${BASE}:${TAG:-latest}\n"
    assert graph(text).nodes[0].image == "debian:latest"
    node = graph(text, BASE="alpine", TAG="3").nodes[0]
    assert (node.image, node.platform) == ("alpine:3", "linux/amd64")


def test_graph_of_a_target_stops_there() -> None:
    """The target may be named in any case, or be a number."""
    text = "FROM a AS One\nFROM b AS two\n"
    assert graph(text, "ONE").target == graph(text, "0").target == 0
    assert sorted(graph(text, "one").nodes) == [0]


@pytest.mark.parametrize(
    ("text", "target", "sentence"),
    [
        ("FROM a AS one\n", "on", "failed to reach build target on in Dockerfile"),
        ("FROM a AS one\nCOPY --from=one / /\n", "", "circular dependency detected on stage: one"),
        ("FROM a AS one\nCOPY --from=two / /\nFROM b AS two\nCOPY --from=one / /\n", "", "circular dependency"),
        ("FROM a\nCOPY --from=7 / /\n", "", "invalid from flag value 7: invalid stage index 7"),
        ("ARG X\nFROM $X\n", "", "base name ($X) should not be blank"),
    ],
)
def test_graph_refuses_what_can_not_be_built(text: str, target: str, sentence: str) -> None:
    """Targets and stages that there are not, and circles, are refused in sentences."""
    with pytest.raises(InvalidArgument) as problem:
        graph(text, target)
    assert sentence in str(problem.value)


def test_graph_of_a_thousand_stages_needs_no_recursion() -> None:
    """A long chain of stages is followed, however long."""
    text = "FROM scratch AS s0\n" + "".join(f"FROM s{n} AS s{n + 1}\n" for n in range(3000))
    assert len(graph(text).nodes) == 3001
