"""`exec`: one more process in a container that runs."""

from __future__ import annotations

import _socket
import os

import msgspec

from shoal.errors import Conflict, Internal, InvalidArgument
from shoal.linux.cgroups import Layout, detect
from shoal.linux.fd import Fd
from shoal.linux.namespaces import (
    CLONE_NEWCGROUP,
    CLONE_NEWIPC,
    CLONE_NEWNET,
    CLONE_NEWNS,
    CLONE_NEWTIME,
    CLONE_NEWUSER,
    CLONE_NEWUTS,
    namespace_id,
)
from shoal.linux.pidfd import pidfd_open
from shoal.oci.runtime_spec import Capabilities, Process, RuntimeSpec, User
from shoal.oci_runtime.arguments import Flags, Invocation
from shoal.oci_runtime.bundle import check_process, parse_process, parse_spec
from shoal.oci_runtime.child import Inheritance
from shoal.oci_runtime.cloning import Namespaces, clone_into
from shoal.oci_runtime.console import Foreground, send_console
from shoal.oci_runtime.conversation import Conversation
from shoal.oci_runtime.launch import write_pid_file
from shoal.oci_runtime.machine import host_facts
from shoal.oci_runtime.records import CREATING, PAUSED, STOPPED, Place, Record, find
from shoal.oci_runtime.report import Report
from shoal.oci_runtime.verbs.making import kept_descriptors
from shoal.runtime.compile.bundle import compile_bundle_exec
from shoal.supervisor.entrance import open_entrances
from shoal.supervisor.protocol import close_all

_ALWAYS = CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWNET | CLONE_NEWCGROUP
_WHERE_DIFFERENT = (("user", CLONE_NEWUSER), ("time", CLONE_NEWTIME))


def exec_(call: Invocation, report: Report) -> int:
    """Runs a process in a container; its exit code, or 0 at once when detached."""
    flags = call.flags
    place = find(call.root, call.id())
    record = _running(place, ignore_paused=flags.switch("ignore-paused"))
    document = place.read("config.json")
    if document is None:
        raise Conflict("container does not exist", why="its specification is not there")
    spec = parse_spec(document)
    spec = msgspec.structs.replace(spec, process=wanted_process(spec, flags, call.words[1:]))
    assert spec.process is not None
    detach, socket = flags.switch("detach"), flags.text("console-socket")
    if spec.process.terminal and detach and not socket:
        raise InvalidArgument("cannot allocate tty if shoal-runtime will detach without setting console socket")
    if socket and not (detach and spec.process.terminal):
        raise InvalidArgument("cannot use console socket if shoal-runtime will not detach or allocate tty")
    with _Joining(call.root, record, spec, report) as joining:
        pid, pidfd = joining.begin(kept_descriptors(flags.number("preserve-fds")))
        with pidfd:
            joining.finish()
            console = joining.conversation.console
            if console is not None and socket:
                send_console(socket, console)
            if flags.text("pid-file"):
                write_pid_file(flags.text("pid-file"), pid)
            return 0 if detach else Foreground(pidfd, console).wait()


def wanted_process(spec: RuntimeSpec, flags: Flags, words: list[str]) -> Process:
    """The process that is asked for: that of a file, or the container's own with what the flags change.

    Raises: InvalidArgument.
    """
    if flags.has("process"):
        path = flags.text("process")
        try:
            with open(path, "rb") as file:
                return parse_process(file.read())
        except OSError as error:
            raise InvalidArgument(f"open {path}: {os.strerror(error.errno or 0).lower()}") from None
    if not words:
        raise InvalidArgument("exec needs a command, or --process with a file")
    assert spec.process is not None
    own = spec.process
    process = msgspec.structs.replace(
        own,
        args=tuple(words),
        cwd=flags.text("cwd", own.cwd),
        env=(*own.env, *flags.texts("env")),
        terminal=flags.switch("tty"),
        console_size=None,
        user=_user(own.user, flags),
        capabilities=_capabilities(own.capabilities, flags.texts("cap")),
        no_new_privileges=flags.switch("no-new-privs") if flags.has("no-new-privs") else own.no_new_privileges,
        apparmor_profile=flags.text("apparmor", own.apparmor_profile),
        selinux_label=flags.text("process-label", own.selinux_label),
    )
    check_process(process)
    return process


def _user(own: User, flags: Flags) -> User:
    uid, gid = own.uid, own.gid
    if flags.has("user"):
        first, colon, second = flags.text("user").partition(":")
        if not first.isdecimal() or (colon and not second.isdecimal()):
            raise InvalidArgument(f"invalid user {flags.text('user')!r}", why="it is a number, or two: uid:gid")
        uid, gid = int(first), int(second) if colon else own.gid
    extra = flags.texts("additional-gids")
    if not all(group.isdecimal() for group in extra):
        raise InvalidArgument(f"invalid additional gid in {', '.join(extra)}", why="it is a number")
    return User(
        uid=uid, gid=gid, umask=own.umask, additional_gids=(*own.additional_gids, *(int(group) for group in extra))
    )


def _capabilities(own: Capabilities | None, extra: list[str]) -> Capabilities | None:
    if not extra:
        return own
    had = own or Capabilities()
    return Capabilities(
        bounding=(*had.bounding, *extra),
        effective=(*had.effective, *extra),
        permitted=(*had.permitted, *extra),
        inheritable=had.inheritable,
        ambient=had.ambient,
    )


def _running(place: Place, *, ignore_paused: bool) -> Record:
    record = place.load()
    status = place.status(record)
    if record is None or status in (STOPPED, CREATING):
        raise Conflict(f"cannot exec in a {status} container")
    if status == PAUSED and not ignore_paused:
        raise Conflict("cannot exec in a paused container (use --ignore-paused to override)")
    return record


class _Joining:
    """One process on its way into a container."""

    def __init__(self, root: str, record: Record, spec: RuntimeSpec, report: Report) -> None:
        self._root = root
        self._record = record
        self._spec = spec
        self._layout: Layout = detect()
        ours, self._theirs = _socket.socketpair(_socket.AF_UNIX, _socket.SOCK_SEQPACKET | _socket.SOCK_CLOEXEC)
        self.conversation = Conversation(ours, report.warning)

    def begin(self, kept: range) -> tuple[int, Fd]:
        """(pid, pidfd) of the child, which enters the container. Raises: ShoalError."""
        record = self._record
        with pidfd_open(record.pid) as container:
            if not record.is_alive():
                raise Conflict("cannot exec in a stopped container")
            flags = _ALWAYS
            for kind, flag in _WHERE_DIFFERENT:
                if namespace_id(record.pid, kind) != namespace_id("self", kind):
                    flags |= flag
            plan = compile_bundle_exec(
                self._spec,
                host_facts(self._root, self._layout),
                flags=flags,
                cgroup_path=record.cgroup_path,
                new_keyring=False,
            )
            assert self._spec.process is not None
            own = Inheritance(self._theirs, plan.steps, terminal=self._spec.process.terminal, kept=kept)
            own.joins = {"process": container.fileno()}
            namespaces = Namespaces(0)
            namespaces.pid = container
            return self._clone(namespaces, own)

    def _clone(self, namespaces: Namespaces, own: Inheritance) -> tuple[int, Fd]:
        group = self._record.cgroup()
        if group is None:
            return clone_into(namespaces, own, None)
        if self._layout.version == "v2":
            with group.directory_fd() as directory:
                return clone_into(namespaces, own, directory)
        own.entrances = open_entrances(group, self._layout)
        try:
            return clone_into(namespaces, own, None)
        finally:
            close_all(own.entrances)

    def finish(self) -> None:
        """Returns when the program runs. Raises: the child's error."""
        self._theirs.close()
        if self.conversation.next_barrier() is not None:
            raise Internal("exec waits for something that does not come")

    def __enter__(self) -> _Joining:
        return self

    def __exit__(self, *_: object) -> None:
        self._theirs.close()
        self.conversation.close()
