"""The verbs by name. A module is imported when its verb is asked for."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any, Protocol

    from shoal.cli.arguments import Parser
    from shoal.cli.context import Context

    class Verb(Protocol):
        """What the module of a verb has."""

        Options: type[Any]

        def configure(self, parser: Parser) -> None:
            """Adds the verb's flags and positional words."""

        # The options are of the module's own Options type, which this Protocol can't name.
        def run(self, options: Any, context: Context) -> int:
            """Does it; returns the exit code. Raises: ShoalError, ExitCode."""


class VerbEntry:
    """One line of the table. `takes_command`: options end at the first positional word.

    A name of two words is that of a verb which exists in its group only.
    """

    __slots__ = ("aliases", "hidden", "name", "summary", "takes_command", "usage")

    def __init__(
        self,
        name: str,
        usage: str,
        summary: str,
        takes_command: bool = False,
        aliases: tuple[str, ...] = (),
        hidden: bool = False,
    ) -> None:
        self.name = name
        self.usage = usage
        self.summary = summary
        self.takes_command = takes_command
        self.aliases = aliases
        self.hidden = hidden


VERBS = (
    VerbEntry("run", "[OPTIONS] IMAGE [COMMAND] [ARG...]", "Create and run a new container", takes_command=True),
    VerbEntry(
        "exec", "[OPTIONS] CONTAINER COMMAND [ARG...]", "Run a command in a running container", takes_command=True
    ),
    VerbEntry("ps", "[OPTIONS]", "List containers"),
    VerbEntry("logs", "[OPTIONS] CONTAINER", "Show the output of a container"),
    VerbEntry("create", "[OPTIONS] IMAGE [COMMAND] [ARG...]", "Create a new container", takes_command=True),
    VerbEntry("start", "[OPTIONS] CONTAINER [CONTAINER...]", "Start stopped containers"),
    VerbEntry("stop", "[OPTIONS] CONTAINER [CONTAINER...]", "Stop running containers"),
    VerbEntry("restart", "[OPTIONS] CONTAINER [CONTAINER...]", "Restart containers"),
    VerbEntry("kill", "[OPTIONS] CONTAINER [CONTAINER...]", "Send a signal to running containers"),
    VerbEntry("pause", "CONTAINER [CONTAINER...]", "Freeze the processes of containers"),
    VerbEntry("unpause", "CONTAINER [CONTAINER...]", "Let the processes of frozen containers go on"),
    VerbEntry("wait", "CONTAINER [CONTAINER...]", "Wait until containers stop, then print their exit codes"),
    VerbEntry("attach", "[OPTIONS] CONTAINER", "Attach to the streams of a running container"),
    VerbEntry("cp", "[OPTIONS] CONTAINER:SRC DEST|- | SRC|- CONTAINER:DEST", "Copy files from or to a container"),
    VerbEntry("export", "[OPTIONS] CONTAINER", "Write the root file system of a container to an archive"),
    VerbEntry("build", "[OPTIONS] PATH|URL|-", "Build an image from a Dockerfile"),
    VerbEntry("debug", "STATE", "Open a shell in what a failed step of a build left"),
    VerbEntry("commit", "[OPTIONS] CONTAINER [REPOSITORY[:TAG]]", "Make an image of what a container changed"),
    VerbEntry("top", "CONTAINER [ps OPTIONS]", "Show the processes of a container", takes_command=True),
    VerbEntry("stats", "[OPTIONS] [CONTAINER...]", "Show what containers use of CPU, memory, network and disk"),
    VerbEntry("diff", "CONTAINER", "Show which files of a container differ from its image"),
    VerbEntry("update", "[OPTIONS] CONTAINER [CONTAINER...]", "Change the limits of containers"),
    VerbEntry("why exit", "[OPTIONS] CONTAINER", "Tell what ended a container, in plain words"),
    VerbEntry("why port", "[OPTIONS] CONTAINER PORT[/PROTO]", "Tell what keeps clients from a container's port"),
    VerbEntry("why dns", "[OPTIONS] CONTAINER NAME", "Tell what keeps a container from finding a name"),
    VerbEntry("move", "[OPTIONS] CONTAINER [CONTAINER...]", "Move containers into virtual machines, or out of them"),
    VerbEntry("vm setup", "[OPTIONS]", "Get a kernel for containers in virtual machines"),
    VerbEntry("vm status", "[OPTIONS]", "Tell what --isolation vm needs of this host, and what is missing"),
    VerbEntry("container prune", "[OPTIONS]", "Remove all stopped containers"),
    VerbEntry("rename", "CONTAINER NEW_NAME", "Rename a container"),
    VerbEntry("rm", "[OPTIONS] CONTAINER [CONTAINER...]", "Remove containers"),
    VerbEntry("port", "CONTAINER [PORT[/PROTO]]", "List the published ports of a container"),
    VerbEntry("port add", "CONTAINER [IP:][HOSTPORT:]PORT[/PROTO]...", "Publish ports of an existing container"),
    VerbEntry("port rm", "CONTAINER [HOSTPORT:]PORT[/PROTO]...", "End the publication of ports"),
    VerbEntry("images", "[OPTIONS] [REPOSITORY[:TAG]]", "List images"),
    VerbEntry("load", "[OPTIONS]", "Load images from an archive or stdin"),
    VerbEntry("save", "[OPTIONS] IMAGE [IMAGE...]", "Save images to an archive"),
    VerbEntry("import", "[OPTIONS] FILE|URL|- [REPOSITORY[:TAG]]", "Make an image from a tar of a file system"),
    VerbEntry("tag", "SOURCE_IMAGE[:TAG] TARGET_IMAGE[:TAG]", "Give an image one more name"),
    VerbEntry("rmi", "[OPTIONS] IMAGE [IMAGE...]", "Remove images"),
    VerbEntry("history", "[OPTIONS] IMAGE", "Show the layers of an image"),
    VerbEntry(
        "inspect", "[OPTIONS] NAME|ID [NAME|ID...]", "Show everything about containers, images, networks, volumes"
    ),
    VerbEntry("volume create", "[OPTIONS] [VOLUME]", "Create a volume"),
    VerbEntry("volume ls", "[OPTIONS]", "List volumes"),
    VerbEntry("volume inspect", "[OPTIONS] VOLUME [VOLUME...]", "Show everything about volumes"),
    VerbEntry("volume rm", "[OPTIONS] VOLUME [VOLUME...]", "Remove volumes"),
    VerbEntry("volume prune", "[OPTIONS]", "Remove volumes that no container has"),
    VerbEntry("container inspect", "[OPTIONS] CONTAINER [CONTAINER...]", "Show everything about containers"),
    VerbEntry("image inspect", "[OPTIONS] IMAGE [IMAGE...]", "Show everything about images"),
    VerbEntry("image prune", "[OPTIONS]", "Remove images that nothing uses"),
    VerbEntry("image tree", "[OPTIONS] IMAGE", "Show the layers of an image, who shares them, and what is wasted"),
    VerbEntry("image diff", "[OPTIONS] IMAGE IMAGE", "Show in what two images differ"),
    VerbEntry("artifact ls", "[OPTIONS]", "List what was pulled and is no image"),
    VerbEntry("artifact get", "[OPTIONS] ARTIFACT [FILE]", "Write a file of an artifact"),
    VerbEntry("artifact referrers", "[OPTIONS] IMAGE", "List what a registry has about an image"),
    VerbEntry("artifact rm", "ARTIFACT [ARTIFACT...]", "Remove artifacts"),
    VerbEntry("pull", "[OPTIONS] NAME[:TAG|@DIGEST]", "Download an image from a registry"),
    VerbEntry("push", "[OPTIONS] NAME[:TAG]", "Upload an image to a registry"),
    VerbEntry("login", "[OPTIONS] [SERVER]", "Authenticate to a registry"),
    VerbEntry("logout", "[SERVER]", "Log out from a registry"),
    VerbEntry("network connect", "[OPTIONS] NETWORK CONTAINER", "Put a container into a network"),
    VerbEntry("network create", "[OPTIONS] NETWORK", "Create a network"),
    VerbEntry("network disconnect", "[OPTIONS] NETWORK CONTAINER", "Take a container out of a network"),
    VerbEntry("network inspect", "[OPTIONS] NETWORK [NETWORK...]", "Show everything about networks"),
    VerbEntry("network ls", "[OPTIONS]", "List networks"),
    VerbEntry("network prune", "[OPTIONS]", "Remove networks that no container is in"),
    VerbEntry("network rm", "NETWORK [NETWORK...]", "Remove networks"),
    VerbEntry("context create", "[OPTIONS] CONTEXT", "Give an engine a name"),
    VerbEntry("context export", "CONTEXT [FILE|-]", "Write a context to an archive"),
    VerbEntry("context import", "CONTEXT FILE|-", "Take a context from an archive"),
    VerbEntry("context inspect", "[OPTIONS] [CONTEXT] [CONTEXT...]", "Show everything about contexts"),
    VerbEntry("context ls", "[OPTIONS]", "List contexts"),
    VerbEntry("context rm", "CONTEXT [CONTEXT...]", "Forget contexts"),
    VerbEntry("context show", "", "Print the name of the context in use"),
    VerbEntry("context update", "[OPTIONS] CONTEXT", "Change a context"),
    VerbEntry("context use", "CONTEXT", "Set the context that counts from now on"),
    VerbEntry("events", "[OPTIONS]", "Show what happens, as it happens"),
    VerbEntry("info", "[OPTIONS]", "Show the engine's state and what it can do here"),
    VerbEntry("version", "[OPTIONS]", "Show the versions of client and engine"),
    VerbEntry("system df", "[OPTIONS]", "Show what is used on disk"),
    VerbEntry("system prune", "[OPTIONS]", "Remove what nothing uses"),
    VerbEntry("system dial-stdio", "", "Connect standard input and output with the engine", hidden=True),
    VerbEntry("completion", "bash|zsh|fish", "Print the script that completes words in your shell"),
    VerbEntry("bootstrap", "[OPTIONS] debian:SUITE|busybox", "Make a base image without any registry"),
    VerbEntry("fsck", "[OPTIONS]", "Verify all that the image store holds, and mend it"),
    VerbEntry(
        "compare",
        "[OPTIONS] IMAGE [COMMAND] [ARG...]",
        "Measure containers, virtual machines and bare processes side by side",
        takes_command=True,
    ),
    VerbEntry("doctor", "[OPTIONS]", "Check what this kernel and this machine can do"),
    VerbEntry("demo", "[OPTIONS]", "Show on this machine what a container is"),
)

# `shoal container ls` and its like, as Docker's client groups them: group → word → verb.
_CONTAINER_VERBS = (
    *("run", "exec", "logs", "create", "start", "stop", "restart", "kill", "pause", "unpause"),
    *("wait", "attach", "cp", "export", "commit", "rename", "rm", "port", "top", "stats", "diff", "update"),
)
GROUPS: dict[str, dict[str, str]] = {
    "container": {
        **{name: name for name in _CONTAINER_VERBS},
        "ls": "ps",
        "list": "ps",
        "ps": "ps",
        "inspect": "container inspect",
        "prune": "container prune",
        "remove": "rm",
    },
    "image": {
        "ls": "images",
        "list": "images",
        "rm": "rmi",
        "remove": "rmi",
        "inspect": "image inspect",
        "prune": "image prune",
        "tree": "image tree",
        "diff": "image diff",
        **{name: name for name in ("build", "load", "save", "import", "tag", "history", "pull", "push")},
    },
    "artifact": {
        **{name: f"artifact {name}" for name in ("get", "ls", "referrers", "rm")},
        "list": "artifact ls",
        "remove": "artifact rm",
        "pull": "pull",
    },
    "volume": {
        **{name: f"volume {name}" for name in ("create", "ls", "inspect", "rm", "prune")},
        "list": "volume ls",
        "remove": "volume rm",
    },
    "network": {
        **{name: f"network {name}" for name in ("connect", "create", "disconnect", "inspect", "ls", "prune", "rm")},
        "list": "network ls",
        "remove": "network rm",
    },
    "context": {
        **{
            name: f"context {name}"
            for name in ("create", "export", "import", "inspect", "ls", "rm", "show", "update", "use")
        },
        "list": "context ls",
        "remove": "context rm",
    },
    "system": {
        "info": "info",
        "events": "events",
        "df": "system df",
        "prune": "system prune",
        "fsck": "fsck",
        "dial-stdio": "system dial-stdio",
    },
    "port": {"add": "port add", "rm": "port rm"},
    "vm": {"setup": "vm setup", "status": "vm status"},
    "why": {"dns": "why dns", "exit": "why exit", "port": "why port"},
}


def spellings(entry: VerbEntry) -> Sequence[str]:
    """Every way to call a verb that has more than one: `shoal container ls, shoal ps`."""
    grouped = [
        f"shoal {group} {word}"
        for group, words in GROUPS.items()
        for word, verb in words.items()
        if verb == entry.name and f"{group} {word}" != entry.name
    ]
    own = [f"shoal {name}" for name in (entry.name, *entry.aliases)]
    return [*grouped, *own] if len(grouped) + len(own) > 1 else ()


def load_verb(entry: VerbEntry) -> Verb:
    """The module of a verb, imported now."""
    suffix = "_" if entry.name in ("import", "exec") else ""
    module = entry.name.replace(" ", "_").replace("-", "_") + suffix
    loaded: Verb = getattr(__import__(f"shoal.cli.verbs.{module}").cli.verbs, module)
    return loaded
