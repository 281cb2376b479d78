"""Instructions that change the image's configuration and nothing else. Pure: a state in, a state out.

The words of the history are Docker's: `#(nop)  ENV a=b`. Source: Dockerfile reference.
"""

from __future__ import annotations

import json
import posixpath
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from shoal.api.signals import parse_signal
from shoal.build.dockerfile.expansion import expand, expand_words
from shoal.build.dockerfile.instructions import (
    Arg,
    Cmd,
    CommandLine,
    Entrypoint,
    Env,
    Expose,
    Healthcheck,
    Instruction,
    Label,
    Maintainer,
    Onbuild,
    Shell,
    StopSignal,
    User,
    Volume,
)
from shoal.build.dockerfile.ports import exposed_ports
from shoal.build.state import State
from shoal.errors import InvalidArgument
from shoal.oci import image_spec

Applied = tuple[State, str]


def apply(state: State, instruction: Instruction, escape: str) -> Applied:
    """The state after the instruction, without its place in the history, and what the history says of it.

    Raises: InvalidArgument; KeyError for an instruction that does more.
    """
    return _INSTRUCTIONS[type(instruction)](state, instruction, escape)


def is_setting(instruction: Instruction) -> bool:
    """Whether the instruction changes the configuration alone."""
    return type(instruction) in _INSTRUCTIONS


def nop(state: State, text: str) -> str:
    """What the history says of a step that runs nothing."""
    return " ".join((*state.shell, f"#(nop) {text}"))


def argument_words(instruction: Arg, environment: Mapping[str, str], escape: str) -> str:
    """What the history says of an ARG: its defaults, whatever the build was given."""
    told = ""
    for argument in instruction.arguments:
        default = "" if argument.default is None else f"={expand(argument.default, environment, escape)}"
        told += f" {expand(argument.key, environment, escape)}{default}"
    return f" ARG{told}"


def working_directory(state: State, path: str) -> str:
    """The directory that WORKDIR means. Raises: InvalidArgument for an empty one."""
    if not path:
        raise InvalidArgument("WORKDIR requires exactly one argument", why="the path is empty when it is expanded")
    joined = posixpath.normpath(posixpath.join("/", state.config.working_dir, path))
    return "/" + joined.lstrip("/")


def _env(state: State, instruction: Env, escape: str) -> Applied:
    before = state.environment
    env = list(state.config.env or ())
    told = ""
    for pair in instruction.pairs:
        name, value = expand(pair.key, before, escape), expand(pair.value, before, escape)
        if not name:
            raise InvalidArgument("ENV names can not be blank")
        told += f" {name}={value}"
        places = [index for index, item in enumerate(env) if item.startswith(f"{name}=") or item == name]
        if places:
            env[places[0]] = f"{name}={value}"
        else:
            env.append(f"{name}={value}")
    return state.with_config(env=env), f" ENV{told}"


def _label(state: State, instruction: Label, escape: str) -> Applied:
    before = state.environment
    labels = dict(state.config.labels or {})
    told = ""
    for pair in instruction.pairs:
        name, value = expand(pair.key, before, escape), expand(pair.value, before, escape)
        if not name:
            raise InvalidArgument("LABEL names can not be blank")
        labels[name] = value
        told += f" {name}={value}"
    return state.with_config(labels=labels), f" LABEL{told}"


def _expose(state: State, instruction: Expose, escape: str) -> Applied:
    words = [word for port in instruction.ports for word in expand_words(port, state.environment, escape)]
    ports = {**(state.config.exposed_ports or {}), **{port: {} for port in exposed_ports(words)}}
    return state.with_config(exposed_ports=ports), f" EXPOSE {' '.join(sorted(words))}"


def _volume(state: State, instruction: Volume, escape: str) -> Applied:
    volumes = dict(state.config.volumes or {})
    paths = [expand(path, state.environment, escape).strip() for path in instruction.paths]
    for path in paths:
        if not path:
            raise InvalidArgument("VOLUME specified can not be an empty string")
        volumes[path] = {}
    return state.with_config(volumes=volumes), f" VOLUME [{' '.join(paths)}]"


def _user(state: State, instruction: User, escape: str) -> Applied:
    user = expand(instruction.user, state.environment, escape)
    return state.with_config(user=user), f" USER {user}"


def _command(state: State, command: CommandLine) -> list[str]:
    return [*state.shell, *command.words] if command.is_shell else list(command.words)


def _cmd(state: State, instruction: Cmd, _escape: str) -> Applied:
    words = _command(state, instruction.command)
    return replace(state.with_config(cmd=words), command_set=True), f" CMD {_quoted(words)}"


def _entrypoint(state: State, instruction: Entrypoint, _escape: str) -> Applied:
    words = _command(state, instruction.command)
    # The inherited arguments were for the inherited entry point.
    command = state.config.cmd if state.command_set else None
    return state.with_config(entrypoint=words or None, cmd=command), f" ENTRYPOINT {_quoted(words)}"


def _shell(state: State, instruction: Shell, _escape: str) -> Applied:
    return state.with_config(shell=list(instruction.words)), f" SHELL [{' '.join(instruction.words)}]"


def _stop_signal(state: State, instruction: StopSignal, escape: str) -> Applied:
    signal = expand(instruction.signal, state.environment, escape)
    parse_signal(signal)
    return state.with_config(stop_signal=signal), f" STOPSIGNAL {signal}"


def _healthcheck(state: State, instruction: Healthcheck, _escape: str) -> Applied:
    check = image_spec.Healthcheck(
        test=list(instruction.test),
        interval=instruction.interval_ns,
        timeout=instruction.timeout_ns,
        start_period=instruction.start_period_ns,
        start_interval=instruction.start_interval_ns,
        retries=instruction.retries,
    )
    return state.with_config(healthcheck=check), " " + instruction.original


def _onbuild(state: State, instruction: Onbuild, _escape: str) -> Applied:
    triggers = [*(state.config.on_build or ()), instruction.trigger]
    return state.with_config(on_build=triggers), f" ONBUILD {instruction.trigger}"


def _maintainer(state: State, instruction: Maintainer, _escape: str) -> Applied:
    return replace(state, author=instruction.author), f" MAINTAINER {instruction.author}"


def _quoted(words: list[str]) -> str:
    """The words as Go prints a list with %q."""
    return f"[{' '.join(json.dumps(word, ensure_ascii=False) for word in words)}]"


_INSTRUCTIONS: Mapping[type[Instruction], Callable[[State, Any, str], Applied]] = {
    Cmd: _cmd,
    Entrypoint: _entrypoint,
    Env: _env,
    Expose: _expose,
    Healthcheck: _healthcheck,
    Label: _label,
    Maintainer: _maintainer,
    Onbuild: _onbuild,
    Shell: _shell,
    StopSignal: _stop_signal,
    User: _user,
    Volume: _volume,
}
