"""What runs: the image's and the request's configuration merged, the environment, the limits. Pure.

Source: Docker API v1.50 ContainerCreate; the order of the environment is what `docker run IMG env` shows.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from shoal.api.container import ContainerConfig
from shoal.api.host_config import Ulimit
from shoal.api.image import ImageConfig
from shoal.engine.health.check import merge_health_config
from shoal.errors import InvalidArgument
from shoal.network.ports import PUBLISHED_PORTS
from shoal.oci.runtime_spec import Rlimit

DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
INIT_DESTINATION = "/sbin/docker-init"
_RLIM_INFINITY = 2**64 - 1
_LIMITS = frozenset(
    [
        "as",
        "core",
        "cpu",
        "data",
        "fsize",
        "locks",
        "memlock",
        "msgqueue",
        "nice",
        "nofile",
        "nproc",
        "rss",
        "rtprio",
        "rttime",
        "sigpending",
        "stack",
    ]
)


def merge_process(config: ContainerConfig, image: ImageConfig | None) -> ContainerConfig:
    """The container's own configuration: the request, and the image's where the request says nothing.

    An entrypoint in the request resets the image's command; `[""]` resets the entrypoint itself.

    Raises: InvalidArgument `no command specified` when nothing is left to run.
    """
    image = image or ImageConfig()
    entrypoint, command = config.entrypoint, config.cmd
    if not entrypoint:
        if not command:
            command = image.cmd
        if entrypoint is None:
            entrypoint = image.entrypoint
    if entrypoint == [""]:
        entrypoint = None
    if not entrypoint and not command:
        raise InvalidArgument("no command specified")
    return msgspec.structs.replace(
        config,
        entrypoint=entrypoint,
        cmd=command,
        env=_merge_image_env(config.env, image.env or ()),
        user=config.user or image.user,
        working_dir=config.working_dir or image.working_dir,
        labels={**_image_labels(image), **config.labels},
        exposed_ports={**(image.exposed_ports or {}), **config.exposed_ports},
        volumes={**(image.volumes or {}), **config.volumes},
        stop_signal=config.stop_signal or image.stop_signal,
        healthcheck=merge_health_config(config.healthcheck, image.healthcheck),
    )


def command_line(config: ContainerConfig) -> tuple[str, ...]:
    """Entrypoint and command as one list."""
    return (*(config.entrypoint or ()), *(config.cmd or ()))


def environment(config: ContainerConfig, hostname: str, links: Sequence[str] = ()) -> tuple[str, ...]:
    """The process's environment: PATH, HOSTNAME, TERM with a terminal, those of links, then the configuration's.

    A variable of the configuration takes the place of a default; one without `=` removes it. HOME is not here:
    the child sets it from the container's passwd file unless this list has it.
    """
    defaults = [f"PATH={DEFAULT_PATH}", f"HOSTNAME={hostname}"]
    if config.tty:
        defaults.append("TERM=xterm")
    defaults += links
    return replace_or_append(defaults, config.env)


def replace_or_append(base: Iterable[str], overrides: Iterable[str]) -> tuple[str, ...]:
    """`base` with the overrides in place where the name is there, else at the end; "NAME" alone removes."""
    values = {entry.partition("=")[0]: entry for entry in base}
    for entry in overrides:
        name, equals, _ = entry.partition("=")
        if equals:
            values[name] = entry
        else:
            values.pop(name, None)
    return tuple(values.values())


def with_init(arguments: Sequence[str]) -> tuple[str, ...]:
    """The command line behind Docker's init."""
    return (INIT_DESTINATION, "--", *arguments)


def rlimits(requested: Sequence[Ulimit], defaults: Sequence[Ulimit]) -> tuple[Rlimit, ...]:
    """The limits by setrlimit(2)'s names; a requested one wins over the daemon's of the same name.

    Raises: InvalidArgument for an unknown name, or a soft limit above the hard one.
    """
    by_name = {limit.name: limit for limit in (*defaults, *requested)}
    return tuple(_rlimit(limit) for limit in by_name.values())


def _image_labels(image: ImageConfig) -> dict[str, str]:
    """Those of the image but for the one that says whom ports serve: that is the host's decision, not an image's."""
    return {name: value for name, value in (image.labels or {}).items() if name != PUBLISHED_PORTS}


def _rlimit(limit: Ulimit) -> Rlimit:
    name = limit.name.lower()
    if name not in _LIMITS:
        raise InvalidArgument(f"invalid ulimit type: {limit.name}", fix=f"use one of {', '.join(sorted(_LIMITS))}")
    soft = _RLIM_INFINITY if limit.soft < 0 else limit.soft
    hard = _RLIM_INFINITY if limit.hard < 0 else limit.hard
    if soft > hard:
        raise InvalidArgument(
            f"ulimit soft limit must be less than or equal to hard limit: {limit.soft} > {limit.hard}"
        )
    return Rlimit(type=f"RLIMIT_{name.upper()}", soft=soft, hard=hard)


def _merge_image_env(own: Sequence[str], image: Sequence[str]) -> list[str]:
    named = {entry.partition("=")[0] for entry in own}
    return [*own, *(entry for entry in image if entry.partition("=")[0] not in named)]
