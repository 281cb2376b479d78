"""From the parsed flags to the body of `POST /containers/create` (Docker API v1.50 ContainerCreate)."""

from __future__ import annotations

from shoal.cli.arguments import UsageError
from shoal.cli.container import values
from shoal.cli.container.flags import FLAGS, ContainerOptions, Flag, FlagOptions
from shoal.cli.container.health import ON_UNHEALTHY_LABEL, health_config
from shoal.cli.container.networks import parse_networks
from shoal.cli.container.ports import parse_ports
from shoal.client.document import Json
from shoal.errors import InvalidArgument

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


def create_request(options: ContainerOptions, environment: Mapping[str, str], *, detached: bool) -> dict[str, Json]:
    """The request; `environment` is the client's own, for `-e NAME`. `detached` attaches no stream.

    Raises: UsageError in Docker's words.
    """
    try:
        return _request(options, environment, detached=detached)
    except UsageError:
        raise
    except InvalidArgument as problem:
        raise UsageError(problem.what, why=problem.why, fix=problem.fix) from None


def _request(options: ContainerOptions, environment: Mapping[str, str], *, detached: bool) -> dict[str, Json]:
    host: dict[str, Json] = {}
    body: dict[str, Json] = {"Image": options.image, "HostConfig": host}
    for flag in FLAGS:
        value = _converted(flag, options)
        if value is not None:
            _put(body, flag.path, value)
    policy = host.get("RestartPolicy")
    if host.get("AutoRemove") and isinstance(policy, dict) and policy["Name"] != "no":
        raise InvalidArgument("conflicting options: cannot specify both --restart and --rm")
    _put_process(body, options, environment)
    _put_streams(body, options, detached=detached)
    _put_storage(body, host, options)
    _put_network(body, host, options)
    _put_security(host, options)
    return body


def update_request(options: FlagOptions, flags: Iterable[Flag]) -> dict[str, Json]:
    """The body of `POST /containers/ID/update` (Docker API v1.50 ContainerUpdate): what was given, and nothing else.

    Raises: InvalidArgument in Docker's words.
    """
    converted = {flag.path[-1]: _converted(flag, options) for flag in flags}
    return {name: value for name, value in converted.items() if value is not None}


def _converted(flag: Flag, options: FlagOptions) -> Json:
    """The flag's value for the request, None where it was not given."""
    value = options.flag_value(flag.dest)
    if isinstance(value, list):
        converted: list[Json] = [_convert(flag, item) for item in value]
        return converted or None
    if isinstance(value, str):
        return _convert(flag, value) if value else None
    return value if value is not False else None


def _convert(flag: Flag, text: str) -> Json:
    """One value as the API has it. Raises: UsageError, as Docker's client words what is wrong with a flag."""
    try:
        return flag.convert(text) if flag.convert else text
    except InvalidArgument as problem:
        quoted = text.replace('"', '\\"')
        raise UsageError(
            f'invalid argument "{quoted}" for "{flag.spelling}" flag: {problem.what}', fix=problem.fix
        ) from None


def _put(body: dict[str, Json], path: tuple[str, ...], value: Json) -> None:
    for key in path[:-1]:
        inner = body.setdefault(key, {})
        assert isinstance(inner, dict)
        body = inner
    body[path[-1]] = value


def _put_process(body: dict[str, Json], options: ContainerOptions, environment: Mapping[str, str]) -> None:
    if options.command:
        body["Cmd"] = list(options.command)
    if options.entrypoint is not None:
        # An empty text clears the image's entrypoint, which the API writes as one empty word.
        body["Entrypoint"] = [options.entrypoint]
    env = values.environment_list(options.env, options.env_file, environment)
    if env:
        body["Env"] = list(env)
    labels = values.labels(options.label, options.label_file)
    if options.on_unhealthy:
        labels[ON_UNHEALTHY_LABEL] = options.on_unhealthy
    if labels:
        body["Labels"] = labels
    if options.stop_timeout is not None:
        body["StopTimeout"] = options.stop_timeout
    health = health_config(options)
    if health:
        body["Healthcheck"] = health
    if options.log_opt:
        _put(body, ("HostConfig", "LogConfig", "Config"), values.labels(options.log_opt))
    if options.annotation:
        _put(body, ("HostConfig", "Annotations"), values.labels(options.annotation))
    if options.init:
        _put(body, ("HostConfig", "Init"), True)


def _put_streams(body: dict[str, Json], options: ContainerOptions, *, detached: bool) -> None:
    wanted = {name.lower() for name in options.attach}
    unknown = wanted - {"stdin", "stdout", "stderr"}
    if unknown:
        raise UsageError(
            f'invalid argument "{unknown.pop()}" for "-a, --attach" flag: valid streams are STDIN, STDOUT and STDERR'
        )
    if not wanted:
        wanted = {"stdout", "stderr"} | ({"stdin"} if options.interactive else set())
    if detached:
        wanted = set()
    body["Tty"] = options.tty
    body["OpenStdin"] = options.interactive
    body["StdinOnce"] = options.interactive and "stdin" in wanted
    for name in ("stdin", "stdout", "stderr"):
        body[f"Attach{name.capitalize()}"] = name in wanted


def _put_storage(body: dict[str, Json], host: dict[str, Json], options: ContainerOptions) -> None:
    specs = [values.bind(text) for text in options.volume]
    binds: list[Json] = [text for kind, text in specs if kind == "bind"]
    volumes: dict[str, Json] = {text: {} for kind, text in specs if kind == "volume"}
    if binds:
        host["Binds"] = binds
    if volumes:
        body["Volumes"] = volumes
    if options.tmpfs:
        host["Tmpfs"] = values.tmpfs(options.tmpfs)
    if options.storage_opt:
        if not all("=" in text for text in options.storage_opt):
            raise InvalidArgument("invalid storage option", fix="write NAME=VALUE")
        host["StorageOpt"] = values.labels(options.storage_opt)
    if options.sysctl:
        host["Sysctls"] = values.labels(options.sysctl)


def _put_network(body: dict[str, Json], host: dict[str, Json], options: ContainerOptions) -> None:
    ports = parse_ports(options.publish, options.expose)
    if ports.exposed:
        body["ExposedPorts"] = ports.exposed
    if ports.bindings:
        host["PortBindings"] = dict(ports.bindings)
    if options.publish_all:
        host["PublishAllPorts"] = True
    networks = parse_networks(options.network)
    first = networks[0]
    host["NetworkMode"] = first.name
    for key, texts in (
        ("alias", options.network_alias),
        ("ip", [options.ip] if options.ip else []),
        ("ip6", [options.ip6] if options.ip6 else []),
        ("mac-address", [options.mac_address] if options.mac_address else []),
        ("link-local-ip", options.link_local_ip),
    ):
        first.add(key, texts)
    endpoints: dict[str, Json] = {network.name: network.endpoint() for network in networks}
    if len(endpoints) > 1 or any(endpoints.values()):
        body["NetworkingConfig"] = {"EndpointsConfig": endpoints}


def _put_security(host: dict[str, Json], options: ContainerOptions) -> None:
    kept: list[Json] = []
    for text in options.security_opt:
        if text in ("systempaths=unconfined", "systempaths:unconfined"):
            # The client, not the engine, knows this option: it empties both lists.
            host["MaskedPaths"] = []
            host["ReadonlyPaths"] = []
        else:
            kept.append(values.security_option(text))
    if kept:
        host["SecurityOpt"] = kept
