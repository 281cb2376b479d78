"""One TLS connection as a machine of bytes in and bytes out: no socket, no waiting. Both ends of HTTP use it.

    from the peer ─▶ receive ─▶ take_plain        to be sent ─▶ send ─▶ take_sealed ─▶ to the peer

Why not the socket of `ssl`: it can't close one direction and go on in the other, which `attach` and `exec` need (the
end of the input must not end the output). Over memory buffers, a close_notify goes out and reading continues.
RFC 8446 §6.1.
"""

from __future__ import annotations

import ssl

_READ_SIZE = 65536


class TlsStream:
    """The state of one connection. `is_open`: the handshake is done; `peer_closed`: no more will come from the peer."""

    __slots__ = ("_incoming", "_object", "_outgoing", "_plain", "_write_closed", "is_open", "peer_closed")

    def __init__(self, context: ssl.SSLContext, *, server_side: bool, server_hostname: str | None = None) -> None:
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._object = context.wrap_bio(
            self._incoming, self._outgoing, server_side=server_side, server_hostname=server_hostname
        )
        self._plain = bytearray()
        self._write_closed = False
        self.is_open = False
        self.peer_closed = False

    def begin(self) -> None:
        """Takes the next step of the handshake, as far as it goes with what was received. Raises: ssl.SSLError."""
        try:
            self._object.do_handshake()
            self.is_open = True
        except ssl.SSLWantReadError:
            pass

    def receive(self, sealed: bytes) -> None:
        """Takes what came from the peer; b"" means that its side of the TCP connection ended.

        Raises: ssl.SSLError when it is no TLS, was tampered with, or the peer was refused or refuses us.
        """
        if sealed:
            self._incoming.write(sealed)
        else:
            self.peer_closed = True
        if not self.is_open:
            self.begin()
        if self.is_open:
            self._decrypt()

    def _decrypt(self) -> None:
        while True:
            try:
                data = self._object.read(_READ_SIZE)
            except ssl.SSLWantReadError:
                return
            except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
                self.peer_closed = True
                return
            if not data:
                self.peer_closed = True
                return
            self._plain += data

    def take_plain(self) -> bytes:
        """What the peer said, as far as it was not taken yet."""
        data = bytes(self._plain)
        self._plain.clear()
        return data

    def send(self, data: bytes) -> None:
        """Seals `data`; `take_sealed` has it then. The handshake must be done. Raises: ssl.SSLError."""
        self._object.write(data)

    def close_write(self) -> None:
        """Tells the peer that nothing more comes from here; what it sends is still read."""
        if self._write_closed or not self.is_open:
            return
        self._write_closed = True
        try:
            # The first half of the shutdown is all we want: its second half waits for the peer's, and says so.
            self._object.unwrap()
        except ssl.SSLError:
            pass

    def take_sealed(self) -> bytes:
        """What is to be sent to the peer."""
        return self._outgoing.read()
