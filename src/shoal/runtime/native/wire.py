"""Launches and plans as the messages that supervisors take. Pure but for opening namespaces; runs in shoald."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from shoal.linux.fd import Fd
from shoal.linux.namespaces import open_namespace
from shoal.runtime.driver import AttachOptions, Client, ExecLaunch, Exit, Launch, LogSink, RemoteLog

if TYPE_CHECKING:
    from shoal.runtime.compile.plan import Plan
    from shoal.runtime.native.hosted import Hosted
    from shoal.supervisor.protocol import AdoptBody, AttachBody, Body, ExitBody, LaunchBody, LogBody, RemoteBody


@dataclass(slots=True)
class Request:
    """A message to send: its body, and the descriptors that go with it. `owned` are closed after it is sent."""

    body: LaunchBody
    fds: list[Fd] = field(default_factory=list)

    def close(self) -> None:
        """Gives the descriptors back; the supervisor has its copies."""
        for fd in self.fds:
            fd.close()

    def __enter__(self) -> Request:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def launch_request(launch: Launch, plan: Plan, *, wired: bool) -> Request:
    """The `launch` of a container. Raises: SyscallError when a namespace to join is not there."""
    body: LaunchBody = {
        "id": launch.id,
        "exec_id": None,
        "clone_flags": plan.clone_flags,
        "cgroup": plan.cgroup_path,
        "resources": dict(plan.resources),
        "steps": plan.to_wire(),
        "joins": {},
        "terminal": launch.terminal,
        "open_stdin": launch.open_stdin,
        "stdin_once": launch.stdin_once,
        "rows": launch.rows,
        "cols": launch.columns,
        "run_dir": launch.run_dir,
        "log": log_body(launch.log),
        "exit_file": launch.exit_file,
        "wired": wired,
        "attach": [],
    }
    return _with_descriptors(body, plan, launch.clients, None)


def exec_request(launch: ExecLaunch, plan: Plan, container: Fd) -> Request:
    """The `exec` of one more process. `container` is the pidfd of the container's first one, borrowed."""
    body: LaunchBody = {
        "id": launch.id,
        "exec_id": launch.exec_id,
        "clone_flags": plan.clone_flags,
        "cgroup": None,
        "resources": {},
        "steps": plan.to_wire(),
        "joins": {},
        "terminal": launch.terminal,
        "open_stdin": launch.open_stdin,
        "stdin_once": True,
        "rows": launch.rows,
        "cols": launch.columns,
        "run_dir": launch.run_dir,
        "log": None,
        "exit_file": "",
        "wired": False,
        "attach": [],
    }
    return _with_descriptors(body, plan, launch.clients, container)


def attach_body(id: str, exec_id: str | None, options: AttachOptions, early: bytes, fd: int) -> AttachBody:
    """The `attach` of a client whose socket is the descriptor number `fd` of the message."""
    return {
        "id": id,
        "exec_id": exec_id,
        "stdin": options.stdin,
        "stdout": options.stdout,
        "stderr": options.stderr,
        "mux": options.mux,
        "detach_keys": options.detach_keys,
        "early": early,
        "fd": fd,
    }


def adopt_body(hosted: Hosted) -> AdoptBody:
    """The `adopt` of a process that a dead supervisor left behind."""
    launch = hosted.launch
    if hosted.exec_id is not None or not isinstance(launch, Launch):
        return adopt_exec_body(hosted)
    return {
        "id": launch.id,
        "exec_id": None,
        "pid": hosted.pid,
        "started_at_ns": hosted.started_at_ns,
        "cgroup": launch.cgroup_path,
        "terminal": launch.terminal,
        "open_stdin": launch.open_stdin,
        "stdin_once": launch.stdin_once,
        "has_input": hosted.input is not None,
        "run_dir": launch.run_dir,
        "log": log_body(launch.log),
        "exit_file": launch.exit_file,
        "own_pid_namespace": has_own_pid_namespace(launch),
    }


def adopt_exec_body(hosted: Hosted) -> AdoptBody:
    """The `adopt` of an exec."""
    return {
        "id": hosted.id,
        "exec_id": hosted.exec_id,
        "pid": hosted.pid,
        "started_at_ns": hosted.started_at_ns,
        "cgroup": None,
        "terminal": hosted.terminal,
        "open_stdin": hosted.input is not None,
        "stdin_once": True,
        "has_input": hosted.input is not None,
        "run_dir": hosted.run_dir,
        "log": None,
        "exit_file": "",
        "own_pid_namespace": True,
    }


def log_body(log: LogSink) -> LogBody:
    """Where output is kept."""
    return {
        "driver": log.driver,
        "path": log.path,
        "max_size_bytes": log.max_size_bytes,
        "max_files": log.max_files,
        "attributes": dict(log.attributes),
        "compressor": _script("gzip_filter.py") if log.compress else "",
        "remote": None if log.remote is None else _remote_body(log.remote),
    }


def _remote_body(remote: RemoteLog) -> RemoteBody:
    return {
        "protocol": remote.protocol,
        "address": remote.address,
        "port": remote.port,
        "format": remote.format,
        "facility": remote.facility,
        "tag": remote.tag,
        "hostname": remote.hostname,
        "fields": dict(remote.fields),
        "blocking": remote.blocking,
        "queue_bytes": remote.queue_bytes,
        "relay": _script("tls_relay.py"),
        "tls": list(remote.tls),
    }


def _script(name: str) -> str:
    """The path of a program that supervisors start beside themselves."""
    return str(Path(__file__).parents[2] / "logs" / name)


def exit_from_wire(body: ExitBody | Body) -> Exit:
    """How a process ended."""
    return Exit(body["code"], body["finished_at_ns"], body["oom"], body["known"], body["signal"])


def has_own_pid_namespace(launch: Launch) -> bool:
    """Whether the container's processes end with its first one."""
    namespaces = launch.spec.linux.namespaces if launch.spec.linux is not None else ()
    return any(namespace.type == "pid" and not namespace.path for namespace in namespaces)


def close_clients(clients: tuple[Client, ...]) -> None:
    """Closes the connections of clients whose process does not come to be."""
    for client in clients:
        client.socket.close()


def _with_descriptors(body: LaunchBody, plan: Plan, clients: tuple[Client, ...], container: Fd | None) -> Request:
    request = Request(body)
    try:
        for kind, path in plan.joins:
            if container is not None and kind == "pid":
                continue  # the supervisor enters it by the pidfd that it has
            body["joins"][kind] = len(request.fds)
            request.fds.append(container.dup() if container is not None else open_namespace(path))
        for client in clients:
            number = len(request.fds)
            body["attach"].append(attach_body(body["id"], body["exec_id"], client.options, client.early, number))
            request.fds.append(client.socket)
    except BaseException:
        request.close()
        close_clients(clients)
        raise
    return request
