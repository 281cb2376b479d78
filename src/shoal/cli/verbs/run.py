"""`shoal run`: creates a container and starts it, in the foreground or (-d) in the background."""

from __future__ import annotations

from shoal.cli.arguments import Parser, UsageError, WrongWords
from shoal.cli.attached import Attachment, attach_and_wait, check_terminal
from shoal.cli.container.flags import ContainerOptions, add_container_flags
from shoal.cli.container.request import create_request
from shoal.cli.context import Context
from shoal.cli.creation import create_container
from shoal.cli.exits import ENGINE_ERROR, ExitCode, start_failure_code
from shoal.cli.terminal import terminal_size
from shoal.client.document import Json
from shoal.errors import ShoalError


class Options(ContainerOptions):
    """The parsed flags."""

    detach: bool
    sig_proxy: bool
    detach_keys: str


def configure(parser: Parser) -> None:
    """Adds the flags of `docker run`."""
    parser.toggle("-d", "--detach", dest="detach", help="Run in the background and print the container's id")
    parser.toggle("--sig-proxy", dest="sig_proxy", default=True, help="Forward signals to the process")
    parser.text("--detach-keys", dest="detach_keys", help="Key sequence that detaches (ctrl-p,ctrl-q)")
    add_container_flags(parser)


def run(options: Options, context: Context) -> int:
    """The container's exit code; 125, 126 or 127 where it could not be run."""
    if options.detach and options.attach:
        raise WrongWords("conflicting options: cannot specify both --attach and --detach")
    try:
        body = create_request(options, context.environment, detached=options.detach)
        check_terminal(context, stdin=bool(body["AttachStdin"]), tty=options.tty)
        _put_console_size(body, options)
        container = create_container(options, body, context)
        if options.detach:
            return _run_detached(container, options, context)
        return attach_and_wait(_attachment(container, body, options), context)
    except UsageError:
        raise
    except ShoalError as error:
        raise ExitCode(ENGINE_ERROR, error) from None


def _run_detached(container: str, options: Options, context: Context) -> int:
    try:
        context.client.containers.start(container, detach_keys=options.detach_keys)
    except ShoalError as error:
        # As Docker's client does: the id is printed, because the container exists.
        context.print(container)
        raise ExitCode(start_failure_code(str(error)), error) from None
    context.print(container)
    return 0


def _put_console_size(body: dict[str, Json], options: Options) -> None:
    size = terminal_size(1)
    host = body["HostConfig"]
    if size is not None and options.tty and isinstance(host, dict):
        host["ConsoleSize"] = [size[0], size[1]]


def _attachment(container: str, body: dict[str, Json], options: Options) -> Attachment:
    host = body["HostConfig"]
    return Attachment(
        container=container,
        stdin=bool(body["AttachStdin"]),
        stdout=bool(body["AttachStdout"]),
        stderr=bool(body["AttachStderr"]),
        tty=options.tty,
        removes=isinstance(host, dict) and host.get("AutoRemove") is True,
        sig_proxy=options.sig_proxy,
        detach_keys=options.detach_keys,
    )
