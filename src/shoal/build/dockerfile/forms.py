"""From a statement to its instruction: which form its argument has, and what is wrong with it.

Pure. Docker's Dockerfile reference, one function for each instruction; the sentences are those of Docker's builder.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Literal

from shoal.api.timestamps import parse_duration
from shoal.build.dockerfile.copying import read_add, read_copy
from shoal.build.dockerfile.flags import Flags
from shoal.build.dockerfile.instructions import (
    Arg,
    Argument,
    Cmd,
    CommandLine,
    Entrypoint,
    Env,
    Expose,
    From,
    Healthcheck,
    Instruction,
    KeyValue,
    Label,
    Maintainer,
    Onbuild,
    Run,
    Shell,
    StopSignal,
    User,
    Volume,
    Workdir,
)
from shoal.build.dockerfile.lines import Statement
from shoal.build.dockerfile.mounts import mount_from
from shoal.build.dockerfile.problems import did_you_mean
from shoal.build.dockerfile.words import (
    name_and_values,
    split_first,
    split_quoted,
    split_spaces,
)
from shoal.errors import InvalidArgument

_STAGE_NAME = re.compile(r"[a-z][a-z0-9_.-]*\Z")
_LEAST_INTERVAL_NS = 10**6
_LONGEST_DURATION = 100
_MOST_RETRIES = 2**31 - 1


def read_instruction(statement: Statement) -> Instruction:
    """The instruction of a statement.

    Raises: DockerfileError.
    """
    reader = _READERS.get(statement.name)
    if reader is None:
        near = did_you_mean(statement.name, _READERS)
        raise statement.refuse(f"unknown instruction: {statement.name}", fix=near)
    return reader(statement)


def _read_from(statement: Statement) -> From:
    flags = Flags(statement, {"platform": "text"})
    words = split_spaces(statement.argument)
    if len(words) not in (1, 3) or (len(words) == 3 and words[1].lower() != "as"):
        raise statement.refuse("FROM requires either one or three arguments", fix="write `FROM image AS name`")
    name = words[2].lower() if len(words) == 3 else ""
    if name and not _STAGE_NAME.match(name):
        sentence = f'invalid name for build stage: "{words[2]}", name can\'t start with a number or contain symbols'
        raise statement.refuse(sentence, at=words[2])
    return From(
        span=statement.span,
        original=statement.original,
        base=words[0],
        platform=flags.text("platform"),
        stage_name=name,
    )


def _read_run(statement: Statement) -> Run:
    if any(flag.partition("=")[0] == "--device" for flag in statement.flags):
        raise statement.refuse("the --device option is not supported", at="--device", fix="build without the device")
    flags = Flags(statement, {"mount": "list", "network": "text", "security": "text"})
    for mount in flags.all("mount"):
        try:
            mount_from(mount)
        except InvalidArgument as problem:
            raise statement.refuse(str(problem), at="--mount=" + mount, fix=problem.fix) from None
    network: Literal["default", "none", "host"] = "default"
    security: Literal["sandbox", "insecure"] = "sandbox"
    match flags.text("network"):
        case "none" | "host" as network:
            pass
        case other if other not in ("", "default"):
            raise statement.refuse(
                f'unsupported network mode: "{other}"', at="--network", fix="one of default, none, host"
            )
    match flags.text("security"):
        case "insecure":
            security = "insecure"
        case other if other not in ("", "sandbox"):
            raise statement.refuse(f'security "{other}" is not valid', at="--security", fix="one of sandbox, insecure")
    return Run(
        span=statement.span,
        original=statement.original,
        command=_command(statement, statement.argument),
        heredocs=statement.heredocs,
        mounts=flags.all("mount"),
        network=network,
        security=security,
    )


def _command(statement: Statement, text: str) -> CommandLine:
    words = statement.json(text)
    if words is None:
        return CommandLine((text,) if text else (), is_shell=True)
    return CommandLine(tuple(words), is_shell=False)


def _read_cmd(statement: Statement) -> Cmd:
    Flags(statement, {})
    return Cmd(span=statement.span, original=statement.original, command=_command(statement, statement.argument))


def _read_entrypoint(statement: Statement) -> Entrypoint:
    Flags(statement, {})
    return Entrypoint(span=statement.span, original=statement.original, command=_command(statement, statement.argument))


def _read_shell(statement: Statement) -> Shell:
    Flags(statement, {})
    words = statement.json(statement.argument)
    if not statement.argument:
        raise statement.refuse("SHELL requires at least one argument")
    if not words:
        sentence = "SHELL requires the arguments to be in JSON form"
        raise statement.refuse(sentence, at=statement.argument, fix='write `SHELL ["/bin/sh", "-c"]`')
    return Shell(span=statement.span, original=statement.original, words=tuple(words))


def _read_env(statement: Statement) -> Env:
    return Env(span=statement.span, original=statement.original, pairs=_pairs(statement))


def _read_label(statement: Statement) -> Label:
    return Label(span=statement.span, original=statement.original, pairs=_pairs(statement))


def _pairs(statement: Statement) -> tuple[KeyValue, ...]:
    Flags(statement, {})
    words = split_quoted(statement.argument, statement.escape)
    if not words:
        raise statement.refuse(f"{statement.name} requires at least one argument")
    if "=" not in words[0]:
        key, value = split_first(statement.argument)
        if not value:
            raise statement.refuse(f"{statement.name} must have two arguments", at=key, fix=f"write `{key}=value`")
        return (KeyValue(key, value, legacy=True),)
    pairs = []
    for word, (key, value, has_equals) in zip(words, name_and_values(words), strict=True):
        if not has_equals:
            sentence = f'Syntax error - can\'t find = in "{word}". Must be of the form: name=value'
            raise statement.refuse(sentence, at=word, fix="put quotes around a value with spaces")
        if not key:
            raise statement.refuse(f"{statement.name} names can not be blank", at=word)
        pairs.append(KeyValue(key, value))
    return tuple(pairs)


def _read_arg(statement: Statement) -> Arg:
    Flags(statement, {})
    words = split_quoted(statement.argument, statement.escape)
    if not words:
        raise statement.refuse("ARG requires at least one argument")
    arguments = []
    for key, value, has_default in name_and_values(words):
        if not key:
            raise statement.refuse("ARG names can not be blank", at="=" + value)
        arguments.append(Argument(key, value if has_default else None))
    return Arg(span=statement.span, original=statement.original, arguments=tuple(arguments))


def _read_expose(statement: Statement) -> Expose:
    Flags(statement, {})
    ports = split_spaces(statement.argument)
    if not ports:
        raise statement.refuse("EXPOSE requires at least one argument")
    return Expose(span=statement.span, original=statement.original, ports=tuple(sorted(ports)))


def _read_volume(statement: Statement) -> Volume:
    Flags(statement, {})
    paths = statement.json(statement.argument)
    if paths is None:
        paths = split_spaces(statement.argument)
    if not paths:
        raise statement.refuse("VOLUME requires at least one argument")
    if not all(path.strip() for path in paths):
        raise statement.refuse("VOLUME specified can not be an empty string", at='""')
    return Volume(span=statement.span, original=statement.original, paths=tuple(path.strip() for path in paths))


def _single(statement: Statement) -> str:
    Flags(statement, {})
    if not statement.argument:
        raise statement.refuse(f"{statement.name} requires exactly one argument")
    return statement.argument


def _read_user(statement: Statement) -> User:
    return User(span=statement.span, original=statement.original, user=_single(statement))


def _read_workdir(statement: Statement) -> Workdir:
    return Workdir(span=statement.span, original=statement.original, path=_single(statement))


def _read_stopsignal(statement: Statement) -> StopSignal:
    return StopSignal(span=statement.span, original=statement.original, signal=_single(statement))


def _read_maintainer(statement: Statement) -> Maintainer:
    return Maintainer(span=statement.span, original=statement.original, author=_single(statement))


def _read_healthcheck(statement: Statement) -> Healthcheck:
    kind, argument = split_first(statement.argument)
    if not kind:
        raise statement.refuse("HEALTHCHECK requires at least one argument", fix="write `HEALTHCHECK CMD command`")
    if kind.upper() == "NONE":
        if argument:
            raise statement.refuse("HEALTHCHECK NONE takes no arguments", at=argument)
        Flags(statement, {})
        return Healthcheck(span=statement.span, original=statement.original, test=("NONE",))
    if kind.upper() != "CMD":
        raise statement.refuse(f'Unknown type "{kind.upper()}" in HEALTHCHECK (try CMD)', at=kind)
    command = _command(statement, argument)
    if not argument or not command.words:
        raise statement.refuse("Missing command after HEALTHCHECK CMD", at=kind)
    flags = Flags(
        statement,
        {"interval": "text", "timeout": "text", "start-period": "text", "start-interval": "text", "retries": "text"},
    )
    return Healthcheck(
        span=statement.span,
        original=statement.original,
        test=("CMD-SHELL" if command.is_shell else "CMD", *command.words),
        interval_ns=_interval(statement, flags, "interval"),
        timeout_ns=_interval(statement, flags, "timeout"),
        start_period_ns=_interval(statement, flags, "start-period"),
        start_interval_ns=_interval(statement, flags, "start-interval"),
        retries=_retries(statement, flags.text("retries")),
    )


def _interval(statement: Statement, flags: Flags, name: str) -> int:
    text = flags.text(name)
    if not text:
        return 0
    try:
        duration_ns = parse_duration(text[:_LONGEST_DURATION])
    except InvalidArgument:
        sentence = f'time: invalid duration "{text}"'
        raise statement.refuse(sentence, at=f"--{name}", fix="write a number and its unit, as in `30s`") from None
    if 0 < duration_ns < _LEAST_INTERVAL_NS:
        raise statement.refuse(f'Interval "{name}" cannot be less than 1ms', at=f"--{name}")
    return duration_ns


def _retries(statement: Statement, text: str) -> int:
    if not text:
        return 0
    if not re.fullmatch(r"[+-]?[0-9]{1,20}", text):
        raise statement.refuse(f'strconv.ParseInt: parsing "{text}": invalid syntax', at="--retries")
    if not 1 <= int(text) <= _MOST_RETRIES:
        raise statement.refuse(f"--retries must be at least 1 (not {int(text)})", at="--retries")
    return int(text)


def _read_onbuild(statement: Statement) -> Onbuild:
    Flags(statement, {})
    keyword = split_first(statement.argument)[0].upper() if statement.argument else ""
    if not keyword:
        raise statement.refuse("ONBUILD requires at least one argument")
    if keyword == "ONBUILD":
        raise statement.refuse("Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed")
    if keyword in ("FROM", "MAINTAINER"):
        raise statement.refuse(f"{keyword} isn't allowed as an ONBUILD trigger", at=split_first(statement.argument)[0])
    documents = "".join(f"\n{heredoc.written}{heredoc.name}" for heredoc in statement.heredocs)
    return Onbuild(span=statement.span, original=statement.original, trigger=statement.argument + documents)


_READERS: Mapping[str, Callable[[Statement], Instruction]] = {
    "ADD": read_add,
    "ARG": _read_arg,
    "CMD": _read_cmd,
    "COPY": read_copy,
    "ENTRYPOINT": _read_entrypoint,
    "ENV": _read_env,
    "EXPOSE": _read_expose,
    "FROM": _read_from,
    "HEALTHCHECK": _read_healthcheck,
    "LABEL": _read_label,
    "MAINTAINER": _read_maintainer,
    "ONBUILD": _read_onbuild,
    "RUN": _read_run,
    "SHELL": _read_shell,
    "STOPSIGNAL": _read_stopsignal,
    "USER": _read_user,
    "VOLUME": _read_volume,
    "WORKDIR": _read_workdir,
}
