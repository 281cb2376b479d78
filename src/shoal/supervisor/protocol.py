"""The conversations of a supervisor, with shoald on one side and with a child before its execve on the other.

shoald                                   supervisor                            child (a container's PID 1 to be)
  │ configure {blanks, …} ──────────────▶ │                                      │
  │ launch {id, steps, log, …} +fds ────▶ │ ── clone3 ─────────────────────────▶ │
  │                                       │ prepare {steps} ───────────────────▶ │   (a blank)
  │                                       │ plan {steps, stdio, joins} +fds ───▶ │ runs the steps
  │ ◀──────────────── cloned {id, pid}    │ ◀────────── fd {kind:"console"} +fd  │   (with a terminal)
  │  wires the network                    │  puts the pid into its cgroups       │
  │ network_ready {id} ─────────────────▶ │ go {barrier:"network"} ────────────▶ │
  │                                       │ go {barrier:"cgroup"} ─────────────▶ │
  │                                       │ ◀────────────────── warn {text}      │
  │                                       │ ◀────────────────── executing {}     │
  │                                       │ ◀── end of file: execve succeeded    │
  │                                       │     or  error {step, what, …}        │
  │ ◀ reply {pid, …} + pidfd, FIFOs, pty  │                                      │ the user's program
  │ attach {id, stdin, …} + socket ─────▶ │ speaks with the client itself        │
  │ ◀─────────── exited {id, code, …}     │ ◀── pidfd readable, waitid ───────── │ ends
  │ forget {id} ────────────────────────▶ │

A message is one SEQPACKET datagram: a marker byte, then marshal(version 2) of (kind, request_id, body). With the
marker BULKY the datagram holds nothing else and the marshalled data is in a memfd, the first of the attached
descriptors. A request has an id above 0; its answer is ("reply" | "error", same id, body). Events have id 0. Both
processes are trusted peers of one installation: marshal's lack of protection against crafted input does not matter
here. They run the same code, with one exception: behind an upgrade, shoald meets supervisors of an older build. It
asks those for no more than `configure`, `list`, `handles` and `forget`, and replaces them. So these four, and the
event `exited`, may gain keys and never lose one.

Used by shoald, the supervisor and its children: standard library only, no import at run time.
"""

from __future__ import annotations

import _socket
import errno
import marshal
import os
import struct

from shoal.errors import SyscallError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any, TypedDict

    # `Any`, because the bodies are the TypedDicts below once the kind is known.
    Body = dict[str, Any]

    class RemoteBody(TypedDict):
        """Who else is sent the output: a RemoteLog on the wire. `relay` is the script that speaks TLS."""

        protocol: str
        address: str
        port: int
        format: str
        facility: int
        tag: str
        hostname: str
        fields: dict[str, str]
        blocking: bool
        queue_bytes: int
        relay: str
        tls: list[str]

    class LogBody(TypedDict):
        """Where output is kept: a LogSink on the wire. `driver` is the format of the file at `path`, "none" for none.

        `compressor` is the script that compresses rotated files, empty where they stay as they are.
        """

        driver: str
        path: str
        max_size_bytes: int | None
        max_files: int
        attributes: dict[str, str]
        compressor: str
        remote: RemoteBody | None

    class AttachBody(TypedDict):
        """A client that gets streams; its socket is the message's descriptor number `fd`."""

        id: str
        exec_id: str | None
        stdin: bool
        stdout: bool
        stderr: bool
        mux: bool
        detach_keys: bytes
        early: bytes
        fd: int

    class LaunchBody(TypedDict):
        """`launch` and `exec`: how one process is to come to be. Numbers in `joins` index the descriptors.

        An `exec` has an `exec_id`; its container is known by `id`, and `log`, `exit_file`, `cgroup` and
        `resources` are the container's own. `wired` says that a `network_ready` will come.
        """

        id: str
        exec_id: str | None
        clone_flags: int
        cgroup: str | None
        resources: dict[str, Any]
        steps: list[tuple[str, dict[str, Any]]]
        joins: dict[str, int]
        terminal: bool
        open_stdin: bool
        stdin_once: bool
        rows: int
        cols: int
        run_dir: str
        log: LogBody | None
        exit_file: str
        wired: bool
        attach: list[AttachBody]

    class ExitBody(TypedDict):
        """How a process ended. `known` is False where nobody could tell the code."""

        code: int
        signal: int
        oom: bool
        finished_at_ns: int
        known: bool

    class ProcessBody(TypedDict):
        """One process in the answer to `list`: state is "starting", "running" or "exited"."""

        id: str
        exec_id: str | None
        pid: int
        start_ticks: int
        state: str
        started_at_ns: int
        run_dir: str
        terminal: bool
        exit: ExitBody | None

    class AdoptBody(TypedDict):
        """`adopt`: a process that a dead supervisor left behind.

        Descriptors: its pidfd, then its stdin pipe's write end or pty master where `has_input`.
        """

        id: str
        exec_id: str | None
        pid: int
        started_at_ns: int
        cgroup: str | None
        terminal: bool
        open_stdin: bool
        stdin_once: bool
        has_input: bool
        run_dir: str
        log: LogBody | None
        exit_file: str
        own_pid_namespace: bool

    # (kind, request_id, body, descriptors); whoever receives it owns the descriptors.
    Message = tuple[str, int, Body, list[int]]

INLINE_LIMIT_BYTES = 60 * 1024
# What a start that was aborted is answered with; anything else is a reason of its own.
TAKEN_BACK = "the start was taken back"
# SCM_MAX_FD of the kernel is 253; one place is kept for the memfd.
MAX_FDS = 252

_INLINE = b"\0"
_BULKY = b"\1"
_FD_SIZE = struct.calcsize("i")


def encode(kind: str, request_id: int, body: Body) -> bytes:
    """The message as the bytes that follow the marker."""
    return marshal.dumps((kind, request_id, body), 2)


def send_nowait(sock: _socket.socket, payload: bytes, fds: Sequence[int] = ()) -> None:
    """Sends one encoded message, with copies of `fds`; the caller keeps its own.

    Raises: BlockingIOError when the peer's queue is full, OSError (EPIPE, ECONNRESET) when the peer has gone.
    Source: unix(7), SCM_RIGHTS.
    """
    flags = _socket.MSG_DONTWAIT | _socket.MSG_NOSIGNAL
    if len(payload) <= INLINE_LIMIT_BYTES:
        _sendmsg(sock, _INLINE + payload, fds, flags)
        return
    bulk = _memfd_with(payload)
    try:
        _sendmsg(sock, _BULKY, [bulk, *fds], flags)
    finally:
        os.close(bulk)


def receive(sock: _socket.socket, flags: int = 0) -> Message | None:
    """The next message, None when the peer has closed its end. Its descriptors are close-on-exec.

    `flags` may be MSG_DONTWAIT. Raises: BlockingIOError when nothing is there; OSError when the peer was reset.
    """
    try:
        data, ancillary, msg_flags = _recvmsg(sock, flags)
    except ConnectionResetError:
        # The peer has closed without reading all of ours. The kernel tells so once, before what the peer had sent.
        data, ancillary, msg_flags = _recvmsg(sock, flags)
    fds = _descriptors(ancillary)
    if not data:
        return None
    if msg_flags & (_socket.MSG_TRUNC | _socket.MSG_CTRUNC):
        close_all(fds)
        raise SyscallError("recvmsg", "supervisor message", errno.EMSGSIZE)
    payload = data[1:] if data[:1] == _INLINE else _contents(fds.pop(0))
    kind, request_id, body = marshal.loads(payload)
    return kind, request_id, body, fds


def connect(path: str) -> _socket.socket:
    """A connection to the SEQPACKET socket at `path`. Raises: OSError (ECONNREFUSED: nobody listens any more)."""
    sock = _socket.socket(_socket.AF_UNIX, _socket.SOCK_SEQPACKET | _socket.SOCK_CLOEXEC)
    try:
        sock.connect(path)
    except OSError:
        sock.close()
        raise
    return sock


def listen(path: str) -> _socket.socket:
    """A listening SEQPACKET socket at `path`, which only the owner may connect to."""
    sock = _socket.socket(_socket.AF_UNIX, _socket.SOCK_SEQPACKET | _socket.SOCK_CLOEXEC)
    try:
        sock.bind(path)
        os.chmod(path, 0o600)
        sock.listen(4)
    except OSError:
        sock.close()
        raise
    return sock


def close_all(fds: Sequence[int]) -> None:
    """Closes descriptors that nobody took."""
    for fd in fds:
        os.close(fd)


def _sendmsg(sock: _socket.socket, data: bytes, fds: Sequence[int], flags: int) -> None:
    if fds:
        rights = struct.pack(f"{len(fds)}i", *fds)
        sock.sendmsg([data], [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, rights)], flags)
    else:
        sock.send(data, flags)


def _recvmsg(sock: _socket.socket, flags: int) -> tuple[bytes, list[tuple[int, int, bytes]], int]:
    data, ancillary, msg_flags, _ = sock.recvmsg(
        INLINE_LIMIT_BYTES + 1, _socket.CMSG_SPACE((MAX_FDS + 1) * _FD_SIZE), flags | _socket.MSG_CMSG_CLOEXEC
    )
    return data, ancillary, msg_flags


def _descriptors(ancillary: list[tuple[int, int, bytes]]) -> list[int]:
    fds: list[int] = []
    for level, kind, data in ancillary:
        if level == _socket.SOL_SOCKET and kind == _socket.SCM_RIGHTS:
            count = len(data) // _FD_SIZE
            fds.extend(struct.unpack(f"{count}i", data[: count * _FD_SIZE]))
    return fds


def _memfd_with(payload: bytes) -> int:
    fd = os.memfd_create("shoal-message", os.MFD_CLOEXEC)
    view = memoryview(payload)
    while view:
        view = view[os.write(fd, view) :]
    return fd


def _contents(fd: int) -> bytes:
    try:
        size = os.fstat(fd).st_size
        parts = []
        offset = 0
        while offset < size:
            part = os.pread(fd, size - offset, offset)
            if not part:
                break
            parts.append(part)
            offset += len(part)
        return b"".join(parts)
    finally:
        os.close(fd)
