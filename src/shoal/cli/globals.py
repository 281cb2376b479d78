"""The flags before the verb: which engine, how to reach it, and how much to tell.

    -H, else --context, else DOCKER_HOST, else DOCKER_CONTEXT, else the context that `shoal context use` set, else the
    default socket

That is the order of Docker's client; `cli.endpoint` acts on it.
"""

from __future__ import annotations

import os

from shoal import __version__
from shoal.cli.arguments import REMAINDER, Flags, HelpShown, Parser, WrongWords, parse

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from shoal.cli.context import Context

_LEVELS = ("debug", "info", "warn", "error", "fatal")


class GlobalFlags(Flags):
    """The parsed flags before the verb."""

    config: str = ""
    context: str = ""
    debug: bool = False
    hosts: list[str]
    log_level: str = "info"
    tls: bool = False
    tls_ca: str = ""
    tls_cert: str = ""
    tls_key: str = ""
    tls_verify: bool = False
    version: bool = False
    words: list[str]

    def __init__(self) -> None:
        self.hosts = []
        self.words = []

    def config_directory(self, environment: Mapping[str, str]) -> str:
        """Where contexts and certificates are: --config, else DOCKER_CONFIG, else ~/.docker."""
        named = self.config or environment.get("DOCKER_CONFIG", "")
        return named or os.path.join(environment.get("HOME", "") or "/root", ".docker")


def add_global_flags(parser: Parser) -> None:
    """Adds the flags that stand before the verb."""
    parser.text("--config", dest="config", help='Directory of contexts and certificates (default "~/.docker")')
    parser.text("-c", "--context", dest="context", help="The context to use; overrides DOCKER_HOST and `context use`")
    parser.toggle("-D", "--debug", dest="debug", help="Tell where in shoal an error came from")
    parser.texts("-H", "--host", dest="hosts", help="The engine to talk to (unix://, tcp://, ssh://)")
    parser.text("-l", "--log-level", dest="log_level", default="info", help="debug, info, warn, error or fatal")
    parser.toggle("--tls", dest="tls", help="Use TLS; implied by --tlsverify")
    parser.text("--tlscacert", dest="tls_ca", help="Trust only what this CA has signed")
    parser.text("--tlscert", dest="tls_cert", help="The client's certificate")
    parser.text("--tlskey", dest="tls_key", help="The client's key")
    parser.toggle("--tlsverify", dest="tls_verify", help="Use TLS and verify the engine")
    parser.toggle("-v", "--version", dest="version", help="Print the version and end")


def take_global_flags(words: Sequence[str], context: Context) -> Sequence[str]:
    """The words from the verb on; what stood before it goes into the context.

    Raises: UsageError, HelpShown.
    """
    if not words or not words[0].startswith("-") or words[0] in ("--help", "-h"):
        return words
    parser = Parser("", "[OPTIONS] COMMAND [ARG...]", "")
    add_global_flags(parser)
    parser.add_argument("words", nargs=REMAINDER)
    flags = parse(parser, words, GlobalFlags(), interspersed=False)
    if flags.version:
        raise HelpShown(f"shoal version {__version__}\n")
    if flags.log_level not in _LEVELS:
        raise WrongWords(f"unable to parse logging level: {flags.log_level}", fix=f"one of {', '.join(_LEVELS)}")
    if len(flags.hosts) > 1:
        raise WrongWords("specify only one -H")
    if flags.hosts and flags.context:
        raise WrongWords("conflicting options: cannot specify both --host and --context", fix="leave one of them out")
    context.globals = flags
    return flags.words
