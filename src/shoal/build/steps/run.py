"""RUN: the command of a step, what it sees, and the layer that its writable directory becomes."""

from __future__ import annotations

import asyncio
import hashlib
import os
import stat
from collections.abc import Mapping, Sequence
from typing import Protocol

from shoal.build.cache import Before, Inputs
from shoal.build.dockerfile.arguments import PREDEFINED
from shoal.build.dockerfile.expansion import expand
from shoal.build.dockerfile.heredocs import ScriptFile, script_of
from shoal.build.dockerfile.instructions import Run
from shoal.build.dockerfile.mounts import mounts_of
from shoal.build.files import Files, clean, resolve
from shoal.build.ports import Command, Layers, MadeLayer, Runner, StepMount
from shoal.build.state import State
from shoal.build.steps.mounting import Mounting
from shoal.build.steps.work import Work
from shoal.errors import ShoalError, Unsupported

_SCRIPTS = "/dev/pipes/"
_KEPT_CHARACTERS = 4096


class CommandFailed(ShoalError):
    """A RUN whose command did not end well: the end of what it wrote, and what it left behind, as an image's id too."""

    def __init__(self, command: str, code: int, last: str, *, oom_killed: bool) -> None:
        why = "it used more memory than there is for it, and the OOM killer ended it" if oom_killed else ""
        super().__init__(f"The command '{command}' returned a non-zero code: {code}", why=why)
        self.code = code
        self.last = last
        self.state: State | None = None
        self.image = ""


class Reports(Protocol):
    """Who hears of one step."""

    async def running(self, id: str) -> None:
        """Its command runs, in a container of this id."""

    async def wrote(self, text: str) -> None:
        """Its command writes."""

    async def ran(self, id: str) -> None:
        """Its command has ended well."""


class _Output:
    """Takes what a command writes: passes it on as text, and keeps the end of it."""

    def __init__(self, reports: Reports) -> None:
        self._reports = reports
        self.last = ""

    async def write(self, _stream: int, data: bytes) -> None:
        text = data.decode(errors="replace")
        self.last = (self.last + text)[-_KEPT_CHARACTERS:]
        await self._reports.wrote(text)


class RunSteps:
    """Prepares RUNs."""

    def __init__(self, layers: Layers, runner: Runner, mounting: Mounting) -> None:
        self._layers = layers
        self._runner = runner
        self._mounting = mounting

    async def run(self, run: Run, state: State, escape: str, network: str, reports: Reports, *, slot: str) -> Work:
        """The RUN, ready to be made; `network` is the build's. Raises: InvalidArgument, Unsupported, NotFound."""
        if run.security == "insecure":
            raise Unsupported("RUN --security=insecure is not allowed", why="a build never gets the host's rights")
        arguments = _used(state)
        words, scripts = _command_line(run, state)
        mounts = mounts_of(run, lambda word: expand(word, state.environment, escape))
        prepared = await self._mounting.prepare(mounts, state)
        environment = [*(state.config.env or ()), *(f"{name}={value}" for name, value in arguments.items())]
        shown = {name: value for name, value in arguments.items() if name not in PREDEFINED}
        mode = run.network if run.network != "default" else network
        parts = {
            "base": state.top,
            "command": repr(words),
            "environment": repr(sorted({*(state.config.env or ()), *(f"{k}={v}" for k, v in shown.items())})),
            "user": state.config.user,
            "directory": state.config.working_dir,
            "network": mode,
            "time": str(state.time_ns),
            **{f"script {script.name}": hashlib.sha256(script.content.encode()).hexdigest() for script in scripts},
            **prepared.parts,
        }
        text = " ".join(words)
        prefix = f"|{len(shown)} {' '.join(f'{name}={value}' for name, value in shown.items())} " if shown else ""
        files = [
            StepMount(kind="file", target=_SCRIPTS + script.name, content=script.content.encode(), mode=0o755)
            for script in scripts
        ]

        async def make(_before: Before | None) -> MadeLayer | None:
            async with self._mounting.taken(prepared) as mounted:
                command = Command(
                    arguments=words,
                    environment=tuple(environment),
                    hidden=mounted.environment,
                    user=state.config.user,
                    directory=state.config.working_dir or "/",
                    network=mode,
                    mounts=(*mounted.mounts, *files),
                )
                return await self._make(command, text, state, reports)

        return Work(Inputs(parts, {}), slot, f"RUN {text}", prefix + text, make)

    async def _make(self, command: Command, text: str, state: State, reports: Reports) -> MadeLayer | None:
        output = _Output(reports)
        async with self._runner.run(command, state.chain_ids, reports.running, output.write) as ended:
            targets = [mount.target for mount in command.mounts]
            if ended.code != 0:
                failure = CommandFailed(text, ended.code, output.last, oom_killed=ended.oom_killed)
                if _has_room(ended.tree):
                    left = await asyncio.to_thread(self._adopt, ended.tree, state, targets)
                    failure.state = _left_behind(state, command, left)
                raise failure
            await reports.ran(ended.id)
            return await asyncio.to_thread(self._adopt, ended.tree, state, targets)

    def _adopt(self, tree: str, state: State, targets: Sequence[str]) -> MadeLayer | None:
        if targets:
            _remove_stubs(tree, self._layers.view(state.chain_ids), targets)
        return self._layers.adopt(tree, state.chain_ids, latest_ns=state.time_ns)


def _has_room(tree: str) -> bool:
    """Whether a failed command's files may be kept: not where the disk is all but full, perhaps by them."""
    status = os.statvfs(tree)
    return status.f_bavail * 20 > status.f_blocks


def _left_behind(state: State, command: Command, layer: MadeLayer | None) -> State:
    """What a failed command leaves, as an image in which a shell finds what the command found, but for its mounts."""
    env = list(command.environment)
    config = state.with_config(env=env, entrypoint=None, cmd=[state.shell[0]], healthcheck=None)
    return config.after(" ".join(command.arguments), (layer.chain_id, layer.diff_id) if layer else None)


def _used(state: State) -> Mapping[str, str]:
    """The arguments that the command sees as variables, sorted: those that no ENV hides."""
    hidden = state.variables
    return {name: value for name, value in sorted(state.arguments.items()) if name not in hidden}


def _command_line(run: Run, state: State) -> tuple[tuple[str, ...], list[ScriptFile]]:
    """The program and its arguments, and the scripts that are put in place for it."""
    if not run.command.is_shell:
        return run.command.words, []
    script = script_of(run)
    if isinstance(script, ScriptFile):
        return (*state.shell, _SCRIPTS + script.name), [script]
    return (*state.shell, script), []


def _remove_stubs(tree: str, below: Files, targets: Sequence[str]) -> None:
    """Take away what was made in the tree for something to be mounted on, if it is still as empty as it was made."""
    root = os.fsencode(tree)
    for target in targets:
        parts = resolve(below, clean(target)).split(b"/")
        for count in range(len(parts), 0, -1):
            path = b"/".join(parts[:count])
            if below.find(path) is not None:
                break
            try:
                status = os.lstat(root + b"/" + path)
                if stat.S_ISDIR(status.st_mode):
                    os.rmdir(root + b"/" + path)
                elif stat.S_ISREG(status.st_mode) and not status.st_size:
                    os.unlink(root + b"/" + path)
            except OSError:
                break  # it is not there, or the command has put something into it
