"""Records of Docker's json-file format. Pure.

One record a line: `{"log":"text\\n","stream":"stdout","time":"2006-01-02T15:04:05.999999999Z"}`, with `attrs` in
front of `time` where the container has log attributes. A piece of a long line has no newline but the last, and the
first one's time. Bytes that are not UTF-8 become U+FFFD, one for each. Source: Docker Engine, "JSON File logging
driver".
"""

from __future__ import annotations

from shoal.supervisor.timestamps import rfc3339_nano

TYPE_CHECKING = False
if TYPE_CHECKING:
    from shoal.supervisor.logsink_cutter import Part

# The bytes that JSON, or Docker's taste (<, >, &), wants escaped. The newline separates the records and is not among
# them; the backslash comes first, because the other escapes contain it.
_ESCAPES = {
    ord("\\"): b"\\\\",
    ord('"'): b'\\"',
    ord("\r"): b"\\r",
    **{code: b"\\u00%02x" % code for code in (*range(10), 11, 12, *range(14, 32), *b"<>&")},
}
_BEGIN = b'{"log":"'
_PLAIN = bytes(code for code in range(256) if code not in _ESCAPES)
# What `surrogateescape` makes of bytes that are not UTF-8.
_REPLACED = dict.fromkeys(range(0xDC80, 0xDD00), "\\ufffd")


def escape(data: bytes) -> bytes:
    """The bytes as the inside of a JSON string in UTF-8, newlines left as they are."""
    # All that is escaped is ASCII, and no byte of a longer character is: so the text need not be decoded for it.
    special = data.translate(None, _PLAIN)
    invalid = not data.isascii() and not _is_utf8(data)
    if special:
        present = set(special)
        for code, replacement in _ESCAPES.items():
            if code in present:
                data = data.replace(bytes((code,)), replacement)
    if b"\xe2\x80" in data:
        data = data.replace(b"\xe2\x80\xa8", b"\\u2028").replace(b"\xe2\x80\xa9", b"\\u2029")
    if invalid:
        data = data.decode("utf-8", "surrogateescape").translate(_REPLACED).encode()
    return data


class JsonEncoder:
    """Records with the attributes of one container."""

    __slots__ = ("_attributes",)

    def __init__(self, attributes: dict[str, str]) -> None:
        self._attributes = _attributes(attributes)

    def records(self, stream: str, parts: list[Part], time_ns: int) -> bytes:
        """A record for each line and piece."""
        end = b"\\n" + self._end(stream, time_ns)
        out: list[bytes] = []
        for text, piece in parts:
            if piece is None:
                out += (_BEGIN, escape(text).replace(b"\n", end + _BEGIN), end)
            else:
                out += (_BEGIN, escape(text), b"\\n" if piece.last else b"", self._end(stream, piece.since_ns))
        return b"".join(out)

    def fitting(self, records: bytes, room_bytes: int) -> int:
        """How many bytes of `records`, whole ones, fit into `room_bytes`."""
        return records.rfind(b"\n", 0, max(room_bytes, 0)) + 1

    def first_record(self, records: bytes) -> int:
        """The length of the first of `records`."""
        return records.index(b"\n") + 1

    def _end(self, stream: str, time_ns: int) -> bytes:
        return b'","stream":"%b",%b"time":"%b"}\n' % (
            stream.encode(),
            self._attributes,
            rfc3339_nano(time_ns).encode(),
        )


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def _attributes(attributes: dict[str, str]) -> bytes:
    if not attributes:
        return b""
    pairs = b",".join(b'"%b":"%b"' % (_string(key), _string(value)) for key, value in sorted(attributes.items()))
    return b'"attrs":{%b},' % pairs


def _string(text: str) -> bytes:
    return escape(text.encode("utf-8", "surrogateescape")).replace(b"\n", b"\\n")
