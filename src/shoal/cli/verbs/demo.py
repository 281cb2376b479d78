"""`shoal demo`: shows on this machine what a container is, and proves that nothing is left."""

from __future__ import annotations

import os
import shutil

from shoal.cli.arguments import Flags, Parser
from shoal.cli.autostart import find_shoald
from shoal.cli.context import Context
from shoal.cli.demo.cost import show_cost
from shoal.cli.demo.debian import debian_root
from shoal.cli.demo.ending import show_end, wait_nothing_left
from shoal.cli.demo.engine import PrivateEngine
from shoal.cli.demo.footprint import Footprint
from shoal.cli.demo.inside import show_inside
from shoal.cli.demo.layers import show_layers
from shoal.cli.demo.narration import Narration
from shoal.cli.demo.port import PortHolder, show_port
from shoal.cli.demo.stage import Stage, prepare_images
from shoal.cli.interruption import Interruption
from shoal.cli.memory import available_kib
from shoal.errors import Forbidden, ShoalError, Unavailable

_PROGRAMS = {"busybox": "busybox-static", "mmdebstrap": "mmdebstrap", "nft": "nftables"}


class Options(Flags):
    """The parsed flags."""

    cache_dir: str
    work_dir: str
    shoald: str


def configure(parser: Parser) -> None:
    """Adds the flags of the demo."""
    parser.text("--cache-dir", dest="cache_dir", metavar="DIR", help="Keep Debian's files here (XDG_CACHE_HOME/shoal)")
    parser.text("--work-dir", dest="work_dir", metavar="DIR", default="/var/tmp", help="Work below here (/var/tmp)")
    parser.text("--shoald", dest="shoald", metavar="PROGRAM", help="The engine's program (the one beside this one)")


def run(options: Options, context: Context) -> int:
    """0 if every step showed what it promises, 1 if not, 130 after Ctrl-C; always cleans up."""
    program = _checked(options)
    narration = Narration(context.stdout, context.style)
    try:
        with Interruption():
            _play(program, options, narration, context)
    except KeyboardInterrupt:
        return 130
    finally:
        if narration.broken:
            context.warn(f"shoal: {len(narration.broken)} of the demo's promises were not kept")
    return 1 if narration.broken else 0


def _checked(options: Options) -> list[str]:
    """The engine's program. Raises: Forbidden, Unavailable, with what to do."""
    if os.geteuid() != 0:
        raise Forbidden("the demo makes containers, which needs root", fix="sudo shoal demo")
    missing = [package for program, package in _PROGRAMS.items() if shutil.which(program) is None]
    if missing:
        raise Unavailable("the demo needs programs that are missing", fix=f"apt-get install -y {' '.join(missing)}")
    program = [options.shoald] if options.shoald else find_shoald()
    if not program:
        raise Unavailable("there is no shoald next to this program", fix="shoal demo --shoald PROGRAM")
    return program


def _cache_dir(options: Options, context: Context) -> str:
    if options.cache_dir:
        return os.path.abspath(options.cache_dir)
    base = context.environment.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return os.path.join(base, "shoal")


def _play(program: list[str], options: Options, narration: Narration, context: Context) -> None:
    narration.title(f"What a container is, on this machine (Linux {os.uname().release}, {os.cpu_count()} CPUs)")
    narration.step(0, "Preparation")
    root = debian_root(_cache_dir(options, context), narration.progress)
    engine = PrivateEngine(program, options.work_dir)
    footprint = Footprint(engine.root)
    try:
        with engine, PortHolder() as holder:
            narration.figure("private engine", f"shoald in {engine.root}, answering after {engine.start_s:.2f} s")
            stage = Stage(engine, narration, footprint)
            footprint.note_engine(engine.exec_root)
            prepare_images(stage, root, shutil.which("busybox") or "busybox")
            show_port(stage, holder)
            show_inside(stage)
            before_kib = available_kib()
            crowd = show_layers(stage)
            show_cost(stage, crowd, before_kib)
            show_end(stage)
    except ShoalError as error:
        context.report(error)
        narration.promise("the demo runs to its end", False)
    finally:
        # Where the last step was not reached, what it proves is checked all the same.
        for kind, items in wait_nothing_left(footprint).items():
            if items:
                narration.promise(f"nothing is left of {kind}: {', '.join(items[:5])}", False)
