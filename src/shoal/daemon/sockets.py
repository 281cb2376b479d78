"""The sockets that shoald listens on.

unix:///path       made here, mode 0660, group `docker` where there is one; a dead daemon's leftover is replaced
tcp://host:port    made here; with --tlsverify for whoever shows a certificate, else only for addresses of this machine
fd://              passed by whoever started shoald (sd_listen_fds(3))
"""

from __future__ import annotations

import errno
import grp
import ipaddress
import os
import socket
import ssl
import stat
from collections.abc import Sequence

from shoal.daemon.tls import TlsSettings, server_context
from shoal.errors import Conflict, Internal, InvalidArgument
from shoal.server.tls import SecuredSocket

_BACKLOG = 1024
_FIRST_PASSED_FD = 3
_GROUPS = ("docker", "shoal")


def open_sockets(hosts: Sequence[str], tls: TlsSettings | None = None) -> list[socket.socket]:
    """Listening, non-blocking sockets for all `hosts`, or none; with `tls`, those on TCP are SecuredSockets.

    Raises: Conflict when another daemon serves an address, InvalidArgument, Internal.
    """
    context = server_context(tls) if tls else None
    opened: list[socket.socket] = []
    try:
        for host in hosts:
            opened += _open(host, context)
    except BaseException:
        for listening in opened:
            listening.close()
        raise
    return opened


def remove_socket_files(hosts: Sequence[str]) -> None:
    """Removes the files of the unix sockets among `hosts`."""
    for host in hosts:
        scheme, _, path = host.partition("://")
        if scheme == "unix":
            try:
                os.unlink(path)
            except FileNotFoundError:
                pass


def _open(host: str, tls: ssl.SSLContext | None) -> list[socket.socket]:
    scheme, _, rest = host.partition("://")
    if scheme == "unix":
        return [_open_unix(rest)]
    if scheme == "tcp":
        return [_open_tcp(rest, tls)]
    return _passed_sockets()


def _open_unix(path: str) -> socket.socket:
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    try:
        _remove_leftover(path)
        os.makedirs(os.path.dirname(path) or ".", mode=0o711, exist_ok=True)
        mask = os.umask(0o177)  # nobody may connect before the group is set
        try:
            listening.bind(path)
        finally:
            os.umask(mask)
        group = _group_id()
        if group is not None:
            os.chown(path, 0, group)
        os.chmod(path, 0o660)
        listening.listen(_BACKLOG)
    except OSError as cause:
        listening.close()
        raise Internal(f"cannot listen on unix://{path}", why=os.strerror(cause.errno or 0)) from cause
    except BaseException:
        listening.close()
        raise
    return listening


def _remove_leftover(path: str) -> None:
    """Makes way at `path`. Raises: Conflict when somebody listens there, or when it is no socket."""
    try:
        mode = os.lstat(path).st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise Conflict(f"cannot listen on unix://{path}", why="there is a file of that name", fix=f"move {path} away")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(path)
        except OSError:
            os.unlink(path)
            return
    raise Conflict(
        f"cannot listen on unix://{path}", why="another daemon serves it", fix="give another -H and --exec-root"
    )


def _group_id() -> int | None:
    for name in _GROUPS:
        try:
            return grp.getgrnam(name).gr_gid
        except KeyError:
            pass
    return None


def _open_tcp(rest: str, tls: ssl.SSLContext | None) -> socket.socket:
    host, separator, port = rest.rpartition(":")
    host = host.strip("[]") or "127.0.0.1"
    if not separator or not port.isdecimal() or not 0 <= int(port) < 65536:
        raise InvalidArgument(f"cannot listen on tcp://{rest}", why="an address is HOST:PORT")
    try:
        address = ipaddress.ip_address("127.0.0.1" if host == "localhost" else host)
    except ValueError:
        raise InvalidArgument(f"cannot listen on tcp://{rest}", why="the host must be an IP address") from None
    if not address.is_loopback and (tls is None or tls.verify_mode != ssl.CERT_REQUIRED):
        raise InvalidArgument(
            f"refusing to listen on tcp://{rest}",
            why="whoever reaches this port is root here",
            fix="give --tlsverify with --tlscacert, --tlscert and --tlskey, or listen on 127.0.0.1 and come by ssh://",
        )
    family = socket.AF_INET6 if address.version == 6 else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((str(address), int(port)))
        listening.listen(_BACKLOG)
    except OSError as cause:
        listening.close()
        kind = Conflict if cause.errno == errno.EADDRINUSE else Internal
        raise kind(f"cannot listen on tcp://{rest}", why=os.strerror(cause.errno or 0)) from cause
    return SecuredSocket(listening, tls) if tls else listening


def _passed_sockets() -> list[socket.socket]:
    """The sockets that systemd passes. Raises: InvalidArgument when there are none."""
    count = int(os.environ.get("LISTEN_FDS", "0"))
    if os.environ.get("LISTEN_PID") != str(os.getpid()) or count < 1:
        raise InvalidArgument(
            "cannot listen on fd://", why="no socket was passed", fix="start shoald by its socket unit"
        )
    passed = []
    for number in range(_FIRST_PASSED_FD, _FIRST_PASSED_FD + count):
        os.set_inheritable(number, False)
        listening = socket.socket(fileno=number)
        listening.setblocking(False)
        passed.append(listening)
    return passed
