"""`shoal start`: starts stopped containers, or one with its streams attached."""

from __future__ import annotations

from shoal.cli.arguments import Flags, Parser, WrongWords
from shoal.cli.attached import Attachment, attach_and_wait
from shoal.cli.context import Context
from shoal.cli.verbs.each import for_each
from shoal.errors import Unsupported


class Options(Flags):
    """The parsed flags."""

    attach: bool
    interactive: bool
    detach_keys: str
    checkpoint: str
    checkpoint_dir: str
    sig_proxy: bool
    containers: list[str]


def configure(parser: Parser) -> None:
    """Adds the flags of `docker start`."""
    parser.toggle("-a", "--attach", dest="attach", help="Attach to stdout and stderr, and forward signals")
    parser.toggle("-i", "--interactive", dest="interactive", help="Attach to stdin")
    parser.text("--detach-keys", dest="detach_keys", help="Key sequence that detaches (ctrl-p,ctrl-q)")
    parser.text("--checkpoint", dest="checkpoint", help="Restore from this checkpoint (not served)")
    parser.text("--checkpoint-dir", dest="checkpoint_dir", help="Where the checkpoint is (not served)")
    parser.toggle("--sig-proxy", dest="sig_proxy", default=True, help="Forward signals to the process")
    parser.add_argument("containers", metavar="CONTAINER", nargs="+")


def run(options: Options, context: Context) -> int:
    """Starts them; with -a or -i the container's exit code."""
    if options.checkpoint or options.checkpoint_dir:
        raise Unsupported("checkpoints are not served", fix="leave --checkpoint out: the container starts anew")
    if not options.attach and not options.interactive:
        return for_each(options.containers, context.client.containers.start, context)
    if len(options.containers) > 1:
        raise WrongWords("you cannot start and attach multiple containers at once")
    inspected = context.client.containers.inspect(options.containers[0])
    attachment = Attachment(
        container=inspected.text("Id"),
        stdin=options.interactive and inspected.flag("Config", "OpenStdin"),
        stdout=True,
        stderr=True,
        tty=inspected.flag("Config", "Tty"),
        removes=inspected.flag("HostConfig", "AutoRemove"),
        sig_proxy=options.sig_proxy,
        detach_keys=options.detach_keys,
    )
    return attach_and_wait(attachment, context)
