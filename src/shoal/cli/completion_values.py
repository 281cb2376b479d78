"""Names that the engine knows, and values that flags take, for the Tab key."""

from __future__ import annotations

from shoal.cli.completion import Candidates

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from shoal.cli.arguments import Word
    from shoal.cli.context import Context
    from shoal.client.client import Client

_RUNNING = ("running", "paused", "restarting")
# Of which containers a verb makes sense; those not named here take any.
_STATES: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("stop", "kill", "attach", "exec", "top", "stats", "wait"), _RUNNING),
    "pause": ("running",),
    "unpause": ("paused",),
    "start": ("created", "exited"),
}
_FILTERS = {
    "ps": "ancestor before exited expose health id is-task label name network publish since status volume",
    "images": "before dangling label reference since until",
    "volume ls": "dangling driver label name",
    "network ls": "dangling driver id label name scope type",
    "events": "container daemon event image label network type volume",
    **dict.fromkeys(
        ("container prune", "image prune", "network prune", "volume prune", "system prune"), "label label! until"
    ),
}
_FILTER_VALUES = {
    "status": "created dead exited paused removing restarting running",
    "health": "healthy none starting unhealthy",
    "dangling": "false true",
    "is-task": "false true",
    "scope": "global local swarm",
    "type": "container daemon image network volume",
}
_VALUES = {
    "cgroupns": "host private",
    "format": "json table",
    "host": "ssh:// tcp:// unix://",
    "ipc": "container: host none private shareable",
    "isolation": "default vm",
    "log-driver": "journald json-file local none syslog",
    "log-level": "debug error fatal info warn",
    "on-unhealthy": "kill restart stop",
    "pid": "container: host",
    "platform": "linux/amd64 linux/arm64",
    "pull": "always missing never",
    "restart": "always no on-failure on-failure: unless-stopped",
    "security-opt": "apparmor= label= no-new-privileges seccomp= systempaths=unconfined",
    "type": "container image network volume",
    "userns": "host",
    "uts": "host",
}
_SIGNALS = "ABRT ALRM CONT HUP INT KILL PIPE QUIT STOP TERM TSTP USR1 USR2 WINCH"
_FILES = ("cidfile", "device", "env-file", "input", "label-file", "output", "tlscacert", "tlscert", "tlskey")


def words_for(verb: str, word: Word | None, before: Sequence[str], current: str, context: Context) -> Candidates:
    """What may stand as a positional word of `verb`. Raises: ShoalError."""
    metavar = word.metavar if word is not None else ""
    if verb == "cp":
        return _paths(current, context.client)
    if "CONTAINER" in metavar:
        found = _containers(context.client, _STATES.get(verb, ()))
    elif "CONTEXT" in metavar:
        found = _contexts(context)
    elif "VOLUME" in metavar:
        found = [] if verb == "volume create" else _volumes(context.client)
    elif "NETWORK" in metavar:
        found = [] if verb == "network create" else _networks(context.client)
    elif "IMAGE" in metavar or "REPOSITORY" in metavar or metavar.startswith("NAME[:TAG"):
        found = _images(context.client)
    elif metavar.startswith("NAME|ID"):
        client = context.client
        found = [*_containers(client, ()), *_images(client), *_networks(client), *_volumes(client)]
    elif "FILE" in metavar:
        return Candidates(directive="files")
    elif metavar.startswith("bash|"):
        found = [(name, "") for name in metavar.split("|")]
    else:
        found = []
    return Candidates([pair for pair in found if pair[0] not in before])


def values_of(flag: str, verb: str, current: str, context: Context) -> Candidates:
    """What may stand as the value of a flag. Raises: ShoalError."""
    if flag == "filter":
        return _filters(verb, current)
    if flag in _FILES or (flag == "file" and verb != ""):
        return Candidates(directive="files")
    if flag == "config":
        return Candidates(directive="dirs")
    if flag in ("signal", "stop-signal"):
        return Candidates([(name, "") for name in _SIGNALS.split()])
    if flag == "env":
        return Candidates([(name, "") for name in sorted(context.environment)])
    if flag in ("cap-add", "cap-drop"):
        from shoal.linux.capabilities import CAPABILITIES

        return Candidates([(name.removeprefix("CAP_"), "") for name in ["ALL", *CAPABILITIES]])
    if flag in _VALUES:
        words = [(value, "") for value in _VALUES[flag].split()]
        return Candidates(words, "nospace" if _is_open(words, current) else "")
    lookup = _LOOKUPS.get(flag)
    if lookup is not None:
        # A volume is also a directory of the host.
        return Candidates(lookup(context.client), "files" if flag == "volume" else "")
    return Candidates(_contexts(context)) if flag in ("context", "from") else Candidates()


def _is_open(words: Sequence[tuple[str, str]], current: str) -> bool:
    """Whether all that is left needs something more behind it."""
    left = [word for word, _ in words if word.startswith(current)]
    return bool(left) and all(word.endswith((":", "=", "/")) for word in left)


def _filters(verb: str, current: str) -> Candidates:
    name, equals, _ = current.partition("=")
    if equals:
        return Candidates([(f"{name}={value}", "") for value in _FILTER_VALUES.get(name, "").split()])
    return Candidates([(f"{name}=", "") for name in _FILTERS.get(verb, "").split()], "nospace")


def _containers(client: Client, states: Sequence[str]) -> list[tuple[str, str]]:
    found = client.containers.list(all=True, filters={"status": states} if states else None)
    return [
        (name.removeprefix("/"), f"{container.text('Image')}, {container.text('Status')}")
        for container in found
        for name in container.texts("Names")
        if "/" not in name.removeprefix("/")
    ]


def _images(client: Client) -> list[tuple[str, str]]:
    found = []
    for image in client.images.list():
        tags = [tag for tag in image.texts("RepoTags") if tag != "<none>:<none>"]
        found += [(tag.removesuffix(":latest"), "") for tag in tags]
        if not tags:
            found.append((image.text("Id").removeprefix("sha256:")[:12], "no name"))
    return found


def _volumes(client: Client) -> list[tuple[str, str]]:
    return [(volume.text("Name"), volume.text("Driver")) for volume in client.volumes.list()]


def _networks(client: Client) -> list[tuple[str, str]]:
    return [(network.text("Name"), network.text("Driver")) for network in client.networks.list()]


def _contexts(context: Context) -> list[tuple[str, str]]:
    from shoal.cli.contexts import ContextStore

    return [("default", ""), *((name, "") for name in ContextStore(context.config_directory).names())]


def _paths(current: str, client: Client) -> Candidates:
    """`cp` takes a path here, or CONTAINER:PATH."""
    if ":" in current:
        return Candidates()
    words = [(f"{name}:", what) for name, what in _containers(client, ())]
    return Candidates(words, "files" if not any(word.startswith(current) for word, _ in words) else "nospace")


_LOOKUPS: dict[str, Callable[[Client], list[tuple[str, str]]]] = {
    "network": _networks,
    "net": _networks,
    "volume": _volumes,
    "volumes-from": lambda client: _containers(client, ()),
    "link": lambda client: _containers(client, ()),
}
