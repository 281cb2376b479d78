"""A container that runs in the foreground of the user's terminal: attach, start, carry bytes and signals, exit code.

    shoal                          engine
      │ POST attach ── 101 ──────────▶│   before start, so that no byte of output is missed
      │ POST wait  ── head ──────────▶│   before start, so that no exit is missed
      │ POST start ──────────────────▶│
      │ POST resize ─────────────────▶│   (terminals)
      │ ◀──────── streams ──────────▶ │   until the engine ends them, or the detach keys
      │ ◀──────── wait's body ─────── │   the exit code

The order is that of Docker's client; some engines rely on it.
"""

from __future__ import annotations

import select

from shoal.api.detach_keys import parse_detach_keys
from shoal.cli.arguments import WrongWords
from shoal.cli.context import Context
from shoal.cli.exits import ENGINE_ERROR, ExitCode, start_failure_code
from shoal.cli.session import Reactions, Session, Streams
from shoal.cli.terminal import FORWARDED, SIGWINCH, RawTerminal, SignalInbox, signal_name, terminal_size
from shoal.client.client import Client
from shoal.client.containers import Waiting
from shoal.client.http import Hijacked
from shoal.errors import Internal, ShoalError


class Attachment:
    """What to attach to, and how. `start`: start the container too (run, start -a), or it runs already (attach)."""

    __slots__ = ("container", "detach_keys", "removes", "sig_proxy", "start", "stderr", "stdin", "stdout", "tty")

    def __init__(
        self,
        *,
        container: str,
        stdin: bool,
        stdout: bool,
        stderr: bool,
        tty: bool,
        removes: bool = False,
        sig_proxy: bool = True,
        detach_keys: str = "",
        start: bool = True,
    ) -> None:
        self.container = container
        self.stdin = stdin
        self.stdout = stdout
        self.stderr = stderr
        self.tty = tty
        self.removes = removes
        self.sig_proxy = sig_proxy
        self.detach_keys = detach_keys
        self.start = start


def check_terminal(context: Context, *, stdin: bool, tty: bool) -> None:
    """Raises: WrongWords if a terminal is wanted for stdin, and stdin is none."""
    if stdin and tty and not context.stdin.isatty():
        raise WrongWords("the input device is not a TTY", fix="leave out -t, or run it in a terminal")


def attach_and_wait(attachment: Attachment, context: Context) -> int:
    """The container's exit code; after the detach keys 0 where it was started here, 1 where it ran before.

    Raises: ExitCode with 125, 126 or 127 when it can't be started; ShoalError when it can't be attached.
    """
    keys = parse_detach_keys(attachment.detach_keys)
    numbers = FORWARDED if attachment.sig_proxy else ()
    client, ref = context.client, attachment.container
    with SignalInbox({*numbers, SIGWINCH}) as inbox:
        hijacked = client.containers.attach(
            ref,
            stdin=attachment.stdin,
            stdout=attachment.stdout,
            stderr=attachment.stderr,
            detach_keys=attachment.detach_keys,
        )
        condition = ("removed" if attachment.removes else "next-exit") if attachment.start else ""
        waiting = client.containers.wait(ref, condition=condition)
        try:
            if attachment.start:
                _start(client, attachment)
            reactions = _reactions(client, attachment)
            if attachment.tty:
                reactions.on_resize()
            if _carry(attachment, hijacked, inbox, reactions, keys, context):
                return _detached(attachment, context)
            return _exit_code(waiting, inbox, reactions)
        finally:
            hijacked.close()
            waiting.close()


def _detached(attachment: Attachment, context: Context) -> int:
    """Docker's client says nothing and succeeds after `run`, and calls the end of an `attach` a failure."""
    if attachment.start:
        return 0
    context.warn("read escape sequence")
    return 1


def _start(client: Client, attachment: Attachment) -> None:
    try:
        client.containers.start(attachment.container, detach_keys=attachment.detach_keys)
    except ShoalError as error:
        raise ExitCode(start_failure_code(str(error)), error) from None


def _reactions(client: Client, attachment: Attachment) -> Reactions:
    def forward(number: int) -> None:
        try:
            client.containers.kill(attachment.container, signal=signal_name(number))
        except ShoalError:
            pass  # It has ended meanwhile: there is nobody to signal any more.

    def resize() -> None:
        size = terminal_size(1) or terminal_size(0)
        if not attachment.tty or size is None:
            return
        try:
            client.containers.resize(attachment.container, rows=size[0], cols=size[1])
        except ShoalError:
            pass  # It has ended meanwhile, and its terminal with it.

    return Reactions(forward, resize)


def _carry(
    attachment: Attachment, hijacked: Hijacked, inbox: SignalInbox, reactions: Reactions, keys: bytes, context: Context
) -> bool:
    """Whether the user detached."""
    stdin_fd = context.stdin.fileno() if attachment.stdin else None
    streams = Streams(
        stdin_fd,
        context.output if attachment.stdout else None,
        (context.output if attachment.tty else context.error_output) if attachment.stderr else None,
    )
    session = Session(
        hijacked,
        streams,
        inbox,
        reactions,
        multiplexed=not attachment.tty,
        detach_keys=keys if attachment.tty and attachment.stdin else b"",
    )
    with RawTerminal(stdin_fd if attachment.tty and stdin_fd is not None else -1):
        return session.run()


def _exit_code(waiting: Waiting, inbox: SignalInbox, reactions: Reactions) -> int:
    """The container's exit code; signals are handed on while it is awaited (its streams may end before it does)."""
    poll = select.poll()
    poll.register(waiting, select.POLLIN)
    poll.register(inbox, select.POLLIN)
    while not waiting.has_buffered():
        ready = dict(poll.poll())
        if inbox.fileno() in ready:
            for number in inbox.take_nowait():
                if number != SIGWINCH:
                    reactions.on_signal(number)
        if waiting.fileno() in ready:
            break
    try:
        result = waiting.result()
    except ShoalError as error:
        raise ExitCode(ENGINE_ERROR, Internal("error waiting for container", why=str(error), fix=error.fix)) from None
    problem = result.text("Error", "Message")
    if problem:
        raise ExitCode(ENGINE_ERROR, Internal(problem))
    return result.number("StatusCode")
