"""What a new container is to be, as the Python API's keywords, and the request that they make. Pure.

Source: Docker API v1.50 ContainerCreate.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TypeAlias, TypedDict

from shoal.client.document import Json
from shoal.errors import InvalidArgument

Command: TypeAlias = str | Sequence[str] | None
Port: TypeAlias = int | str
# A port of the host, (address, port), or None for one that the engine chooses.
Published: TypeAlias = int | tuple[str, int] | None

# Filters of lists and events: `{"status": "running", "label": ["a", "b=c"], "dangling": True}`.
Selection: TypeAlias = Mapping[str, str | bool | Sequence[str]]

_UNITS = {"": 1, "b": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}


class ContainerOptions(TypedDict, total=False):
    """The keywords of `run` and `create`. What is left out is as the image says, or as Docker has it."""

    name: str
    environment: Mapping[str, str]
    working_dir: str
    user: str
    entrypoint: str | Sequence[str]
    hostname: str
    labels: Mapping[str, str]
    # `source:target[:ro]` as behind `docker run -v`: a directory of the host, or the name of a volume.
    volumes: Sequence[str]
    # Directories in memory, and their mount options (`{"/run": "size=1m"}`).
    tmpfs: Mapping[str, str]
    # A port of the container (80, "53/udp"), and the one of the host that leads to it.
    ports: Mapping[Port, Published]
    # bridge, host, none, container:NAME, or a network's name.
    network: str
    dns: Sequence[str]
    extra_hosts: Mapping[str, str]
    # In bytes, or as "512m".
    memory: int | str
    # How many processors' worth of time: 0.5 is half of one.
    cpus: float
    pids_limit: int
    shm_size: int | str
    # (soft, hard) or one number for both, by name: `{"nofile": 1024}`.
    ulimits: Mapping[str, int | tuple[int, int]]
    sysctls: Mapping[str, str]
    # `/dev/x`, or `/dev/x:/dev/y:rwm`.
    devices: Sequence[str]
    cap_add: Sequence[str]
    cap_drop: Sequence[str]
    security_opt: Sequence[str]
    privileged: bool
    read_only: bool
    init: bool
    # Whether its standard input is open, for `attach`; else it is at its end.
    stdin: bool
    tty: bool
    # no, always, unless-stopped, on-failure[:N].
    restart: str
    stop_signal: str
    stop_timeout_s: int
    platform: str
    isolation: str
    # Further fields of the request under Docker's names; those of HostConfig are added to it one by one.
    config: Mapping[str, Json]


class ExecOptions(TypedDict, total=False):
    """The keywords of `exec`. What is left out is as in the container."""

    environment: Mapping[str, str]
    working_dir: str
    user: str
    privileged: bool
    tty: bool


def command_words(command: Command) -> list[str]:
    """A command as its words; a string is split as a shell would, but no shell runs.

    Raises: InvalidArgument for a quotation that does not end.
    """
    if command is None:
        return []
    if not isinstance(command, str):
        return list(command)
    try:
        return shlex.split(command)
    except ValueError as error:
        raise InvalidArgument(f"the command {command!r} can't be split", why=str(error), fix="give a list") from None


def create_request(image: str, command: Command, options: ContainerOptions) -> dict[str, Json]:
    """The body of `POST /containers/create`.

    Raises: InvalidArgument for a value that is none; TypeError for a keyword that there is not.
    """
    if unknown := options.keys() - ContainerOptions.__annotations__.keys():
        raise TypeError(f"unexpected keyword argument {sorted(unknown)[0]!r}")
    body: dict[str, Json] = {"Image": image}
    if command is not None:
        body["Cmd"] = list(command_words(command))
    if (entrypoint := options.get("entrypoint")) is not None:
        body["Entrypoint"] = list(command_words(entrypoint))
    if "environment" in options:
        body["Env"] = [f"{name}={value}" for name, value in options["environment"].items()]
    if "labels" in options:
        body["Labels"] = dict(options["labels"])
    texts = {"WorkingDir": "working_dir", "User": "user", "Hostname": "hostname", "StopSignal": "stop_signal"}
    body.update(_given(options, {**texts, "Tty": "tty", "StopTimeout": "stop_timeout_s"}))
    if options.get("stdin"):
        body.update({"OpenStdin": True, "StdinOnce": True})
    host = _host_config(options)
    if "ports" in options:
        bindings = {_port_key(port): _binding(published) for port, published in options["ports"].items()}
        body["ExposedPorts"] = {port: {} for port in bindings}
        host["PortBindings"] = bindings
    further = dict(options.get("config", {}))
    if isinstance(more := further.pop("HostConfig", None), dict):
        host.update(more)
    return {**body, **further, "HostConfig": host}


def exec_request(command: Command, options: ExecOptions, *, stdin: bool) -> dict[str, Json]:
    """The body of `POST /containers/ID/exec`. Docker API v1.50 ContainerExec.

    Raises: InvalidArgument; TypeError for a keyword that there is not.
    """
    if unknown := options.keys() - ExecOptions.__annotations__.keys():
        raise TypeError(f"unexpected keyword argument {sorted(unknown)[0]!r}")
    body: dict[str, Json] = {"Cmd": list(command_words(command)), "AttachStdout": True, "AttachStderr": True}
    body["AttachStdin"] = stdin
    if "environment" in options:
        body["Env"] = [f"{name}={value}" for name, value in options["environment"].items()]
    names = {"User": "user", "WorkingDir": "working_dir", "Tty": "tty", "Privileged": "privileged"}
    return {**body, **_given(options, names)}


def _given(options: ContainerOptions | ExecOptions, names: Mapping[str, str]) -> dict[str, Json]:
    """Those of the fields whose keywords were given, by Docker's names."""
    values: Mapping[str, object] = options
    return {field: _json(values[keyword]) for field, keyword in names.items() if keyword in values}


def _json(value: object) -> Json:
    if isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, Mapping):
        return {str(key): _json(item) for key, item in value.items()}
    assert isinstance(value, Sequence), f"an option of {type(value).__name__}"
    return [_json(item) for item in value]


def _host_config(options: ContainerOptions) -> dict[str, Json]:
    names = {
        "Binds": "volumes",
        "Tmpfs": "tmpfs",
        "NetworkMode": "network",
        "Dns": "dns",
        "PidsLimit": "pids_limit",
        "Sysctls": "sysctls",
        "CapAdd": "cap_add",
        "CapDrop": "cap_drop",
        "SecurityOpt": "security_opt",
        "Privileged": "privileged",
        "ReadonlyRootfs": "read_only",
        "Init": "init",
        "Isolation": "isolation",
    }
    host = _given(options, names)
    if "extra_hosts" in options:
        host["ExtraHosts"] = [f"{name}:{address}" for name, address in options["extra_hosts"].items()]
    if "memory" in options:
        host["Memory"] = size_bytes(options["memory"])
    if "shm_size" in options:
        host["ShmSize"] = size_bytes(options["shm_size"])
    if "cpus" in options:
        host["NanoCpus"] = round(options["cpus"] * 1e9)
    if "ulimits" in options:
        host["Ulimits"] = [_ulimit(name, limit) for name, limit in options["ulimits"].items()]
    if "devices" in options:
        host["Devices"] = [_device(device) for device in options["devices"]]
    if "restart" in options:
        policy, _, count = options["restart"].partition(":")
        host["RestartPolicy"] = {"Name": policy, "MaximumRetryCount": int(count) if count.isdecimal() else 0}
    return host


def size_bytes(size: int | str) -> int:
    """A number of bytes, from "512m" too (k, m, g, t are powers of 1024). Raises: InvalidArgument."""
    if isinstance(size, int):
        return size
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([bkmgt]?)(?:i?b)?", size.strip().lower())
    if match is None:
        raise InvalidArgument(f"invalid size: '{size}'", fix='write it like "512m" or "1.5g"')
    return int(float(match[1]) * _UNITS[match[2]])


def _port_key(port: Port) -> str:
    text = str(port)
    return text if "/" in text else f"{text}/tcp"


def _binding(published: Published) -> Json:
    if published is None:
        return [{"HostIp": "", "HostPort": ""}]
    address, port = published if isinstance(published, tuple) else ("", published)
    return [{"HostIp": address, "HostPort": str(port)}]


def _ulimit(name: str, limit: int | tuple[int, int]) -> Json:
    soft, hard = limit if isinstance(limit, tuple) else (limit, limit)
    return {"Name": name, "Soft": soft, "Hard": hard}


def _device(device: str) -> Json:
    source, _, rest = device.partition(":")
    target, _, rights = rest.partition(":")
    return {"PathOnHost": source, "PathInContainer": target or source, "CgroupPermissions": rights or "rwm"}


def filters_of(selection: Selection | None) -> dict[str, list[str]]:
    """The filters, each with a list of values, as the API has them."""
    filters: dict[str, list[str]] = {}
    for name, value in (selection or {}).items():
        if isinstance(value, bool):
            filters[name] = ["true" if value else "false"]
        else:
            filters[name] = [value] if isinstance(value, str) else list(value)
    return filters


def moment_text(moment: datetime | float | None) -> str:
    """A time, or seconds since 1970, as the API takes it; "" for None."""
    if moment is None:
        return ""
    seconds = moment.timestamp() if isinstance(moment, datetime) else moment
    return f"{seconds:.9f}"


def split_reference(reference: str) -> tuple[str, str]:
    """(repository, tag) of `repository[:tag]`; the tag is "" where there is none. A registry's port is no tag."""
    before, colon, after = reference.rpartition(":")
    return (before, after) if colon and "/" not in after else (reference, "")
