"""Takes the figures of a comparison: starts instances of each mode, looks at them from the host and from inside."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from shoal.cli.compare import probes
from shoal.cli.compare.instances import (
    IDLE,
    STOP_S,
    BareProcess,
    EngineInstance,
    Instance,
    Kind,
    first_output_s,
    process_first_output_s,
)
from shoal.cli.compare.report import CONTAINER, PROCESS, VM, Fit, Mode, Report
from shoal.cli.memory import available_kib, proportional_kib
from shoal.client.client import Client
from shoal.errors import Internal, ShoalError
from shoal.linux import procfs

_MS, _US, _NS, _MIB = 1e3, 1e6, 1e9, 1024
_END_S = 1.0  # an application that ends so soon does not stay
_PINGS = 20
_AVERAGE = re.compile(r"min/avg/max = [\d.]+/([\d.]+)/")
_DEAF = f"The application did not end at its stop signal: it was killed after {STOP_S} s (`--init` helps many)."
_ISOLATION = {CONTAINER: "default", VM: "vm"}
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Effort:
    """How long to measure: `loop_s` is what a loop of the processor takes on the host itself."""

    loop_s: float = 0.3
    rest_s: float = 2.0
    stream_s: float = 1.0
    settle_s: float = 3.0
    rounds: int = 3


QUICK = Effort(loop_s=0.05, rest_s=0.5, stream_s=0.3, settle_s=0.6, rounds=1)


@dataclass(slots=True)
class Comparison:
    """One comparison under way. `busybox` is the host's, `say` tells what is being done."""

    client: Client
    image: str
    command: Sequence[str] | None
    busybox: str
    probe_directory: str
    report: Report
    say: Say
    effort: Effort
    turns: int = 0
    stays: bool = True  # whether the application runs until it is stopped

    def run(self, modes: Sequence[Mode]) -> None:
        """Fills the report. Raises: ShoalError where not even containers can be measured."""
        self.turns = self._calibrated()
        if CONTAINER in modes or PROCESS in modes:
            with self._crowd(CONTAINER) as crowd:
                self._measure_engine(CONTAINER, crowd)
                if PROCESS in modes:
                    self._measure_process(crowd[0])  # with the container's files, while they are there
                self._stop(CONTAINER, crowd)
        if VM in modes:
            try:
                with self._crowd(VM) as crowd:
                    self._measure_engine(VM, crowd)
                    self._stop(VM, crowd)
            except ShoalError as problem:
                self.report.absent[VM] = f"{problem}" + (f" ({problem.fix})" if problem.fix else "")

    # -- instances -------------------------------------------------------------------------------------------------

    @contextmanager
    def _crowd(self, mode: Mode) -> Iterator[list[EngineInstance]]:
        """All instances of one mode, running; what they take of the memory is noted on the way."""
        count = self.report.instances
        kind = Kind(self.image, _ISOLATION[mode], self.probe_directory)
        start = self.report.figure("start", "time from create to the first output", "ms")
        echo = kind.probe_request([f"{probes.PLACE}/busybox", "echo", "first"])
        for number in range(count):
            self.say(f"{mode}: first output, {number + 1} of {count}")
            start.add(mode, first_output_s(self.client, echo) * _MS)
        crowd: list[EngineInstance] = []
        with ExitStack() as ends:
            before = settled_kib(self.effort.settle_s)
            for number in range(count):
                self.say(f"{mode}: instance {number + 1} of {count}")
                instance = self._instance(kind, is_first=not crowd)
                ends.callback(instance.close)
                crowd.append(instance)
                if not number:
                    self._note_memory(mode, "one", before, 1)
            self._note_memory(mode, "each", before, count)
            yield crowd

    def _instance(self, kind: Kind, *, is_first: bool) -> EngineInstance:
        """One instance that stays: the application, or an idle program where that one ends by itself."""
        if self.stays:
            instance = EngineInstance(self.client, kind.request(self.command))
            if not is_first or _lasts(instance):
                return instance
            instance.close()
            self.stays = False
            self.report.notes.append("The application ends by itself; an idle program stands for it.")
        return EngineInstance(self.client, kind.probe_request(IDLE))

    def _note_memory(self, mode: Mode, which: str, before: int, count: int) -> None:
        each = max(0.0, (before - settled_kib(self.effort.settle_s)) / count / _MIB)
        titles = {"one": "memory of the first instance (MemAvailable)", "each": "memory of each of all (MemAvailable)"}
        self.report.figure(f"memory_{which}", titles[which], "MiB").add(mode, each)

    def _note_fit(self, mode: Mode, count: int) -> None:
        """How many more there is room for: by MemAvailable, or by PSS where that is more, as of few small ones."""
        value = self.report.value
        each = max(value("memory_each", mode) or 0.0, (value("pss", mode) or 0.0) + (value("helper", mode) or 0.0))
        more = int(available_kib() / _MIB / each) if each else None
        self.report.fits[mode] = Fit(count, count + more if more is not None else None)

    # -- figures ---------------------------------------------------------------------------------------------------

    def _measure_engine(self, mode: Mode, crowd: list[EngineInstance]) -> None:
        self.say(f"{mode}: memory and disk")
        report = self.report
        for instance in crowd:
            report.figure("pss", "memory of its processes (PSS)", "MiB").add(
                mode, proportional_kib(instance.pids()) / _MIB
            )
            own = instance.details(size=True).number("SizeRw") / _MIB / _MIB
            report.figure("disk_own", "disk, its own", "MiB").add(mode, own)
        helpers = {procfs.parent(instance.main_pid()) for instance in crowd}
        helper = report.figure("helper", "memory of the engine's helper, its part (PSS)", "MiB")
        helper.add(mode, proportional_kib(helpers) / _MIB / len(crowd))
        self._note_fit(mode, len(crowd))
        size = self.client.images.inspect(self.image).number("Size") / _MIB / _MIB
        report.figure("disk_shared", "disk, shared by all (the image)", "MiB").add(mode, size)
        self._measure(mode, crowd[0], crowd)

    def _stop(self, mode: Mode, crowd: Sequence[EngineInstance]) -> None:
        for number, instance in enumerate(crowd):
            self.say(f"{mode}: stop, {number + 1} of {len(crowd)}")
            took_s = instance.stop()
            self.report.figure("stop", "time to stop", "ms").add(mode, took_s * _MS)
            if took_s >= STOP_S and _DEAF not in self.report.notes:
                self.report.notes.append(_DEAF)

    def _measure_process(self, model: EngineInstance) -> None:
        """The floor: the same program and files as in the container `model`, with nothing around it."""
        report = self.report
        self.say("process: first output")
        start = report.figure("start", "time from create to the first output", "ms")
        start.add(PROCESS, *(process_first_output_s(self.busybox) * _MS for _ in range(report.instances)))
        before = settled_kib(self.effort.settle_s)
        process = self._process(model)
        try:
            self._note_memory(PROCESS, "one", before, 1)
            pss = report.figure("pss", "memory of its processes (PSS)", "MiB")
            pss.add(PROCESS, proportional_kib(process.pids()) / _MIB)
            self._measure(PROCESS, process, [process])
            report.figure("stop", "time to stop", "ms").add(PROCESS, process.stop() * _MS)
        finally:
            process.close()

    def _process(self, model: EngineInstance) -> BareProcess:
        details = model.details()
        words = [details.text("Path"), *details.texts("Args")]
        environment = dict(entry.split("=", 1) for entry in details.texts("Config", "Env") if "=" in entry)
        root = f"/proc/{model.main_pid()}/root"
        try:
            process = BareProcess(words, self.busybox, environment, root, details.text("Config", "WorkingDir") or "/")
        except OSError as error:
            reason = os.strerror(error.errno or 0)
        else:
            if _lasts(process):
                return process
            process.close()
            reason = "it ended at once"
        self.report.notes.append(f"The application does not run as a bare process of the host: {reason}.")
        return BareProcess([self.busybox, "sleep", "1000000"], self.busybox, os.environ)

    def _measure(self, mode: Mode, instance: Instance, crowd: Sequence[Instance]) -> None:
        """What is the same for every mode: at rest, at work, over the network, and what is to be seen."""
        report = self.report
        self.say(f"{mode}: at rest")
        pids = [pid for one in crowd for pid in one.pids()]
        before = processor_s(pids)
        time.sleep(self.effort.rest_s)
        rest = (processor_s(pids) - before) / self.effort.rest_s / len(crowd) * 100
        report.figure("cpu_rest", "processor time at rest", "%").add(mode, max(0.0, rest))
        self._work(mode, instance)
        self._network(mode, instance)
        for look in probes.looks(instance.busybox):
            report.sight(look.title).seen[mode] = instance.run(look.script)[1]

    def _work(self, mode: Mode, instance: Instance) -> None:
        """Loops, less what it takes to start anything in an instance."""
        self.say(f"{mode}: at work")
        base = min(instance.run(":")[0] for _ in range(3))
        directory = "/.shoal-compare-files" if mode != PROCESS else f"{self.probe_directory}/files"
        cpu, calls = probes.cpu_loop(self.turns), probes.system_calls(instance.busybox)
        files = probes.file_loop(directory, instance.busybox)
        figure = self.report.figure
        for _ in range(self.effort.rounds):
            figure("cpu", f"{self.turns:,} turns of a loop", "ms").add(mode, _less(instance.run(cpu)[0], base) * _MS)
            one = _less(instance.run(calls)[0], base) / probes.SYSTEM_CALLS * _NS
            figure("syscall", "one system call", "ns").add(mode, one)
            title = f"{probes.FILES} small files written, read, removed"
            figure("files", title, "ms").add(mode, _less(instance.run(files)[0], base) * _MS)

    def _network(self, mode: Mode, instance: Instance) -> None:
        address = instance.address()
        if not address:
            return
        self.say(f"{mode}: the network")
        words = [self.busybox, "ping", "-q", "-A", "-c", str(_PINGS), "-w", "20", address]
        told = subprocess.run(words, capture_output=True, text=True, check=False).stdout
        if found := _AVERAGE.search(told):
            self.report.figure("rtt", "network round trip from the host", "µs").add(mode, float(found[1]) * _US / _MS)
        instance.serve(probes.stream_server(instance.busybox))
        try:
            rate = stream_mib_s(address, self.effort.stream_s)
        except OSError as error:
            self.report.notes.append(f"No stream came from the {mode}: {os.strerror(error.errno or 0)}.")
            return
        self.report.figure("stream", "network stream to the host", "MiB/s", higher_is_better=True).add(mode, rate)

    def _calibrated(self) -> int:
        """How many turns of the loop take about as long as is good to measure, here on the host."""
        turns = 20_000
        began = time.monotonic()
        done = subprocess.run([self.busybox, "sh", "-c", probes.cpu_loop(turns)], check=False)
        took_s = time.monotonic() - began
        if done.returncode:
            raise Internal("the host's busybox cannot run a script")
        return max(1, int(turns * self.effort.loop_s / took_s / 10_000)) * 10_000


def _less(took_s: float, base_s: float) -> float:
    return max(took_s - base_s, 1e-6)


def _lasts(instance: EngineInstance | BareProcess) -> bool:
    """Whether it still runs after a moment."""
    time.sleep(_END_S)
    return instance.is_running()


def settled_kib(patience_s: float) -> int:
    """MemAvailable when it has come to rest: the kernel frees what is gone a little later."""
    deadline = time.monotonic() + patience_s
    last = available_kib()
    while time.monotonic() < deadline:
        time.sleep(0.3)
        now = available_kib()
        if abs(now - last) < 128:
            return now
        last = now
    return last


def processor_s(pids: Sequence[int]) -> float:
    """Processor time that the processes have used. proc_pid_stat(5), fields 14 and 15."""
    ticks = 0
    for pid in pids:
        try:
            with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
                fields = file.read().rpartition(")")[2].split()
        except OSError:
            continue
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def stream_mib_s(address: str, lasting_s: float) -> float:
    """What comes from the stream server at `address`. Raises: OSError."""
    deadline = time.monotonic() + 10
    while True:
        try:
            client = socket.create_connection((address, probes.STREAM_PORT), 5)
            break
        except ConnectionRefusedError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)  # nothing announces that it listens
    buffer = bytearray(1 << 20)
    with client:
        client.recv_into(buffer)
        received, began = 0, time.monotonic()
        while (passed := time.monotonic() - began) < lasting_s:
            count = client.recv_into(buffer)
            if not count:
                raise ConnectionResetError(104, "the stream ended")
            received += count
    return received / _MIB / _MIB / passed
