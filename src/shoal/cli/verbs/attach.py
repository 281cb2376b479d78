"""`shoal attach`: joins the streams of a running container."""

from __future__ import annotations

from shoal.cli.arguments import Flags, Parser
from shoal.cli.attached import Attachment, attach_and_wait, check_terminal
from shoal.cli.context import Context
from shoal.errors import Conflict


class Options(Flags):
    """The parsed flags."""

    no_stdin: bool
    sig_proxy: bool
    detach_keys: str
    container: str


def configure(parser: Parser) -> None:
    """Adds the flags of `docker attach`."""
    parser.toggle("--no-stdin", dest="no_stdin", help="Do not attach stdin")
    parser.toggle("--sig-proxy", dest="sig_proxy", default=True, help="Forward signals to the process")
    parser.text("--detach-keys", dest="detach_keys", help="Key sequence that detaches (ctrl-p,ctrl-q)")
    parser.add_argument("container", metavar="CONTAINER")


def run(options: Options, context: Context) -> int:
    """The container's exit code, 0 after the detach keys."""
    inspected = context.client.containers.inspect(options.container)
    if not inspected.flag("State", "Running"):
        raise Conflict(
            "You cannot attach to a stopped container, start it first", fix=f"shoal start {options.container}"
        )
    if inspected.flag("State", "Paused"):
        raise Conflict(
            "You cannot attach to a paused container, unpause it first", fix=f"shoal unpause {options.container}"
        )
    stdin = inspected.flag("Config", "OpenStdin") and not options.no_stdin
    tty = inspected.flag("Config", "Tty")
    check_terminal(context, stdin=stdin, tty=tty)
    attachment = Attachment(
        container=inspected.text("Id"),
        stdin=stdin,
        stdout=True,
        stderr=True,
        tty=tty,
        # A signal to a program with a terminal comes from the terminal, as a key.
        sig_proxy=options.sig_proxy and not tty,
        detach_keys=options.detach_keys,
        start=False,
    )
    return attach_and_wait(attachment, context)
