"""From the flags of `shoal build` to the parameters of POST /build (Docker API v1.50 ImageBuild)."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Mapping, Sequence

from shoal.cli.arguments import Flags
from shoal.cli.building.sending import Sending
from shoal.cli.container.values import size_or_unlimited, ulimit
from shoal.cli.quantities import size_bytes
from shoal.errors import InvalidArgument


class BuildFlags(Flags):
    """The parsed flags of `docker build`, and shoal's own."""

    file: str
    tags: list[str]
    build_args: list[str]
    labels: list[str]
    cache_from: list[str]
    cache_to: list[str]
    target: str
    platform: str
    network: str
    add_host: list[str]
    memory: str
    memory_swap: str
    cpu_shares: int | None
    cpu_period: int | None
    cpu_quota: int | None
    cpuset_cpus: str
    cpuset_mems: str
    cgroup_parent: str
    shm_size: str
    ulimits: list[str]
    isolation: str
    no_cache: bool
    pull: bool
    quiet: bool
    squash: bool
    iidfile: str
    secrets: list[str]
    ssh: list[str]
    output: str
    sbom: bool
    provenance: str
    progress: str
    why: str
    prove: bool
    shell_on_error: bool
    path: str


def build_query(
    options: BuildFlags, sent: Sending, caches: Sequence[str], environment: Mapping[str, str]
) -> dict[str, str | Sequence[str]]:
    """The parameters; `caches` are where steps are taken from. Raises: InvalidArgument."""
    arguments = _arguments(options.build_args, environment)
    if sent.commit_s and "SOURCE_DATE_EPOCH" not in arguments:
        arguments["SOURCE_DATE_EPOCH"] = sent.commit_s
    query: dict[str, str | Sequence[str]] = {
        "dockerfile": sent.dockerfile,
        "remote": sent.remote,
        "t": options.tags or [],
        "buildargs": json.dumps(arguments) if arguments else "",
        "labels": json.dumps(dict(_pair(label) for label in options.labels or [])) if options.labels else "",
        "cachefrom": json.dumps([cache for cache in caches if cache]) if caches else "",
        "cacheto": json.dumps(options.cache_to) if options.cache_to else "",
        "extrahosts": json.dumps(options.add_host) if options.add_host else "",
        "ulimits": json.dumps([ulimit(text) for text in options.ulimits]) if options.ulimits else "",
        "target": options.target,
        "platform": options.platform,
        "networkmode": options.network,
        "cpusetcpus": options.cpuset_cpus,
        "cpusetmems": options.cpuset_mems,
        "cgroupparent": options.cgroup_parent,
        "provenance": options.provenance,
        "isolation": options.isolation,
        "memory": str(size_bytes(options.memory)) if options.memory else "",
        "memswap": str(size_or_unlimited(options.memory_swap)) if options.memory_swap else "",
        "shmsize": str(size_bytes(options.shm_size)) if options.shm_size else "",
        "events": "1",
        "context": sent.kept,
    }
    numbers = (("cpushares", options.cpu_shares), ("cpuperiod", options.cpu_period), ("cpuquota", options.cpu_quota))
    query |= {name: str(value) for name, value in numbers if value is not None}
    switches = (
        ("nocache", options.no_cache),
        ("pull", options.pull),
        ("squash", options.squash),
        ("sbom", options.sbom),
        ("why", bool(options.why)),
    )
    query |= {name: "1" for name, on in switches if on}
    return {name: value for name, value in query.items() if value}


def secrets_header(options: BuildFlags, environment: Mapping[str, str]) -> dict[str, str]:
    """The header with secrets and sockets, where there are some. Raises: InvalidArgument."""
    secrets = dict(_secret(text, environment) for text in options.secrets or [])
    ssh = dict(_agent(text, environment) for text in options.ssh or [])
    if not secrets and not ssh:
        return {}
    document = {"secrets": {id: base64.b64encode(content).decode() for id, content in secrets.items()}, "ssh": ssh}
    return {"X-Shoal-Build-Secrets": base64.b64encode(json.dumps(document).encode()).decode()}


def _arguments(texts: Sequence[str] | None, environment: Mapping[str, str]) -> dict[str, str]:
    """`--build-arg`: one without a value takes the environment's, if there is one."""
    given = dict(_pair(text) if "=" in text else (text, environment.get(text)) for text in texts or [])
    if environment.get("SOURCE_DATE_EPOCH"):
        given.setdefault("SOURCE_DATE_EPOCH", environment["SOURCE_DATE_EPOCH"])
    return {name: value for name, value in given.items() if value is not None}


def _pair(text: str) -> tuple[str, str]:
    name, _, value = text.partition("=")
    return name, value


def _secret(text: str, environment: Mapping[str, str]) -> tuple[str, bytes]:
    """`id=NAME,src=FILE` or `id=NAME,env=VARIABLE`."""
    parts = dict(_pair(part) for part in text.split(","))
    source = parts.get("src") or parts.get("source") or ""
    id = parts.get("id") or os.path.basename(source)
    variable = parts.get("env") or ("" if source else id)
    if not id:
        raise InvalidArgument(f"invalid secret: {text}", fix="write id=NAME,src=FILE or id=NAME,env=VARIABLE")
    if variable:
        if variable not in environment:
            raise InvalidArgument(f"secret {id}: the variable {variable} is not set")
        return id, environment[variable].encode("utf-8", "surrogateescape")
    try:
        with open(source, "rb") as file:
            return id, file.read()
    except OSError as error:
        raise InvalidArgument(f"secret {id}: can't read {source}", why=error.strerror or "") from None


def _agent(text: str, environment: Mapping[str, str]) -> tuple[str, str]:
    """`default` or `NAME=SOCKET`: the socket of an agent on the engine's machine."""
    id, socket = _pair(text)
    socket = socket or environment.get("SSH_AUTH_SOCK", "")
    if not socket:
        raise InvalidArgument(f"ssh agent {id}: there is none", fix="start one: eval $(ssh-agent)")
    if os.path.isfile(socket):
        raise InvalidArgument(
            f"ssh agent {id}: {socket} is a file", why="a socket is needed", fix=f"ssh-add {socket}; --ssh {id}"
        )
    return id, os.path.abspath(socket)
