"""The graph of a Dockerfile: which stages a target needs, and how their steps are numbered. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from shoal.build.dockerfile.arguments import global_arguments, platform_arguments
from shoal.build.dockerfile.expansion import expand
from shoal.build.dockerfile.instructions import Copy, Dockerfile, Onbuild, Run, Stage
from shoal.build.dockerfile.mounts import mount_from
from shoal.build.dockerfile.parser import parse_trigger
from shoal.build.dockerfile.problems import did_you_mean
from shoal.errors import InvalidArgument
from shoal.oci.platform import Platform

_NUMBER = re.compile(r"[0-9]+\Z", re.ASCII)


@dataclass(frozen=True, slots=True)
class StageNode:
    """A stage that is needed. `base` is the stage that it begins with, or `image` the name of an image, or neither.

    `first_step` is the number of its FROM.
    """

    stage: Stage
    base: int | None
    image: str
    platform: str
    first_step: int


@dataclass(frozen=True, slots=True)
class Graph:
    """The needed stages by index, in the order of the file; `steps` is how many steps there are in all."""

    file: Dockerfile
    nodes: Mapping[int, StageNode]
    target: int
    steps: int
    arguments: Mapping[str, str]

    def source_stage(self, reference: str) -> int | None:
        """The stage that `--from=REFERENCE` names, None for an image. Raises: InvalidArgument for a bad number."""
        return source_stage(self.file, reference)


def source_stage(file: Dockerfile, reference: str) -> int | None:
    """As Graph.source_stage."""
    stage = file.stage(reference)
    if stage is None and _NUMBER.match(reference):
        raise InvalidArgument(
            f"invalid from flag value {reference}: invalid stage index {reference}",
            fix=f"the file has {len(file.stages)} stages, the first one being 0",
        )
    return stage.index if stage is not None else None


def make_graph(file: Dockerfile, target: str, given: Mapping[str, str], platforms: tuple[Platform, Platform]) -> Graph:
    """The graph of `file` for the stage `target`, "" for the last one; `given` are the build arguments.

    `platforms` are those of the machine and of the target. Raises: InvalidArgument for a target that there is not,
    circles, and words that can't be expanded.
    """
    arguments = global_arguments(file, given, platform_arguments(*platforms, target or "default"))
    goal = _target(file, target)
    bases = {stage.index: _base(file, stage, arguments) for stage in file.stages}
    needed = _needed(file, goal, bases)
    nodes: dict[int, StageNode] = {}
    number = 1 + len(file.arguments)
    for stage in file.stages:
        if stage.index not in needed:
            continue
        base, image = bases[stage.index]
        platform = expand(stage.origin.platform, arguments, file.escape)
        nodes[stage.index] = StageNode(stage, base, image, platform, number)
        number += 1 + len(stage.instructions)
    return Graph(file, nodes, goal, number - 1, arguments)


def _target(file: Dockerfile, target: str) -> int:
    if not target:
        return file.stages[-1].index
    stage = file.stage(target)
    if stage is None:
        names = [stage.name for stage in file.stages if stage.name]
        raise InvalidArgument(
            f"failed to reach build target {target} in Dockerfile",
            fix=did_you_mean(target, names) or (f"its stages are {', '.join(names)}" if names else ""),
        )
    return stage.index


def _base(file: Dockerfile, stage: Stage, arguments: Mapping[str, str]) -> tuple[int | None, str]:
    name = expand(stage.origin.base, arguments, file.escape)
    if not name:
        raise InvalidArgument(
            f"base name ({stage.origin.base}) should not be blank", fix="give the ARG a default before the first FROM"
        )
    earlier = file.stage_named(name, before=stage.index)
    if earlier is not None:
        return earlier.index, ""
    return None, "" if name == "scratch" else name


def _needed(file: Dockerfile, goal: int, bases: Mapping[int, tuple[int | None, str]]) -> set[int]:
    """The stages that `goal` needs, itself included. Raises: InvalidArgument for a circle."""
    done: set[int] = set()
    under_way: list[int] = []
    stack: list[tuple[int, Iterator[int]]] = []

    def enter(index: int) -> None:
        if index in under_way:
            names = [file.stages[one].name or str(one) for one in (*under_way[under_way.index(index) :], index)]
            raise InvalidArgument(f"circular dependency detected on stage: {names[0]}", why=f"{' needs '.join(names)}")
        if index not in done:
            under_way.append(index)
            stack.append((index, iter(_sources(file, file.stages[index], bases[index][0]))))

    enter(goal)
    while stack:
        index, sources = stack[-1]
        source = next(sources, None)
        if source is None:
            stack.pop()
            under_way.pop()
            done.add(index)
        else:
            enter(source)
    return done


def _sources(file: Dockerfile, stage: Stage, base: int | None) -> Sequence[int]:
    """The stages that one reads: its base, and those of `--from` and `RUN --mount`."""
    found = [base] if base is not None else []
    triggers = [
        parse_trigger(entry.trigger)
        for entry in (file.stages[base].instructions if base is not None else ())
        if isinstance(entry, Onbuild)
    ]
    for instruction in (*triggers, *stage.instructions):
        names: list[str] = []
        if isinstance(instruction, Copy) and instruction.from_name:
            names = [instruction.from_name]
        elif isinstance(instruction, Run):
            names = [name for word in instruction.mounts if (name := mount_from(word))]
        found += [index for name in names if (index := source_stage(file, name)) is not None]
    return found
