"""`shoal doctor`: what this kernel and this machine can and can't do, each with the reason and the mend."""

from __future__ import annotations

import shlex
import subprocess
import textwrap

from shoal.cli.arguments import Flags, Parser
from shoal.cli.context import Context
from shoal.cli.doctor.finding import OK, PROBLEM, WARNING, Finding
from shoal.cli.verbs.listing import print_rows
from shoal.client.transport import UnixTransport
from shoal.client.transport_ssh import SshTransport

_HEADINGS = {"Area": "AREA", "Name": "NAME", "State": "STATE", "Detail": "DETAIL", "Fix": "FIX"}
_LOOKS = {OK: ("green",), WARNING: ("yellow",), PROBLEM: ("bold", "red")}
_WIDTH = 110


class Options(Flags):
    """The parsed flags."""

    data_root: str
    exec_root: str
    format: str
    quiet: bool


def configure(parser: Parser) -> None:
    """Adds the flags, of which Docker's client has none: it has no doctor."""
    parser.text("--data-root", dest="data_root", help="The daemon's data root", default="/var/lib/shoal")
    parser.text("--exec-root", dest="exec_root", help="The daemon's exec root", default="/run/shoal")
    parser.text("--format", dest="format", help="table, json, or a Go template")
    parser.toggle("-q", "--quiet", dest="quiet", help="Show only what is not as it should be")


def run(options: Options, context: Context) -> int:
    """Prints the findings; 1 if one is a problem, in which case containers will not run as they should."""
    context.may_start_engine = False
    transport = context.client.transport
    if isinstance(transport, SshTransport):
        return _run_there(transport, options)
    findings = _examine(options, context)
    shown = [finding for finding in findings if finding.state != OK or not options.quiet]
    if options.format:
        print_rows([finding.as_row() for finding in shown], tuple(_HEADINGS), _HEADINGS, options.format, context)
    else:
        _print(shown, context)
        _sum_up(findings, context)
    return 1 if any(finding.state == PROBLEM for finding in findings) else 0


def _run_there(transport: SshTransport, options: Options) -> int:
    """The machine behind ssh looks at itself: our streams are its streams."""
    flags = [f"--data-root={options.data_root}", f"--exec-root={options.exec_root}"]
    flags += [f"--format={options.format}"] if options.format else []
    flags += ["--quiet"] if options.quiet else []
    return subprocess.run(transport.command("doctor", *map(shlex.quote, flags))).returncode


def _examine(options: Options, context: Context) -> list[Finding]:
    from shoal.cli.doctor.engine import check_engine, check_leftovers

    answers = check_engine(context.client)
    transport = context.client.transport
    if not isinstance(transport, UnixTransport):
        detail = "this machine's kernel has nothing to do with the engine, and that one's can't be seen from here"
        return [
            *answers,
            Finding("machine", "elsewhere", WARNING, detail, f"run `shoal doctor` at {transport.address}"),
        ]
    from shoal.cli.doctor.firewall import check_firewall
    from shoal.cli.doctor.kernel import check_kernel
    from shoal.cli.doctor.limits import check_limits
    from shoal.cli.doctor.machine import check_machine
    from shoal.cli.doctor.storage import check_storage

    return [
        *check_kernel(),
        *check_machine(),
        *check_storage(options.data_root, options.exec_root),
        *check_limits(),
        *check_firewall(),
        *answers,
        *check_leftovers(),
    ]


def _print(findings: list[Finding], context: Context) -> None:
    style, area = context.style, ""
    for finding in findings:
        if finding.area != area:
            area = finding.area
            context.print(style(area, "bold"))
        state = style(finding.state.ljust(8), *_LOOKS[finding.state])
        context.print(f"  {state} {finding.name.ljust(30)} {finding.detail}".rstrip())
        if finding.fix:
            lines = textwrap.wrap(finding.fix, _WIDTH - 17, break_long_words=False, break_on_hyphens=False)
            for index, line in enumerate(lines):
                context.print(f"           {'mend: ' if index == 0 else '      '}{line}")


def _sum_up(findings: list[Finding], context: Context) -> None:
    def counted(state: str, word: str) -> str:
        count = sum(finding.state == state for finding in findings)
        return f"{count} {word}" if count == 1 else f"{count} {word}s"

    context.print(f"{len(findings)} checks: {counted(PROBLEM, 'problem')}, {counted(WARNING, 'warning')}")
