"""`--change`: Dockerfile instructions that change an image's configuration without building. Pure.

CMD ENTRYPOINT ENV EXPOSE HEALTHCHECK LABEL ONBUILD STOPSIGNAL USER VOLUME WORKDIR, with the error sentences of Docker's
Dockerfile parser. Source: `docker import` and `docker commit`, Dockerfile reference.
"""

from __future__ import annotations

import posixpath
import re
import signal
from collections.abc import Callable, Sequence

from shoal.errors import InvalidArgument
from shoal.image.words import expand, parse_json_words, parse_pairs
from shoal.oci.documents import changed
from shoal.oci.image_spec import Healthcheck, ImageConfig

_SHELL = ["/bin/sh", "-c"]
_PORT = re.compile(r"(?:.*:)?([0-9]+)(?:-([0-9]+))?\Z")
_PROTOCOLS = frozenset({"tcp", "udp", "sctp"})
_DURATION = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|ms|s|m|h)")
_UNIT_NS = {"ns": 1, "us": 10**3, "µs": 10**3, "ms": 10**6, "s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9}
_REALTIME = re.compile(r"RTM(?:IN(?:\+(?:[1-9]|1[0-5]))?|AX(?:-(?:[1-9]|1[0-4]))?)\Z")
_SIGNAL_MAX = 64


def apply_changes(config: ImageConfig, changes: Sequence[str]) -> ImageConfig:
    """`config` after the instructions in `changes` (each may hold several lines).

    Raises: InvalidArgument.
    """
    cmd_set = False
    for line in _instructions(changes):
        word, _, rest = line.partition(" ") if " " in line else line.partition("\t")
        name = word.upper()
        apply = _INSTRUCTIONS.get(name)
        if apply is None:
            raise InvalidArgument(f"{word} is not a valid change command")
        config = apply(config, rest.strip())
        if name == "ENTRYPOINT" and not cmd_set:
            config = changed(config, cmd=None)  # the inherited arguments were for the inherited entry point
        cmd_set = cmd_set or name == "CMD"
    return config


def _instructions(changes: Sequence[str]) -> list[str]:
    """The logical lines: continuations joined, comments and empty lines left out."""
    lines: list[str] = []
    pending = ""
    for line in "\n".join(changes).split("\n"):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        whole = pending + (line.rstrip() if pending else line.strip())
        if whole.endswith("\\"):
            pending = whole[:-1]
            continue
        lines.append(whole)
        pending = ""
    return [*lines, pending.strip()] if pending.strip() else lines


def _variables(config: ImageConfig) -> dict[str, str]:
    return {name: value for name, _, value in (item.partition("=") for item in config.env or [])}


def _command(config: ImageConfig, rest: str) -> list[str] | None:
    words = parse_json_words(rest)
    if words is None:
        return [*(config.shell or _SHELL), rest] if rest else None
    return words


def _cmd(config: ImageConfig, rest: str) -> ImageConfig:
    return changed(config, cmd=_command(config, rest))


def _entrypoint(config: ImageConfig, rest: str) -> ImageConfig:
    return changed(config, entrypoint=_command(config, rest) or None)


def _env(config: ImageConfig, rest: str) -> ImageConfig:
    variables = _variables(config)  # as before this instruction: `ENV a=1 b=$a` sees the old a
    env = list(config.env or [])
    for raw_name, raw_value in parse_pairs("ENV", rest):
        name, value = expand(raw_name, variables), expand(raw_value, variables)
        if not name:
            raise InvalidArgument("ENV names can not be blank")
        same = [index for index, item in enumerate(env) if item.partition("=")[0] == name]
        if same:
            env[same[0]] = f"{name}={value}"
        else:
            env.append(f"{name}={value}")
    return changed(config, env=env)


def _label(config: ImageConfig, rest: str) -> ImageConfig:
    variables = _variables(config)
    labels = dict(config.labels or {})
    for raw_name, raw_value in parse_pairs("LABEL", rest):
        name = expand(raw_name, variables)
        if not name:
            raise InvalidArgument("LABEL names can not be blank")
        labels[name] = expand(raw_value, variables)
    return changed(config, labels=labels)


def _expose(config: ImageConfig, rest: str) -> ImageConfig:
    if not rest:
        raise InvalidArgument("EXPOSE requires at least one argument")
    ports = dict(config.exposed_ports or {})
    for word in expand(rest, _variables(config)).split():
        port, _, protocol = word.partition("/")
        protocol = (protocol or "tcp").lower()
        match = _PORT.match(port)
        low = int(match[1]) if match else -1
        high = int(match[2] or match[1]) if match else -1
        if not match or not low <= high <= 65535:
            raise InvalidArgument(f"invalid containerPort: {port.rpartition(':')[2]}")
        if protocol not in _PROTOCOLS:
            raise InvalidArgument(f"invalid proto: {protocol}")
        for number in range(low, high + 1):
            ports[f"{number}/{protocol}"] = {}
    return changed(config, exposed_ports=ports)


def _user(config: ImageConfig, rest: str) -> ImageConfig:
    return changed(config, user=expand(_one("USER", rest), _variables(config)))


def _workdir(config: ImageConfig, rest: str) -> ImageConfig:
    path = expand(_one("WORKDIR", rest), _variables(config))
    joined = posixpath.normpath(posixpath.join("/", config.working_dir, path))
    return changed(config, working_dir="/" + joined.lstrip("/"))


def _volume(config: ImageConfig, rest: str) -> ImageConfig:
    words = parse_json_words(rest)
    words = rest.split() if words is None else words
    if not words:
        raise InvalidArgument("VOLUME requires at least one argument")
    volumes = dict(config.volumes or {})
    for word in words:
        volume = expand(word, _variables(config)).strip()
        if not volume:
            raise InvalidArgument("VOLUME specified can not be an empty string")
        volumes[volume] = {}
    return changed(config, volumes=volumes)


def _stopsignal(config: ImageConfig, rest: str) -> ImageConfig:
    text = expand(_one("STOPSIGNAL", rest), _variables(config))
    name = text.upper().removeprefix("SIG")
    is_number = text.isdigit() and 1 <= int(text) <= _SIGNAL_MAX
    if not (is_number or f"SIG{name}" in signal.Signals.__members__ or _REALTIME.match(name)):
        raise InvalidArgument(f"invalid signal: {text}")
    return changed(config, stop_signal=text)


def _onbuild(config: ImageConfig, rest: str) -> ImageConfig:
    if not rest:
        raise InvalidArgument("ONBUILD requires at least one argument")
    trigger = rest.split(None, 1)[0].upper()
    if trigger == "ONBUILD":
        raise InvalidArgument("Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed")
    if trigger in ("MAINTAINER", "FROM"):
        raise InvalidArgument(f"{trigger} isn't allowed as an ONBUILD trigger")
    return changed(config, on_build=[*(config.on_build or []), rest])


def _healthcheck(config: ImageConfig, rest: str) -> ImageConfig:
    flags, rest = _flags(rest)
    if not rest:
        raise InvalidArgument("HEALTHCHECK requires at least one argument")
    kind, _, command = rest.partition(" ")
    command = command.strip()
    if kind.upper() == "NONE":
        if command:
            raise InvalidArgument("HEALTHCHECK NONE takes no arguments")
        return changed(config, healthcheck=Healthcheck(test=["NONE"]))
    if kind.upper() != "CMD":
        raise InvalidArgument(f'Unknown type "{kind.upper()}" in HEALTHCHECK (try CMD)')
    words = parse_json_words(command)
    if not command or words == []:
        raise InvalidArgument("Missing command after HEALTHCHECK CMD")
    test = ["CMD-SHELL", command] if words is None else ["CMD", *words]
    check = Healthcheck(
        test=test,
        interval=_duration("interval", flags.pop("interval", "")),
        timeout=_duration("timeout", flags.pop("timeout", "")),
        start_period=_duration("start-period", flags.pop("start-period", "")),
        start_interval=_duration("start-interval", flags.pop("start-interval", "")),
        retries=_retries(flags.pop("retries", "")),
    )
    if flags:
        raise InvalidArgument(f"unknown flag: --{next(iter(flags))}")
    return changed(config, healthcheck=check)


def _flags(rest: str) -> tuple[dict[str, str], str]:
    """The leading `--name=value` words, and what follows them."""
    flags: dict[str, str] = {}
    while rest.startswith("--"):
        word, _, rest = rest.partition(" ")
        name, _, value = word[2:].partition("=")
        flags[name] = value
        rest = rest.strip()
    return flags, rest


def _duration(name: str, text: str) -> int:
    """Nanoseconds of a Go duration (`1m30s`); 0 for none. Raises: InvalidArgument."""
    if not text or text == "0":
        return 0
    parts = list(_DURATION.finditer(text))
    if "".join(part[0] for part in parts) != text:
        raise InvalidArgument(f'time: invalid duration "{text}"')
    total = sum(int(float(part[1]) * _UNIT_NS[part[2]]) for part in parts)
    if 0 < total < _UNIT_NS["ms"]:
        raise InvalidArgument(f'Interval "{name}" cannot be less than 1ms')
    return total


def _retries(text: str) -> int:
    if not text:
        return 0
    try:
        retries = int(text)
    except ValueError:
        raise InvalidArgument(f'strconv.ParseInt: parsing "{text}": invalid syntax') from None
    if retries < 0:
        raise InvalidArgument(f"--retries cannot be negative ({retries})")
    return retries


def _one(instruction: str, rest: str) -> str:
    if not rest:
        raise InvalidArgument(f"{instruction} requires exactly one argument")
    return rest


_INSTRUCTIONS: dict[str, Callable[[ImageConfig, str], ImageConfig]] = {
    "CMD": _cmd,
    "ENTRYPOINT": _entrypoint,
    "ENV": _env,
    "EXPOSE": _expose,
    "HEALTHCHECK": _healthcheck,
    "LABEL": _label,
    "ONBUILD": _onbuild,
    "STOPSIGNAL": _stopsignal,
    "USER": _user,
    "VOLUME": _volume,
    "WORKDIR": _workdir,
}
