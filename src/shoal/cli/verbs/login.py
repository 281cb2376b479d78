"""`shoal login`: has a registry check the user's name and password, and keeps them for later."""

from __future__ import annotations

from shoal.cli.arguments import Flags, Parser
from shoal.cli.context import Context
from shoal.cli.registry_auth import HUB, RegistryAuth, server_of
from shoal.errors import InvalidArgument


class Options(Flags):
    """The parsed flags."""

    username: str
    password: str
    password_stdin: bool
    server: str | None


def configure(parser: Parser) -> None:
    """Adds the flags of `docker login`."""
    parser.text("-p", "--password", dest="password", help="Password (others may see it: better --password-stdin)")
    parser.toggle("--password-stdin", dest="password_stdin", help="Take the password from stdin")
    parser.text("-u", "--username", dest="username", help="Name of the user")
    parser.add_argument("server", metavar="[SERVER]", nargs="?")


def run(options: Options, context: Context) -> int:
    """Asks for what is missing, logs in, and keeps what the registry is to hear from now on."""
    server = _named(options.server or "")
    if options.password:
        context.warn("WARNING! Using --password via the CLI is insecure. Use --password-stdin.")
        if options.password_stdin:
            raise InvalidArgument("--password and --password-stdin are mutually exclusive")
    if options.password_stdin and not options.username:
        raise InvalidArgument("Must provide --username with --password-stdin")
    password = context.stdin.read().rstrip("\r\n") if options.password_stdin else options.password
    username = options.username
    if not username or not password:
        username, password = _asked(username, password, context)
    body = {"username": username, "password": password, "serveraddress": server}
    answer = context.client.document("POST", "/auth", body=body)
    RegistryAuth(context.config_directory).keep(server, username, password, answer.text("IdentityToken"))
    context.print(answer.text("Status"))
    return 0


def _named(server: str) -> str:
    host = (server.partition("://")[2] or server).rstrip("/")
    return server_of(f"{host.partition('/')[0]}/x") if host else HUB


def _asked(username: str, password: str, context: Context) -> tuple[str, str]:
    """What the user types. Raises: InvalidArgument where there is no terminal."""
    if not context.stdin.isatty():
        raise InvalidArgument("cannot perform an interactive login from a non-TTY device", fix="--password-stdin")
    import getpass  # only those who type pay for it

    context.stdout.write("" if username else "Username: ")
    context.stdout.flush()
    return username or context.stdin.readline().strip(), password or getpass.getpass("Password: ")
