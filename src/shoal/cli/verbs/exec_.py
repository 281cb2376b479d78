"""`shoal exec`: runs one more process in a running container."""

from __future__ import annotations

from shoal.api.detach_keys import parse_detach_keys
from shoal.cli.arguments import REMAINDER, Flags, Parser
from shoal.cli.attached import check_terminal
from shoal.cli.container.values import environment_list
from shoal.cli.context import Context
from shoal.cli.exits import ENGINE_ERROR, ExitCode, start_failure_code
from shoal.cli.session import Reactions, Session, Streams
from shoal.cli.terminal import SIGWINCH, RawTerminal, SignalInbox, terminal_size
from shoal.client.document import Json
from shoal.errors import ShoalError


class Options(Flags):
    """The parsed flags."""

    detach: bool
    interactive: bool
    tty: bool
    privileged: bool
    detach_keys: str
    env: list[str]
    env_file: list[str]
    user: str
    workdir: str
    container: str
    command: str
    arguments: list[str]


def configure(parser: Parser) -> None:
    """Adds the flags of `docker exec`."""
    parser.toggle("-d", "--detach", dest="detach", help="Run it in the background")
    parser.toggle("-i", "--interactive", dest="interactive", help="Keep stdin open")
    parser.toggle("-t", "--tty", dest="tty", help="Give it a terminal")
    parser.toggle("--privileged", dest="privileged", help="Give it extended privileges")
    parser.text("--detach-keys", dest="detach_keys", help="Key sequence that detaches (ctrl-p,ctrl-q)")
    parser.texts("-e", "--env", dest="env", help="Set an environment variable")
    parser.texts("--env-file", dest="env_file", help="Read environment variables from a file")
    parser.text("-u", "--user", dest="user", help="User name or UID, and group (name|uid[:group|gid])")
    parser.text("-w", "--workdir", dest="workdir", help="Working directory inside the container")
    parser.add_argument("container", metavar="CONTAINER")
    parser.add_argument("command", metavar="COMMAND")
    parser.add_argument("arguments", metavar="ARG", nargs=REMAINDER)


def run(options: Options, context: Context) -> int:
    """The process's exit code; 0 at once with -d."""
    keys = parse_detach_keys(options.detach_keys)
    execs = context.client.execs
    if not options.detach:
        check_terminal(context, stdin=options.interactive, tty=options.tty)
    exec_id = execs.create(options.container, _config(options, context))
    try:
        if options.detach:
            execs.start_detached(exec_id, tty=options.tty)
            return 0
        detached = _carry(exec_id, options, keys, context)
    except ShoalError as error:
        code = start_failure_code(str(error))
        raise ExitCode(1 if code == ENGINE_ERROR else code, error) from None
    if detached:
        context.warn("read escape sequence")
        return 1
    return execs.inspect(exec_id).number("ExitCode")


def _config(options: Options, context: Context) -> dict[str, Json]:
    command: list[Json] = [options.command, *options.arguments]
    env: list[Json] = [*environment_list(options.env, options.env_file, context.environment)]
    attached = not options.detach
    config: dict[str, Json] = {
        "AttachStdin": attached and options.interactive,
        "AttachStdout": attached,
        "AttachStderr": attached,
        "Tty": options.tty,
        "Cmd": command,
        "Privileged": options.privileged,
    }
    optional: tuple[tuple[str, Json], ...] = (
        ("User", options.user),
        ("WorkingDir", options.workdir),
        ("DetachKeys", options.detach_keys),
        ("Env", env),
    )
    config.update({name: value for name, value in optional if value})
    return config


def _carry(exec_id: str, options: Options, keys: bytes, context: Context) -> bool:
    """Whether the user detached. Signals are not forwarded: an exec has no kill call; keys of a terminal are bytes."""
    execs = context.client.execs

    def resize() -> None:
        size = terminal_size(1) or terminal_size(0)
        if options.tty and size is not None:
            try:
                execs.resize(exec_id, rows=size[0], cols=size[1])
            except ShoalError:
                pass  # It has ended meanwhile, and its terminal with it.

    stdin_fd = context.stdin.fileno() if options.interactive else None
    with SignalInbox((SIGWINCH,)) as inbox:
        hijacked = execs.start(exec_id, tty=options.tty, size=terminal_size(1))
        try:
            resize()
            session = Session(
                hijacked,
                Streams(stdin_fd, context.output, context.output if options.tty else context.error_output),
                inbox,
                Reactions(lambda _number: None, resize),
                multiplexed=not options.tty,
                detach_keys=keys if options.tty and options.interactive else b"",
            )
            with RawTerminal(stdin_fd if options.tty and stdin_fd is not None else -1):
                return session.run()
        finally:
            hijacked.close()
