"""The guest's end of the line: requests to the supervisor in this process, with the descriptors that they need.

Two connections meet here: the line to the monitor (mux), and the SEQPACKET socket that the service listens on.
"""

from __future__ import annotations

import _socket
import os

from shoal.errors import Conflict
from shoal.linux.fd import Fd
from shoal.linux.filesystems import mount_filesystem
from shoal.linux.netlink import Netlink
from shoal.linux.processes import read_processes
from shoal.supervisor.child import describe_error
from shoal.supervisor.loop import READABLE
from shoal.supervisor.machine.mux import FdSink, Mux
from shoal.supervisor.machine.names import Asker
from shoal.supervisor.machine.template import renew, settle
from shoal.supervisor.protocol import close_all, connect, encode, receive, send_nowait

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from shoal.supervisor.loop import Loop
    from shoal.supervisor.protocol import Body
    from shoal.supervisor.service import Service

_CONFIGURE: Body = {"capacity": 1, "blanks": 0, "blank_flags": 0, "cgroup_parent": ""}
_WITH_STREAMS = ("launch", "exec")


class Bridge:
    """Passes requests to the service and its answers to the monitor; `hello` is what the monitor is told first."""

    __slots__ = ("_asker", "_line", "_loop", "_own", "_service", "_socket")

    def __init__(self, loop: Loop, service: Service, path: str, port: int, hello: Body) -> None:
        self._loop = loop
        self._service = service
        self._socket = connect(path)
        self._socket.setblocking(False)
        loop.watch(self._socket.fileno(), READABLE, self._answered)
        self._line = Mux(loop, port, self._asked, loop.stop)
        self._asker: Asker | None = None
        self._own: dict[str, Callable[[Any], Body]] = {
            "share": _mount_share,
            "processes": self._processes,
            "resolve": self._resolve,
            "interfaces": _name_interfaces,
            "settle": settle,
            "renew": renew,
        }
        self._pass_on("configure", 0, _CONFIGURE, [])
        self._line.tell("hello", 0, hello)

    def _asked(self, kind: str, request_id: int, body: Body) -> None:
        if kind == "name_answer":
            if self._asker is not None:
                self._asker.answered(request_id, body["answer"])
            return
        fds: list[int] = []
        try:
            own = self._own.get(kind)
            if own is not None:
                self._line.tell("reply", request_id, own(body))
                return
            if kind in _WITH_STREAMS:
                fds = self._with_descriptors(body)
            self._pass_on(kind, request_id, body, fds)
        except Exception as error:  # noqa: BLE001  the edge of this process: who asked must hear of it
            self._line.tell("error", request_id, describe_error(error, kind))
        finally:
            close_all(fds)

    def _pass_on(self, kind: str, request_id: int, body: Body, fds: list[int]) -> None:
        send_nowait(self._socket, encode(kind, request_id, body), fds)

    def _answered(self, _events: int) -> None:
        while True:
            try:
                message = receive(self._socket, _socket.MSG_DONTWAIT)
            except BlockingIOError:
                return
            if message is None:
                self._loop.stop()
                return
            kind, request_id, body, fds = message
            close_all(fds)
            if kind == "exited" and body["exec_id"] is None:
                # The host ends the machine when it hears of this: what was written by mmap(2) is on its way only now.
                os.sync()
            if request_id or kind in ("exited", "log_record"):
                self._line.tell(kind, request_id, body)

    def _with_descriptors(self, body: Body) -> list[int]:
        """Makes a pair of sockets for each client of the request, and finds the process that an exec joins."""
        fds: list[int] = []
        for client in body["attach"]:
            ours, theirs = _socket.socketpair(_socket.AF_UNIX, _socket.SOCK_STREAM | _socket.SOCK_CLOEXEC)
            self._open_stream(client["fd"], ours.detach())
            client["fd"] = len(fds)
            fds.append(theirs.detach())
        if body["exec_id"] is not None:
            container = self._service.table.get(body["id"], None)
            if container.pidfd is None:
                raise Conflict(f"container {body['id']} is not running")
            body["joins"] = {"process": len(fds), "pid": len(fds)}
            fds.append(os.dup(container.pidfd.fileno()))
        return fds

    def _open_stream(self, channel: int, socket: int) -> None:
        sink = FdSink(self._loop, os.dup(socket))
        stream = self._line.open(channel, socket, sink)
        sink.on_taken = stream.taken
        sink.on_ended = _shut_down
        stream.on_over = stream.close

    def _resolve(self, _body: Body) -> Body:
        """Answers the container's questions for names, with what the host says."""
        self._asker = Asker(self._loop, self._line)
        return {}

    def _processes(self, body: Body) -> Body:
        """The container's processes, as `top` on the host shows them."""
        process = self._service.table.get(body["id"], None)
        pids = process.cgroup.pids() if process.cgroup is not None else []
        return {"processes": [found.to_wire() for found in read_processes(pids)]}


def _shut_down(fd: int) -> None:
    """The other end hears that no more comes, and may still send."""
    half = _socket.socket(fileno=os.dup(fd))
    try:
        half.shutdown(_socket.SHUT_WR)
    except OSError:
        pass  # it has gone
    finally:
        half.close()


def _name_interfaces(body: Body) -> Body:
    """Gives each interface the name that the container's plan has for it; the kernel has numbered them."""
    wanted = {mac: name for name, mac in body["names"]}
    with Netlink() as netlink:
        found = [link for link in netlink.link_list() if wanted.get(link.mac, link.name) != link.name]
        # By way of names that none has: two may be about to change places.
        for link in found:
            netlink.link_set(link.index, name=f"renamed{link.index}")
        for link in found:
            netlink.link_set(link.index, name=wanted[link.mac])
    return {}


def _mount_share(body: Body) -> Body:
    """Mounts the files that the host shows us: virtiofs's `tag` at `place`."""
    with Fd(os.open(body["place"], os.O_PATH | os.O_CLOEXEC)) as target:
        mount_filesystem("virtiofs", target, source=body["tag"], object=body["place"]).close()
    return {}
