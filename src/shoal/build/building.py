"""One build: the stages that are needed, each as a task of its own, their steps out of the cache or made.

    stage ─ FROM ─▶ base image, or the stage that it names ─▶ its state
            instruction ─▶ settings.py   a new configuration
                         ▶ files.py      ┐ inputs ─▶ cache ─ found ─▶ its layer
                         ▶ run.py        ┘              └ not ─▶ made, then noted ─▶ a new layer

The steps of a stage follow each other; stages wait for one another only where one reads the other.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Mapping
from dataclasses import replace

from shoal.build import inline_cache
from shoal.build.cached_steps import CachedSteps
from shoal.build.dockerfile.arguments import declared_arguments, predefined_arguments, unconsumed
from shoal.build.dockerfile.checks import check, refuse_findings
from shoal.build.dockerfile.expansion import expand
from shoal.build.dockerfile.ignore import IgnoreRules
from shoal.build.dockerfile.instructions import Add, Arg, Copy, Dockerfile, Instruction, Run, Stage, Workdir
from shoal.build.dockerfile.parser import parse_trigger
from shoal.build.dockerfile.problems import DockerfileError, pointed
from shoal.build.emulation import check_runs
from shoal.build.files import Files
from shoal.build.graph import Graph, StageNode, make_graph, source_stage
from shoal.build.reporting import Reporter
from shoal.build.request import BuildRequest, Built
from shoal.build.state import State
from shoal.build.steps.adding import add_items
from shoal.build.steps.files import FileSteps, Origin, Words
from shoal.build.steps.mounting import Mounting
from shoal.build.steps.run import CommandFailed, RunSteps
from shoal.build.steps.settings import apply, argument_words, is_setting, nop, working_directory
from shoal.build.steps.work import Work
from shoal.build.tools import Tools
from shoal.errors import InvalidArgument, ShoalError
from shoal.oci.platform import Platform


class Build:
    """A build under way. `context` are the files that COPY and ADD read, without what the rules `ignored` leave out."""

    def __init__(
        self,
        tools: Tools,
        request: BuildRequest,
        file: Dockerfile,
        context: Files,
        reporter: Reporter,
        ignored: IgnoreRules | None = None,
    ) -> None:
        self._tools = tools
        self._request = request
        self._file = file
        self._context = Origin(context)
        self._reporter = reporter
        self._ignored = ignored
        self.states: dict[int, State] = {}  # what the steps came to, a failed one included, by their numbers
        self.result: State | None = None
        self.bases: dict[str, str] = {}  # the ids of the images that files came from, by the names they were asked by
        self._cached = CachedSteps(tools, request.caches, no_cache=request.no_cache, explains=request.explains)
        self._environments: dict[int, Mapping[str, str]] = {}
        self._stages: dict[int, asyncio.Task[State]] = {}
        self._files = FileSteps(tools.layers)
        mounting = Mounting(tools.layers, tools.caches, self._origin, request.secrets, request.ssh)
        self._runs = RunSteps(tools.layers, tools.runner, mounting)
        self._graph: Graph

    async def run(self) -> Built:
        """The image, registered under its names.

        Raises: InvalidArgument for what the file or the request has wrong; CommandFailed; what its steps raise.
        """
        request = self._request
        self._graph = make_graph(self._file, request.target, request.arguments, request.platforms)
        refuse_findings(self._file, await asyncio.to_thread(check, self._file, ignored=self._ignored))
        try:
            await self._import_caches()
            await self._report_arguments()
            state = self.result = await self._run_stages()
            findings = await asyncio.to_thread(
                check, self._file, base_environments=self._environments, ignored=self._ignored
            )
            refuse_findings(self._file, findings)
            state = self._labelled(state)
            document = state.document()
            image_id = await self._tools.images.keep(document, request.tags)
            unused = tuple(unconsumed(self._file, request.arguments.keys() - {inline_cache.ARGUMENT}))
            return Built(image_id, document, unused, tuple(findings))
        finally:
            self._cached.release()

    async def _import_caches(self) -> None:
        """Reads the caches in the images of `--cache-from`; one that is not to be had is no reason to fail."""
        for name in self._request.cache_from if not self._request.no_cache else ():
            try:
                image = await self._tools.images.base(name, None, _nobody)
            except ShoalError:
                continue
            self._cached.keep(image.chain_ids)
            self._cached.read_image(image)

    async def _report_arguments(self) -> None:
        for number, instruction in enumerate(self._file.arguments, start=1):
            await self._reporter.began(number, self._graph.steps, instruction.original)
            await self._reporter.passed(number)

    async def _run_stages(self) -> State:
        """The state of the target, when all stages that it needs are done; the first failure ends them all."""
        try:
            async with asyncio.TaskGroup() as group:
                for index, node in self._graph.nodes.items():
                    self._stages[index] = group.create_task(self._stage(node))
        except BaseExceptionGroup as failures:
            failure = _first(failures.subgroup(ShoalError) or failures)
            if isinstance(failure, CommandFailed) and failure.state is not None:
                failure.image = await self._tools.images.keep(failure.state.document(), ())
            raise failure from None
        return self._stages[self._graph.target].result()

    async def _state_of(self, index: int) -> State:
        if index not in self._stages:
            name = self._file.stages[index].name or str(index)
            raise InvalidArgument(
                f"a trigger of the base image needs the stage {name}, which this build does not reach",
                fix=f"name it in the stage itself, as in `RUN --mount=from={name},target=/mnt true`",
            )
        return await asyncio.shield(self._stages[index])

    # -- a stage ------------------------------------------------------------------------------------------------

    async def _stage(self, node: StageNode) -> State:
        number = node.first_step
        await self._reporter.began(number, self._graph.steps, node.stage.origin.original)
        state = self.states[number] = await self._pointed(node.stage.origin, self._base(node))
        await self._reporter.finished(number, state.image_id)
        for instruction in node.stage.instructions:
            number += 1
            await self._reporter.began(number, self._graph.steps, instruction.original)
            place = _Place(self, node.stage, number)
            state = self.states[number] = await self._left(place, self._step(place, instruction, state), instruction)
            await self._reporter.finished(number, state.image_id)
        return state

    async def _left(self, place: _Place, step: Awaitable[State], instruction: Instruction) -> State:
        """As `_pointed`; the state that a failed command left is kept."""
        try:
            return await self._pointed(instruction, step)
        except CommandFailed as failure:
            if failure.state is not None:
                self.states[place.number] = failure.state
            raise

    async def _pointed(self, instruction: Instruction, step: Awaitable[State]) -> State:
        """The state that `step` comes to; what is wrong with it points into the file."""
        try:
            return await step
        except (DockerfileError, CommandFailed):
            raise
        except InvalidArgument as problem:
            raise pointed(self._file, instruction.span, problem) from problem

    async def _base(self, node: StageNode) -> State:
        number = node.first_step
        wanted = self._platform(node.platform)
        if node.base is not None:
            state = await self._state_of(node.base)
            state = replace(state, command_set=False)
        elif not node.image:
            state = State(wanted or self._request.platforms[1], self._request.time_ns)
        else:

            async def tell(text: str) -> None:
                await self._reporter.wrote(number, text)

            image = await self._tools.images.base(node.image, wanted, tell)
            self._cached.keep(image.chain_ids)
            self.bases[node.image] = image.id
            state = State.of_image(image.id, image.chain_ids, image.document, self._request.time_ns)
            self._environments[node.stage.index] = state.variables
        arguments = predefined_arguments(self._request.arguments)
        return await self._triggered(node, replace(state.with_path(), arguments=arguments))

    async def _triggered(self, node: StageNode, state: State) -> State:
        """After the triggers of the base, which are its own no longer."""
        triggers = state.config.on_build or ()
        if not triggers:
            return state
        plural = "s" if len(triggers) > 1 else ""
        await self._reporter.wrote(node.first_step, f"# Executing {len(triggers)} build trigger{plural}\n")
        state = state.with_config(on_build=None)
        place = _Place(self, node.stage, node.first_step)
        for trigger in triggers:
            state = await self._step(place, parse_trigger(trigger), state)
        return state

    def _platform(self, text: str) -> Platform | None:
        build, target = self._request.platforms
        return Platform.parse(text, host=build) if text else target if target != build else None

    # -- a step -------------------------------------------------------------------------------------------------

    async def _step(self, place: _Place, instruction: Instruction, state: State) -> State:
        escape = self._file.escape
        if isinstance(instruction, Arg):
            return await self._argument(place, instruction, state)
        if is_setting(instruction):
            after, told = apply(state, instruction, escape)
            # SHELL is told by itself: the shell is the one that it sets.
            return await self._cached.setting(place, state, after, nop(after, told))
        if isinstance(instruction, Workdir):
            path = working_directory(state, expand(instruction.path, state.environment, escape))
            work = await asyncio.to_thread(self._files.directory, state, path, slot=place.slot(instruction))
            return await self._cached.perform(place, work, state.with_config(working_dir=path))
        if isinstance(instruction, Copy):
            words = Words.of(instruction, state, escape)
            origin = await self._origin(expand(instruction.from_name, state.environment, escape))
            return await self._copy(place, instruction, state, words, origin)
        if isinstance(instruction, Add):
            return await self._add(place, instruction, state)
        assert isinstance(instruction, Run), instruction
        check_runs(self._request.platforms[0], state.platform)
        work = await self._runs.run(
            instruction, state, escape, self._request.network, place, slot=place.slot(instruction)
        )
        return await self._cached.perform(place, work, state)

    async def _argument(self, place: _Place, instruction: Arg, state: State) -> State:
        values = declared_arguments(
            instruction, self._request.arguments, self._graph.arguments, state.environment, self._file.escape
        )
        after = replace(state, arguments={**state.arguments, **values})
        told = argument_words(instruction, {**state.environment, **values}, self._file.escape)
        return await self._cached.setting(place, state, after, nop(state, told))

    async def _copy(self, place: _Place, instruction: Copy, state: State, words: Words, origin: Origin) -> State:
        def prepare() -> Work:
            return self._files.copy(
                words, lambda base: self._files.items(words, origin, state, base), state, slot=place.slot(instruction)
            )

        return await self._cached.perform(place, await asyncio.to_thread(prepare), state)

    async def _add(self, place: _Place, instruction: Add, state: State) -> State:
        words = Words.of(instruction, state, self._file.escape)
        async with add_items(self._tools.fetcher, instruction, words, self._context, self._files, state) as items:
            work = await asyncio.to_thread(lambda: self._files.copy(words, items, state, slot=place.slot(instruction)))
            return await self._cached.perform(place, work, state)

    async def _origin(self, name: str) -> Origin:
        """The files that `--from=NAME` means; "" is the context."""
        if not name:
            return self._context
        index = source_stage(self._file, name)
        if index is not None:
            state = await self._state_of(index)
            return Origin(self._tools.layers.view(state.chain_ids), state.top, is_context=False)
        image = await self._tools.images.base(name, None, _nobody)
        self._cached.keep(image.chain_ids)
        self.bases[name] = image.id
        return Origin(self._tools.layers.view(image.chain_ids), image.id, is_context=False)

    def _labelled(self, state: State) -> State:
        """With the labels that the request gives the image, and the cache as one more if it is wanted."""
        if inline_cache.is_wanted(self._request.arguments):
            cache = {inline_cache.LABEL: inline_cache.written(state.steps)}
            state = state.with_config(labels={**(state.config.labels or {}), **cache})
        if not self._request.labels:
            return state
        labels = {**(state.config.labels or {}), **self._request.labels}
        told = "".join(f" {name}={value}" for name, value in sorted(self._request.labels.items()))
        return state.with_config(labels=labels).after(nop(state, f" LABEL{told}"))


class _Place:
    """One step on its way: who hears of it."""

    def __init__(self, build: Build, stage: Stage, number: int) -> None:
        self._reporter = build._reporter
        self._slot = f"{build._request.name} {stage.name or stage.index}"
        self.number = number

    def slot(self, instruction: Instruction) -> str:
        """The name of this step whatever goes into it."""
        return f"{self._slot} {instruction.original}"

    async def cached(self) -> None:
        await self._reporter.cached(self.number)

    async def missed(self, reasons: list[str]) -> None:
        await self._reporter.missed(self.number, reasons)

    async def running(self, id: str) -> None:
        await self._reporter.running(self.number, id)

    async def wrote(self, text: str) -> None:
        await self._reporter.wrote(self.number, text)

    async def ran(self, id: str) -> None:
        await self._reporter.ran(self.number, id)


async def _nobody(_text: str) -> None:
    """Nobody hears how the image is pulled."""


def _first(failures: BaseExceptionGroup[BaseException]) -> BaseException:
    """One failure of several: of stages that failed together, any tells what is wrong."""
    inner = failures.exceptions[0]
    return _first(inner) if isinstance(inner, BaseExceptionGroup) else inner
