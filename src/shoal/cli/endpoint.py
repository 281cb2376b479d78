"""Which engine a command talks to, and how it is reached: from flags, environment and contexts to a Client."""

from __future__ import annotations

import os

from shoal.client.client import Client
from shoal.client.transport import DEFAULT_HOST, TlsFiles, Transport, UnixTransport, parse_host
from shoal.errors import InvalidArgument

TYPE_CHECKING = False
if TYPE_CHECKING:
    from shoal.cli.context import Context

DEFAULT_CONTEXT = "default"
# Which context `shoal context use` chose. A file of shoal's own beside Docker's: what one command uses by default must
# not change what the other one talks to.
CURRENT_FILE = "shoal-context"
_TRUE = ("1", "t", "T", "TRUE", "true", "True")


def open_client(context: Context) -> Client:
    """The client of the engine that the command line and the environment name; the default socket's starts the engine
    where none runs, if it may. Raises: InvalidArgument, NotFound for a context that there is not."""
    name = context_name(context)
    transport = _default_transport(context) if name == DEFAULT_CONTEXT else _transport_of(name, context)
    if context.may_start_engine and isinstance(transport, UnixTransport) and transport.address == DEFAULT_HOST:
        from shoal.cli.autostart import StartingTransport, find_shoald

        transport = StartingTransport(transport, lambda text: context.warn(f"shoal: {text}"), program=find_shoald())
    return Client(transport, version=context.environment.get("DOCKER_API_VERSION", ""))


def context_name(context: Context) -> str:
    """The name of the context in use; `default` where a host is named, or nothing is.

    Raises: NotFound when the chosen one is gone.
    """
    flags, environment = context.globals, context.environment
    if flags.context:
        return flags.context
    if flags.hosts or environment.get("DOCKER_HOST"):
        return DEFAULT_CONTEXT
    return environment.get("DOCKER_CONTEXT") or chosen_context(context) or DEFAULT_CONTEXT


def chosen_context(context: Context) -> str:
    """The name that `shoal context use` wrote down, "" for none."""
    try:
        with open(os.path.join(context.config_directory, CURRENT_FILE), encoding="utf-8") as file:
            return file.read(256).strip()
    except OSError:
        return ""


def default_address(context: Context) -> str:
    """The address of the context `default`: -H, else DOCKER_HOST, else the default socket."""
    hosts = context.globals.hosts
    return (hosts[0] if hosts else context.environment.get("DOCKER_HOST", "")) or DEFAULT_HOST


def _default_transport(context: Context) -> Transport:
    return parse_host(default_address(context), tls=_tls_files(context))


def _tls_files(context: Context) -> TlsFiles | None:
    """What the flags, DOCKER_TLS, DOCKER_TLS_VERIFY and DOCKER_CERT_PATH ask for; None for no TLS."""
    flags, environment = context.globals, context.environment
    verify = flags.tls_verify or bool(environment.get("DOCKER_TLS_VERIFY"))
    if not (verify or flags.tls or environment.get("DOCKER_TLS") in _TRUE):
        return None
    directory = environment.get("DOCKER_CERT_PATH") or context.config_directory

    def usual(name: str) -> str:
        path = os.path.join(directory, name)
        return path if os.path.exists(path) else ""

    authority = flags.tls_ca or os.path.join(directory, "ca.pem")
    return TlsFiles(
        authority=authority if verify else "",
        certificate=flags.tls_cert or usual("cert.pem"),
        key=flags.tls_key or usual("key.pem"),
        verify=verify,
    )


def _transport_of(name: str, context: Context) -> Transport:
    from shoal.cli.contexts import ContextStore  # most calls use none

    stored = ContextStore(context.config_directory).get(name)
    if not stored.host:
        raise InvalidArgument(f'context "{name}" has no docker endpoint', fix=f"shoal context update {name} --docker …")
    return parse_host(stored.host, tls=stored.tls_files())
