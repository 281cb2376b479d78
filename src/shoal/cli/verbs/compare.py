"""`shoal compare`: how a container differs from a virtual machine, measured with the reader's own application."""

from __future__ import annotations

import json
import os
import shutil
import tempfile

from shoal.cli.arguments import REMAINDER, Flags, Parser
from shoal.cli.compare.machine import facts
from shoal.cli.compare.measuring import QUICK, Comparison, Effort
from shoal.cli.compare.page import page
from shoal.cli.compare.report import MODES, Mode, Report
from shoal.cli.compare.table import ratio_sentence, table
from shoal.cli.context import Context
from shoal.cli.interruption import Interruption
from shoal.errors import Forbidden, InvalidArgument, Unavailable

_DEFAULT_INSTANCES = 5


class Options(Flags):
    """The parsed flags."""

    instances: int
    modes: str
    quick: bool
    html: str
    json: str
    image: str
    command: list[str]


def configure(parser: Parser) -> None:
    """Adds the flags of `shoal compare`."""
    parser.integer("-n", "--instances", dest="instances", default=_DEFAULT_INSTANCES, help="How many of each")
    parser.text("--modes", dest="modes", default=",".join(MODES), help="Which to measure")
    parser.toggle("--quick", dest="quick", help="Coarser figures, in less time")
    parser.text("--html", dest="html", metavar="FILE", help="Write a page with plots")
    parser.text("--json", dest="json", metavar="FILE", help="Write all samples (- for standard output)")
    parser.add_argument("image", metavar="IMAGE")
    parser.add_argument("command", metavar="COMMAND", nargs=REMAINDER)


def run(options: Options, context: Context) -> int:
    """Measures, and prints the table; 130 after Ctrl-C. Always cleans up behind itself."""
    modes = _modes(options)
    busybox = _checked(options, context)
    words = options.command[1:] if options.command[:1] == ["--"] else options.command
    application = " ".join([options.image, *words])
    report = Report(application, options.instances, facts(context.client))
    try:
        with Interruption(), tempfile.TemporaryDirectory(prefix="shoal-compare-") as place:
            os.chmod(place, 0o755)
            shutil.copy(busybox, os.path.join(place, "busybox"))
            comparison = Comparison(
                client=context.client,
                image=options.image,
                command=words or None,
                busybox=os.path.join(place, "busybox"),
                probe_directory=place,
                report=report,
                say=lambda text: _say(text, context),
                effort=QUICK if options.quick else Effort(),
            )
            comparison.run(modes)
            report.machine.update(facts(context.client))  # now it is known how virtual machines run
    except KeyboardInterrupt:
        return 130
    finally:
        _say("", context)
    _show(report, options, context)
    return 0


def _modes(options: Options) -> list[Mode]:
    asked = options.modes.split(",")
    if unknown := [name for name in asked if name not in MODES]:
        raise InvalidArgument(f"unknown mode {unknown[0]!r}", fix=f"--modes {','.join(MODES)}")
    return [mode for mode in MODES if mode in asked]


def _checked(options: Options, context: Context) -> str:
    """The host's busybox. Raises: InvalidArgument, Forbidden, Unavailable, with what to do."""
    if options.instances < 1:
        raise InvalidArgument("there must be at least one instance of each", fix="--instances 5")
    if not context.client.transport.address.startswith("unix://"):
        raise Unavailable(
            f"the engine is at {context.client.transport.address}, and memory is measured on this machine",
            fix="run `shoal compare` on the engine's machine",
        )
    if os.geteuid() != 0:
        raise Forbidden("the memory of others' processes is for root to see", fix="sudo shoal compare")
    busybox = shutil.which("busybox")
    if busybox is None:
        raise Unavailable("the probes need a busybox that is linked statically", fix="apt-get install busybox-static")
    return busybox


def _say(text: str, context: Context) -> None:
    """One line of progress, on a terminal only."""
    if context.stderr.isatty():
        context.stderr.write(f"\r\033[K{text}")
        context.stderr.flush()


def _show(report: Report, options: Options, context: Context) -> None:
    document = json.dumps(report.to_json(), indent=2, ensure_ascii=False)
    if options.json == "-":
        context.print(document)
    else:
        for line in table(report):
            context.print(line)
        if sentence := ratio_sentence(report):
            context.print(sentence)
        if options.json:
            _write(options.json, document + "\n")
    if options.html:
        _write(options.html, page(report))


def _write(path: str, text: str) -> None:
    try:
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise InvalidArgument(f"cannot write {path}", why=os.strerror(error.errno or 0)) from None
