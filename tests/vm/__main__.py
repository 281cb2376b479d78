"""`./dev test vm`: boot Debian's cloud kernel in QEMU and run tests inside, as root of a machine with cgroup v2.

What is kept between runs (the kernel, the guest's Debian) is in the user's cache directory; what a run leaves (the
guest's console, the results as JUnit's XML) in .cache/vm of the checkout. Exit code: that of pytest, or 125.
"""

from __future__ import annotations

import argparse
import os
import selectors
import shutil
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from shoal.errors import ShoalError, Unavailable
from shoal.runtime.vm.kernel import BOOT_MODULES, Kernel, debian_kernel, kernel_in, module_files
from tests.vm.accelerator import accelerator
from tests.vm.checkout import ROOT, write_checkout
from tests.vm.initramfs import write_boot_archive
from tests.vm.machine import Disk, Machine, Shape
from tests.vm.messages import OUTPUT_PORT, REPORT_PORT, Decoder, encode
from tests.vm.root import root_image

FAILED = 125
RESULTS = ROOT / ".cache/vm"
# What a kernel and its control groups decide; dockerd's turn at the conformance cases would take most of the time.
SELECTION = (
    "--engine=shoald",
    "tests/conformance/test_cgroup2.py",
    "tests/kernel/linux",
    "tests/kernel/steps",
    "tests/kernel/supervisor",
    "tests/kernel/network",
)
BOOT_S = 120.0
READ_BYTES = 65536


def arguments(words: list[str]) -> tuple[argparse.Namespace, list[str]]:
    """The options of this command, and what is left for pytest."""
    parser = argparse.ArgumentParser(
        prog="./dev test vm",
        description="Run tests in a guest: Debian's cloud kernel in QEMU, with cgroup v2.",
        epilog="Everything else goes to pytest. Without it: the tests that depend on the kernel.",
        allow_abbrev=False,
    )
    parser.add_argument("--cgroups", choices=["v2", "hybrid", "v1"], default="v2", help="how the guest mounts them")
    parser.add_argument("--memory", type=int, default=2048, metavar="MIB", help="the guest's memory (2048)")
    parser.add_argument("--cpus", type=int, default=1, metavar="N", help="the guest's processors (1)")
    parser.add_argument("--timeout", type=float, default=1800, metavar="S", help="the whole run (1800)")
    parser.add_argument("--accelerator", choices=["kvm", "tcg"], help="instead of trying what works")
    parser.add_argument("--kernel", type=Path, metavar="DIR", help="an unpacked kernel package instead of Debian's")
    return parser.parse_known_args(words)


def selected(rest: list[str]) -> list[str]:
    """What pytest gets: the arguments, behind the usual selection where they name no test themselves."""
    if any((ROOT / word.partition("::")[0]).exists() for word in rest):
        return rest
    return [*SELECTION, *rest]


class Progress:
    """One line that says what is going on, on a terminal replaced by the next one."""

    def __init__(self) -> None:
        self._is_terminal = sys.stderr.isatty()
        self._width = shutil.get_terminal_size().columns - 1

    def __call__(self, text: str) -> None:
        """Say it."""
        if self._is_terminal:
            print(f"\r\033[K{text[: self._width]}", end="", file=sys.stderr, flush=True)
        else:
            print(text, file=sys.stderr, flush=True)

    def done(self, text: str) -> None:
        """Say it and leave it there."""
        self(text)
        if self._is_terminal:
            print(file=sys.stderr, flush=True)


def cache_directory() -> Path:
    """Where kernels and images are kept."""
    base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return Path(base, "shoal", "vm")


def build_initramfs(kernel: Kernel, target: Path) -> None:
    """Write the archive that `kernel` boots with.

    Raises: Unavailable when there is no static busybox.
    """
    try:
        with target.open("wb") as out:
            write_boot_archive(out, module_files(kernel.modules, BOOT_MODULES))
    except FileNotFoundError as error:
        raise Unavailable(f"{error.filename} is missing", fix="apt-get install -y busybox-static") from None


class Run:
    """The dialogue with one guest."""

    def __init__(self, machine: Machine, job: dict[str, object], timeout_s: float, say: Progress) -> None:
        self._machine = machine
        self._report = machine.ports[REPORT_PORT]
        self._output = machine.ports[OUTPUT_PORT]
        self._report.sendall(encode(job))
        self._decoder = Decoder()
        self._say = say
        self._timeout_s = timeout_s
        self.is_ready = False
        self.code: int | None = None
        self.files: dict[str, str] = {}

    def finish(self) -> int:
        """The guest's exit code, behind all of its output.

        Raises: Unavailable when it does not boot, does not finish, or ends without a word.
        """
        with selectors.DefaultSelector() as selector:
            selector.register(self._report, selectors.EVENT_READ, self._reported)
            selector.register(self._output, selectors.EVENT_READ, self._printed)
            while self.code is None or selector.get_map():
                ready = selector.select(max(0.0, self._deadline() - time.monotonic()))
                if not ready:
                    raise self._overdue()
                self._serve(selector, ready)
        if self.code is None:
            raise Unavailable("the guest ended without a result", why=self._machine.last_words())
        return self.code

    def _deadline(self) -> float:
        return self._machine.started + (self._timeout_s if self.is_ready else min(BOOT_S, self._timeout_s))

    def _serve(self, selector: selectors.BaseSelector, ready: Iterable[tuple[selectors.SelectorKey, int]]) -> None:
        for key, _ in ready:
            handle: Callable[[bytes], None] = key.data
            try:
                data = os.read(key.fd, READ_BYTES)
            except ConnectionResetError:
                data = b""
            if data:
                handle(data)
            else:
                selector.unregister(key.fileobj)
        if not selector.get_map() and self.code is None:
            raise Unavailable("the guest ended without a result", why=self._machine.last_words())

    def _overdue(self) -> Unavailable:
        what = f"did not finish within {self._timeout_s:.0f} s" if self.is_ready else "did not boot"
        return Unavailable(f"the guest {what}", why=self._machine.last_words())

    def _printed(self, data: bytes) -> None:
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()

    def _reported(self, data: bytes) -> None:
        for message in self._decoder.feed(data):
            if message["kind"] == "ready":
                self.is_ready = True
                took = time.monotonic() - self._machine.started
                self._say.done(f"Linux {message['kernel']} is up after {took:.1f} s")
            elif message["kind"] == "file":
                self.files[str(message["name"])] = str(message["text"])
            elif message["kind"] == "exit":
                self.code = int(str(message["code"]))


def run(options: argparse.Namespace, rest: list[str], say: Progress) -> int:
    """The exit code of the tests in the guest.

    Raises: ShoalError when it does not come to that.
    """
    if os.geteuid() != 0:
        raise Unavailable(
            "the tests in a guest need root", why="they make the guest's Debian", fix="sudo ./dev test vm"
        )
    cache = cache_directory()
    kernel = kernel_in(options.kernel) if options.kernel else debian_kernel(cache, say)
    image = root_image(kernel, cache, say)
    with work_directory() as work:
        return run_in(work, kernel, image, options, rest, say)


@contextmanager
def work_directory() -> Iterator[Path]:
    """A directory for what lasts as long as a run; those of runs that were killed go too."""
    RESULTS.mkdir(parents=True, exist_ok=True)
    for old in RESULTS.glob("run-*"):
        if not Path("/proc", old.name.removeprefix("run-")).exists():
            shutil.rmtree(old, ignore_errors=True)
    work = RESULTS / f"run-{os.getpid()}"
    work.mkdir()
    try:
        yield work
    finally:
        shutil.rmtree(work, ignore_errors=True)


def run_in(work: Path, kernel: Kernel, image: Path, options: argparse.Namespace, rest: list[str], say: Progress) -> int:
    """The same, with everything at hand and a directory for what lasts as long as the run."""
    initramfs, checkout, console = work / "initramfs", work / "checkout.tar", work / "console"
    build_initramfs(kernel, initramfs)
    write_checkout(checkout)
    chosen = options.accelerator or accelerator(kernel, initramfs, image.parent, say)
    shape = Shape(
        kernel.image,
        initramfs,
        chosen,
        memory_mib=options.memory,
        processors=options.cpus,
        disks=(Disk(image), Disk(checkout)),
        ports=(REPORT_PORT, OUTPUT_PORT),
        console=console,
    )
    job: dict[str, object] = {"kind": "job", "arguments": selected(rest), "cgroups": options.cgroups}
    say(f"booting Linux {kernel.release} in QEMU ({chosen}, cgroup {options.cgroups})")
    with Machine(shape) as machine:
        try:
            dialogue = Run(machine, job, options.timeout, say)
            code = dialogue.finish()
            machine.ends_within()
        finally:
            shutil.copyfile(console, RESULTS / "console")
    for name, text in dialogue.files.items():
        (RESULTS / name).write_text(text)
    return code


def main() -> int:
    """Run, and tell what went wrong."""
    options, rest = arguments(sys.argv[1:])
    say = Progress()
    try:
        return run(options, rest, say)
    except ShoalError as error:
        say.done(f"./dev test vm: {error}")
        if error.fix:
            print(f"hint: {error.fix}", file=sys.stderr)
        return FAILED
    except KeyboardInterrupt:
        say.done("./dev test vm: interrupted")
        return 130


if __name__ == "__main__":
    sys.exit(main())
