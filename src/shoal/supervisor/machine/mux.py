"""Messages and streams over one line: what the host's monitor and the guest's process 1 say to each other.

A frame is a head (kind, channel, length) and so many bytes:

    MESSAGE  channel 0: marshal(version 2) of (kind, request id, body), as in supervisor/protocol.py
    DATA     bytes of a stream
    END      no more bytes come in this direction of the stream
    CREDIT   so many bytes (u32) of the stream have been taken up: as many more may follow

A stream's sender stops when WINDOW_BYTES are under way, so one whose receiver is slow holds up no other.
Runs in a supervisor's child and in the guest: standard library only.
"""

from __future__ import annotations

import marshal
import os
import struct

from shoal.supervisor.loop import HANGUP, READABLE, WRITABLE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Protocol

    from shoal.supervisor.loop import Loop
    from shoal.supervisor.protocol import Body

    OnMessage = Callable[[str, int, Body], None]

    class Sink(Protocol):
        """Where the received bytes of a stream go."""

        def write(self, data: bytes) -> None:
            """Takes bytes; `on_taken` says when they have gone on."""

        def end(self) -> None:
            """No more come."""

        def close(self) -> None:
            """The stream is over."""


MESSAGE, DATA, END, CREDIT = range(4)
WINDOW_BYTES = 256 * 1024
_CHUNK_BYTES = 32 * 1024
_READ_BYTES = 64 * 1024
# With so much waiting for the line, streams are not read from any further.
_LINE_LIMIT_BYTES = 256 * 1024
# A message is small; more is no stream of ours.
_MOST_BYTES = 16 << 20
_HEAD = struct.Struct("<BxxxII")
_CREDIT = struct.Struct("<I")


class Mux:
    """One end of the line; it owns `fd`. `on_message` gets the other end's messages, `on_lost` is told its end once."""

    __slots__ = ("_fd", "_in", "_interest", "_loop", "_on_lost", "_on_message", "_out", "streams")

    def __init__(self, loop: Loop, fd: int, on_message: OnMessage, on_lost: Callable[[], None]) -> None:
        self._loop = loop
        self._fd = fd
        self._on_message = on_message
        self._on_lost = on_lost
        self._in = bytearray()
        self._out = bytearray()
        self._interest = READABLE
        self.streams: dict[int, Stream] = {}
        os.set_blocking(fd, False)
        loop.watch(fd, READABLE, self._on_event)

    @property
    def crowded(self) -> bool:
        """Whether so much waits for the line that streams should wait too."""
        return len(self._out) > _LINE_LIMIT_BYTES

    def tell(self, kind: str, request_id: int, body: Body) -> None:
        """Sends a message."""
        self.send(MESSAGE, 0, marshal.dumps((kind, request_id, body), 2))

    def send(self, kind: int, channel: int, data: bytes = b"") -> None:
        """Sends a frame, now or when the line takes it."""
        self._out += _HEAD.pack(kind, channel, len(data))
        self._out += data
        self._flush()

    def open(self, channel: int, source: int, sink: Sink) -> Stream:
        """A stream from the descriptor `source` (owned; -1 for none) to the other end, and from there to `sink`."""
        stream = self.streams[channel] = Stream(self, self._loop, channel, source, sink)
        return stream

    def forget(self, channel: int) -> None:
        """The stream is over."""
        self.streams.pop(channel, None)

    def _on_event(self, events: int) -> None:
        if events & WRITABLE:
            self._flush()
        if events & READABLE:
            self._read()
        elif events & HANGUP:
            self._lost()

    def _read(self) -> None:
        try:
            data = os.read(self._fd, _READ_BYTES)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._lost()
            return
        self._in += data
        while len(self._in) >= _HEAD.size:
            kind, channel, length = _HEAD.unpack_from(self._in)
            if length > _MOST_BYTES:
                self._lost()
                return
            end = _HEAD.size + length
            if len(self._in) < end:
                return
            payload = bytes(self._in[_HEAD.size : end])
            del self._in[:end]
            self._received(kind, channel, payload)

    def _received(self, kind: int, channel: int, payload: bytes) -> None:
        if kind == MESSAGE:
            self._on_message(*marshal.loads(payload))
            return
        stream = self.streams.get(channel)
        if stream is None:
            return  # it is over on this side
        if kind == DATA:
            stream.sink.write(payload)
        elif kind == END:
            stream.other_ended()
        elif kind == CREDIT:
            stream.credited(_CREDIT.unpack(payload)[0])

    def _flush(self) -> None:
        was_crowded = self.crowded
        while self._out and self._fd >= 0:
            try:
                del self._out[: os.write(self._fd, self._out)]
            except BlockingIOError:
                break
            except OSError:
                self._out.clear()  # the other end has gone; the loop tells
        interest = READABLE | (WRITABLE if self._out else 0)
        if interest != self._interest and self._fd >= 0:
            self._interest = interest
            self._loop.modify(self._fd, interest)
        if was_crowded and not self.crowded:
            for stream in tuple(self.streams.values()):
                stream.update()

    def _lost(self) -> None:
        if self._fd >= 0:
            self._loop.unwatch(self._fd)
            os.close(self._fd)
            self._fd = -1
            self._on_lost()


class Stream:
    """One stream's end: reads its source as far as the other end has room, and tells what its sink has taken."""

    __slots__ = ("_channel", "_loop", "_mux", "_other_ended", "_room", "_source", "_watched", "on_over", "sink")

    def __init__(self, mux: Mux, loop: Loop, channel: int, source: int, sink: Sink) -> None:
        self._mux = mux
        self._loop = loop
        self._channel = channel
        self._source = source
        self._room = WINDOW_BYTES
        self._watched = False
        self._other_ended = False
        self.sink = sink
        self.on_over: Callable[[], None] | None = None
        if source >= 0:
            os.set_blocking(source, False)
            self.update()
        else:
            mux.send(END, channel)

    def taken(self, count: int) -> None:
        """The sink has passed on so many bytes."""
        self._mux.send(CREDIT, self._channel, _CREDIT.pack(count))

    def credited(self, count: int) -> None:
        """The other end has."""
        self._room += count
        self.update()

    def other_ended(self) -> None:
        """No more bytes come."""
        self._other_ended = True
        self.sink.end()

    def update(self) -> None:
        """Reads from the source, or leaves it, as there is room."""
        wanted = self._source >= 0 and self._room > 0 and not self._mux.crowded
        if wanted == self._watched:
            return
        if not wanted:
            self._loop.unwatch(self._source)
            self._watched = False
            return
        try:
            self._loop.watch(self._source, READABLE, self._readable)
            self._watched = True
        except PermissionError:
            # Of a file, and of /dev/null, epoll knows nothing (EPERM): they can be read at any time.
            while self._source >= 0 and self._room > 0 and not self._mux.crowded:
                self._readable(READABLE)

    def _readable(self, _events: int) -> None:
        try:
            data = os.read(self._source, min(_CHUNK_BYTES, self._room))
        except BlockingIOError:
            return
        except OSError:
            data = b""  # EIO: a terminal that nobody has any more
        if data:
            self._room -= len(data)
            self._mux.send(DATA, self._channel, data)
            self.update()
        else:
            self.end_source()

    def end_source(self) -> None:
        """Nothing more is to be sent."""
        if self._source >= 0:
            self._drop_source()
            self._mux.send(END, self._channel)

    def close(self) -> None:
        """Gives everything back."""
        self._drop_source()
        self.sink.close()
        self._mux.forget(self._channel)

    def _drop_source(self) -> None:
        if self._source >= 0:
            if self._watched:
                self._loop.unwatch(self._source)
                self._watched = False
            os.close(self._source)
            self._source = -1


class FdSink:
    """Writes to one descriptor, which it owns, as it takes them; `on_taken` hears how many bytes have gone."""

    __slots__ = ("_ending", "_fd", "_loop", "_pending", "_watched", "on_ended", "on_taken")

    def __init__(self, loop: Loop, fd: int) -> None:
        self._loop = loop
        self._fd = fd
        self._pending = bytearray()
        self._watched = False
        self._ending = False
        self.on_taken: Callable[[int], None] | None = None
        self.on_ended: Callable[[int], None] | None = None
        os.set_blocking(fd, False)

    @property
    def pending(self) -> bool:
        """Whether something waits."""
        return bool(self._pending)

    def write(self, data: bytes) -> None:
        """Writes now what the descriptor takes, and the rest later."""
        if self._fd < 0:
            self._passed(len(data))
            return
        self._pending += data
        self._flush(0)

    def end(self) -> None:
        """Behind what waits, `on_ended` is called with the descriptor."""
        self._ending = True
        if not self._pending:
            self._ended()

    def close(self) -> None:
        """Gives the descriptor back."""
        if self._fd >= 0:
            self._unwatch()
            os.close(self._fd)
            self._fd = -1

    def _flush(self, _events: int) -> None:
        while self._pending:
            try:
                count = os.write(self._fd, self._pending)
            except BlockingIOError:
                if not self._watched:
                    self._loop.watch(self._fd, WRITABLE, self._flush)
                    self._watched = True
                return
            except OSError:
                count = len(self._pending)  # nobody reads it any more: it is as good as taken
            del self._pending[:count]
            self._passed(count)
        self._unwatch()
        if self._ending:
            self._ended()

    def _passed(self, count: int) -> None:
        if self.on_taken is not None:
            self.on_taken(count)

    def _ended(self) -> None:
        if self.on_ended is not None and self._fd >= 0:
            self.on_ended(self._fd)

    def _unwatch(self) -> None:
        if self._watched:
            self._loop.unwatch(self._fd)
            self._watched = False


class OutputSink:
    """Takes a container's output: raw, or in stdcopy frames, which it takes apart for stdout and stderr."""

    __slots__ = ("_buffer", "_sinks", "on_ended")

    def __init__(self, loop: Loop, stdout: int, stderr: int, *, on_taken: Callable[[int], None], framed: bool) -> None:
        self._buffer = bytearray() if framed else None
        self._sinks = [FdSink(loop, stdout)]
        if framed:
            self._sinks.append(FdSink(loop, stderr))
        for sink in self._sinks:
            sink.on_taken = on_taken
            sink.on_ended = self._ended
        self.on_ended: Callable[[], None] | None = None

    def write(self, data: bytes) -> None:
        """Takes bytes of the stream."""
        if self._buffer is None:
            self._sinks[0].write(data)
            return
        self._buffer += data
        while len(self._buffer) >= 8:
            length = int.from_bytes(self._buffer[4:8], "big")
            if len(self._buffer) < 8 + length:
                # As much as is there, so that a frame larger than the window does not wait for its own end.
                length = len(self._buffer) - 8
                if not length:
                    return
                self._emit(length, rest=int.from_bytes(self._buffer[4:8], "big") - length)
                return
            self._emit(length, rest=0)

    def end(self) -> None:
        """No more comes."""
        for sink in self._sinks:
            sink.end()

    def close(self) -> None:
        """Gives the descriptors back."""
        for sink in self._sinks:
            sink.close()

    def _emit(self, length: int, *, rest: int) -> None:
        assert self._buffer is not None
        sink = self._sinks[1 if self._buffer[0] == 2 else 0]
        data = bytes(self._buffer[8 : 8 + length])
        if rest:
            self._buffer[4:8] = rest.to_bytes(4, "big")
            del self._buffer[8:]
        else:
            del self._buffer[: 8 + length]
            if sink.on_taken is not None:
                sink.on_taken(8)
        sink.write(data)

    def _ended(self, _fd: int) -> None:
        if self.on_ended is not None and not any(sink.pending for sink in self._sinks):
            self.on_ended()
