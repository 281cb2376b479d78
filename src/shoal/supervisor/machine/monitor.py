"""The monitor of a virtual machine: the container's first process on the host; runs in a supervisor's child.

  start ─▶ network taken over ─▶ virtiofsd, QEMU ─▶ hello ─▶ share, launch ─▶ reply: the supervisor hears "executing"
                                                       │ no hello, an error: the start fails with it, as a step does
  run   ─▶ streams, signals, further processes (exec, by the socket HATCH in our network namespace)
  end   ─▶ exited, output passed on ─▶ we end with the program's exit code, and with us QEMU and virtiofsd

It runs in a pid namespace of its own as process 1, so that the kernel ends the others with it, however it ends. It and
QEMU stay in the host's root until the guest is up, then their root becomes the container's, where whoever looks for the
container's files through /proc finds them. (virtiofsd has mounts of its own.) Nothing is imported after that.
"""

from __future__ import annotations

import _socket
import gc
import os

from shoal.errors import Unavailable
from shoal.linux.fd import Fd
from shoal.linux.filesystems import mount_filesystem
from shoal.linux.prctl import set_name
from shoal.linux.pty import get_winsize, make_raw
from shoal.linux.rootfs import pivot_into
from shoal.supervisor.child import let_go
from shoal.supervisor.loop import Loop
from shoal.supervisor.machine.hatch import Hatch
from shoal.supervisor.machine.interfaces import take_over
from shoal.supervisor.machine.mux import Mux, OutputSink
from shoal.supervisor.machine.names import Relay
from shoal.supervisor.machine.places import SHARE, SHARE_TAG
from shoal.supervisor.machine.programs import Console, spawn
from shoal.supervisor.machine.signals import catch_signals
from shoal.supervisor.machine.waking import Waking, renewal, spoil
from shoal.supervisor.wire_errors import error_from_wire

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn

    from shoal.supervisor.protocol import Body
    from shoal.supervisor.steps.context import Context
    from shoal.supervisor.steps.machine import RunMachine

# How long a guest may take to come up: emulated, on a busy machine.
_BOOT_S = 90.0
# How long the rest of the output is waited for, once the program has ended.
_DRAIN_S = 5.0
# How often the guest is asked for a sign of life, and how many times in vain before it is given up.
_PULSE_S, _MOST_UNANSWERED = 30.0, 6
_FAILED = 125
_SIGWINCH = 28
_OWN_STREAM = 1
# Without a path: in our network namespace, and gone with it.
_FILES = b"\0shoal-files"
_SHARE = {"tag": SHARE_TAG, "place": SHARE}


def run_machine(ctx: Context, step: RunMachine) -> NoReturn:
    """Runs the machine to its end. Raises: ShoalError while the program in it has not been started."""
    set_name("shoal-machine")
    # What is the supervisor's stays as it is; ours comes and goes.
    gc.freeze()
    gc.enable()
    monitor = Monitor(ctx, step)
    monitor.begin()
    monitor.loop.run()
    if monitor.failure is not None:
        raise monitor.failure
    os._exit(monitor.code)


class Monitor:
    """One machine: its processes, its line, its streams."""

    def __init__(self, ctx: Context, step: RunMachine) -> None:
        self._ctx = ctx
        self._step = step
        self._started = False
        # The template that is woken, until it has shown that it can be.
        self._unproven = step.template
        self._exit: Body | None = None
        self._requests: dict[int, Any] = {}
        self._serial = 0
        self._children: dict[int, str] = {}
        self._streaming = True
        self._unanswered = 0
        self.loop = Loop()
        self._console = Console(self.loop)
        self.loop.on_error = self._broken
        self.failure: BaseException | None = None
        self.code = _FAILED

    # -- the start -----------------------------------------------------------------------------------------------

    def begin(self) -> None:
        """Starts everything; the rest happens in the loop. Raises: ShoalError."""
        # What is mounted there is the host's, of another pid namespace.
        with Fd(os.open("/proc", os.O_PATH | os.O_CLOEXEC)) as place:
            mount_filesystem("proc", place, object="/proc").close()
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC
        self._record = os.open(self._step.record, flags, 0o600)
        self._ctx.channel.wait("network")
        # In the order of the machine's slots.
        taps = [take_over(name, number) for number, name in enumerate(self._step.interfaces)]
        # Behind this everything that we start counts as the container's.
        self._ctx.channel.wait("cgroup")
        self._macs = [(name, mac) for name, (_, mac, _) in zip(self._step.interfaces, taps, strict=True)]
        catch_signals(self.loop, self._signal, self._child_ended)
        try:
            self._start_programs(taps)
        except BaseException:
            self._spoil()
            raise
        self._hatch = Hatch(self.loop, self)
        self.loop.call_later(_BOOT_S, self._too_late)
        self.loop.call_later(_PULSE_S, self._feel_pulse)
        if self._step.launch["terminal"]:
            make_raw(0)

    def _start_programs(self, taps: list[tuple[Fd, str, int]]) -> None:
        errors = self._console.theirs
        listener = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM | _socket.SOCK_CLOEXEC)
        listener.bind(_FILES)
        listener.listen(1)
        self._children[spawn(self._step.files, errors, {"listener": listener.fileno()}, {})] = "virtiofsd"
        files = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM | _socket.SOCK_CLOEXEC)
        files.connect(_FILES)
        ours, line = _socket.socketpair(_socket.AF_UNIX, _socket.SOCK_STREAM | _socket.SOCK_CLOEXEC)
        descriptors = {"files": files.fileno(), "line": line.fileno(), "console": errors}
        words = {}
        for number, (tap, mac, mtu) in enumerate(taps):
            descriptors[f"tap{number}"] = tap.fileno()
            words[f"mac{number}"], words[f"mtu{number}"] = mac, str(mtu)
        waking = Waking(self.loop, self._step.template) if self._step.template else None
        if waking is not None:
            descriptors.update(waking.descriptors)
        self._children[spawn(self._step.qemu, errors, descriptors, words)] = "QEMU"
        for sock in (listener, files, line):
            sock.close()
        for tap, _, _ in taps:
            tap.close()
        self._console.started()
        self._line = Mux(self.loop, ours.detach(), self._told, self._line_lost)
        self._relay = Relay(self.loop, self._line)
        if waking is not None:
            self._wake(waking)

    def _wake(self, waking: Waking) -> None:
        """Has QEMU go on where the template was left. One that fails is taken away: the next start boots."""

        def failed(why: str) -> None:
            self._machine_ended(f"the template did not wake: {why}")

        def renewed(_body: Body, error: Body | None) -> None:
            if error is not None:
                self._fail(error_from_wire(error))
                return
            self._unproven = ""
            waking.close()
            self._hello()

        waking.begin(with_files=True, then=lambda: self.ask("renew", renewal(), renewed), failed=failed)

    def _hello(self) -> None:
        self.ask("interfaces", {"names": self._macs}, _unheard)
        self.ask("share", _SHARE, self._shared)

    def _shared(self, _body: Body, error: Body | None) -> None:
        if error is not None:
            self._fail(error_from_wire(error))
            return
        launch = self._step.launch
        if self._step.resolver:
            self.ask("resolve", {}, _unheard)
        self.open_streams(_OWN_STREAM, (0, 1, 2), launch, self._streams_over)
        self.ask("launch", launch, self._launched)

    def _launched(self, body: Body, error: Body | None) -> None:
        if error is not None:
            self._fail(error_from_wire(error))
            return
        for warning in body["warnings"]:
            self._ctx.warn(warning)
        # From here on whoever looks at our root sees the container's, and a guest that breaks out of QEMU nothing else.
        pivot_into(self._ctx.root_fd)
        self._started = True
        let_go(self._ctx.channel)
        self._ctx.channel.close()

    # -- what others ask of the guest ----------------------------------------------------------------------------

    def ask(self, kind: str, body: Body, then: Any) -> None:
        """Sends the guest a request; `then(body, error)` gets the answer."""
        self._serial += 1
        self._requests[self._serial] = then
        self._line.tell(kind, self._serial, body)

    def open_streams(self, channel: int, fds: tuple[int, int, int], launch: Body, on_over: Any) -> None:
        """Connects three descriptors, of which it takes copies, with the streams of a process in the guest."""
        source = os.dup(fds[0]) if launch["open_stdin"] or launch["terminal"] else -1
        framed = not launch["terminal"]
        stdout, stderr = os.dup(fds[1]), os.dup(fds[2]) if framed else -1
        sink = OutputSink(self.loop, stdout, stderr, on_taken=lambda count: stream.taken(count), framed=framed)
        stream = self._line.open(channel, source, sink)

        def ended() -> None:
            stream.close()
            on_over()

        sink.on_ended = ended

    @property
    def container(self) -> str:
        """Its id."""
        return str(self._step.launch["id"])

    # -- what the guest tells ------------------------------------------------------------------------------------

    def _told(self, kind: str, request_id: int, body: Body) -> None:
        if kind == "hello":
            self._hello()
        elif kind in ("reply", "error"):
            then = self._requests.pop(request_id, None)
            if then is not None:
                then(body if kind == "reply" else {}, body if kind == "error" else None)
        elif kind == "name_question":
            self._relay.ask(request_id, body["question"], body["transport"])
        elif kind == "exited" and body["exec_id"] is None:
            self._exit = body
            os.write(self._record, f"{body['signal']} {'oom' if body['oom'] else 'well'}".encode())
            self.loop.call_later(_DRAIN_S, self.loop.stop)
            self._end_when_drained()
        elif kind == "exited":
            self._hatch.exited(body)

    def _streams_over(self) -> None:
        self._streaming = False
        self._end_when_drained()

    def _end_when_drained(self) -> None:
        if self._exit is not None:
            self.code = self._exit["code"]
            if not self._streaming:
                self.loop.stop()

    # -- what goes wrong -----------------------------------------------------------------------------------------

    def _line_lost(self) -> None:
        self._machine_ended("QEMU has closed its line")

    def _child_ended(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            name = self._children.pop(pid, "")
            if name:
                code = os.waitstatus_to_exitcode(status)
                self._machine_ended(f"{name} ended " + (f"by signal {-code}" if code < 0 else f"with exit code {code}"))

    def _machine_ended(self, why: str) -> None:
        if self._exit is not None or self.failure is not None:
            return
        self._console.read_rest()
        problem = Unavailable("the virtual machine has ended", why=self._with_console(why))
        if not self._started:
            self._fail(problem)
            return
        self._say(str(problem))
        self.code = _FAILED
        self.loop.stop()

    def _feel_pulse(self) -> None:
        """Asks the guest for a sign of life. Counted by our own turns: while all of us are frozen none are."""
        self._unanswered += 1
        if self._started and self._unanswered > _MOST_UNANSWERED:
            self._machine_ended(f"the guest has not answered for {_PULSE_S * _MOST_UNANSWERED:.0f} s")
            return
        if self._started:
            self.ask("list", {}, self._alive)
        else:
            self._unanswered = 0
        self.loop.call_later(_PULSE_S, self._feel_pulse)

    def _alive(self, _body: Body, _error: Body | None) -> None:
        self._unanswered = 0

    def _too_late(self) -> None:
        if not self._started and self.failure is None:
            why = self._with_console(f"over {_BOOT_S:.0f} s")
            self._fail(Unavailable("the virtual machine did not come up", why=why))

    def _with_console(self, why: str) -> str:
        words = self._console.last_words()
        return f"{why}; its console says last:\n{words}" if words else why

    def _fail(self, error: BaseException) -> None:
        self._spoil()
        if self.failure is None:
            self.failure = error
        self.loop.stop()

    def _spoil(self) -> None:
        if self._unproven:
            spoil(self._unproven)

    def _broken(self, error: BaseException) -> None:
        """A mistake of ours. Before the start it is the start's error, afterwards a line and the end."""
        if self._started:
            self._say(f"{type(error).__name__}: {error}")
            self.loop.stop()
        else:
            self._fail(error)

    def _say(self, text: str) -> None:
        newline = "\r\n" if self._step.launch["terminal"] else "\n"
        try:
            os.write(2, f"shoal: {text}{newline}".replace("\n", newline).encode())
        except OSError:
            pass  # nobody listens any more

    # -- signals -------------------------------------------------------------------------------------------------

    def _signal(self, number: int) -> None:
        if number == _SIGWINCH and self._step.launch["terminal"]:
            rows, columns = get_winsize(0)
            self.ask("resize", {"id": self.container, "exec_id": None, "rows": rows, "cols": columns}, _unheard)
        elif self._started and self._exit is None:
            self.ask("signal", {"id": self.container, "exec_id": None, "signal": number}, _unheard)


def _unheard(_body: Body, _error: Body | None) -> None:
    """Nobody waits for the answer."""
