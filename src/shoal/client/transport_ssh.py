"""An engine on another machine, through ssh: every connection is one `ssh HOST shoal system dial-stdio`.

ssh's own configuration, keys, agent and known hosts count; its questions and complaints go to the user's terminal.
"""

from __future__ import annotations

import shlex
import signal
import socket
import subprocess

from shoal.client.transport import Connection, SocketConnection, Transport
from shoal.errors import InvalidArgument, Unavailable

_CONNECT_TIMEOUT_S = 30
_END_S = 5.0


class SshTransport(Transport):
    """Connects through ssh. `path` "" is the other machine's default socket."""

    def __init__(self, host: str, *, user: str = "", port: str = "", path: str = "") -> None:
        self.host = host
        self.user = user
        self.port = port
        self.path = path

    @property
    def address(self) -> str:
        user = f"{self.user}@" if self.user else ""
        port = f":{self.port}" if self.port else ""
        return f"ssh://{user}{self.host}{port}{self.path}"

    def command(self, *verb: str) -> list[str]:
        """The words of the ssh command that runs a verb of shoal there, `system dial-stdio` by default.

        The host stands behind `--`, so that it can't be read as an option. The words of `verb` pass through a shell;
        the path of the socket, which may be from a context of somebody else's, is quoted for it.
        """
        words = ["ssh", "-o", f"ConnectTimeout={_CONNECT_TIMEOUT_S}", "-T"]
        if self.user:
            words += ["-l", self.user]
        if self.port:
            words += ["-p", self.port]
        remote = [
            "shoal",
            *(["-H", shlex.quote(f"unix://{self.path}")] if self.path else []),
            *(verb or ("system", "dial-stdio")),
        ]
        return [*words, "--", self.host, *remote]

    def connect(self) -> Connection:
        ours, theirs = socket.socketpair()
        try:
            process = subprocess.Popen(
                self.command(), stdin=theirs.fileno(), stdout=theirs.fileno(), preexec_fn=_ignore_interrupts
            )
        except OSError as error:
            ours.close()
            raise Unavailable(
                f"cannot reach {self.address}", why=f"ssh: {error.strerror}", fix="install openssh-client"
            ) from None
        finally:
            theirs.close()
        return _SshConnection(ours, process, self.address)


def _ignore_interrupts() -> None:
    """Ctrl-C is for what runs on the other side, not for the way there; ssh lets a signal that is ignored be ignored.

    A process group of its own would do that too, but then ssh could not ask for a passphrase.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGQUIT, signal.SIG_IGN)


class _SshConnection(SocketConnection):
    """Our end of ssh's standard streams; ends ssh when it is closed."""

    __slots__ = ("_address", "_has_received", "_process")

    def __init__(self, connected: socket.socket, process: subprocess.Popen[bytes], address: str) -> None:
        super().__init__(connected)
        self._process = process
        self._address = address
        self._has_received = False

    def send_all(self, data: bytes) -> None:
        """Sends every byte."""
        try:
            super().send_all(data)
        except BrokenPipeError:
            self._tell_end()
            raise

    def receive(self, size: int) -> bytes:
        """What came. Raises: Unavailable when ssh gave up before anything came."""
        try:
            data = super().receive(size)
        except ConnectionResetError:
            data = b""
        if data:
            self._has_received = True
        elif not self._has_received:
            self._tell_end()
        return data

    def _tell_end(self) -> None:
        try:
            code = self._process.wait(_END_S)
        except subprocess.TimeoutExpired:
            return
        if code == 127:
            why, fix = "there is no `shoal` on the PATH of that machine", "install shoal there"
        elif code == 255:
            why, fix = "ssh could not log in", "try it by hand: ssh " + self._address.removeprefix("ssh://")
        else:
            why, fix = f"ssh ended with code {code}", "its words are above"
        raise Unavailable(f"cannot reach {self._address}", why=why, fix=fix)

    def close(self) -> None:
        """Closes the stream, at which the other side's `dial-stdio` ends, and ssh with it."""
        super().close()
        try:
            self._process.wait(_END_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def ssh_transport(rest: str) -> SshTransport:
    """The transport for what follows `ssh://`: `[user@]host[:port][/path/of/socket]`.

    Raises: InvalidArgument, for what has no place there (a password, a query, a host that looks like an option) too.
    """
    authority, slash, path = rest.partition("/")
    user, _, place = authority.rpartition("@")
    host, colon, port = place.partition(":") if not place.startswith("[") else _bracketed(place)
    wrong = ""
    if not host or host.startswith("-") or user.startswith("-"):
        wrong = "it names no host"
    elif ":" in user:
        wrong = "plain-text password is not supported"
    elif colon and not (port.isascii() and port.isdecimal()):
        wrong = "the port is no number"
    elif "?" in rest or "#" in rest:
        wrong = "query and fragment have no meaning here"
    if wrong:
        raise InvalidArgument(f"invalid host address `ssh://{rest}`", why=wrong, fix="write ssh://[USER@]HOST[:PORT]")
    return SshTransport(host, user=user, port=port, path=f"/{path}" if slash and path else "")


def _bracketed(place: str) -> tuple[str, str, str]:
    """[::1]:22 as its parts."""
    host, _, rest = place[1:].partition("]")
    return host, rest[:1], rest[1:]
