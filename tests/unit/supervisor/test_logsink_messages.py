"""The formats of the other drivers: local's records, syslog's messages, the journal's fields."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoal.api.log import LogEntry
from shoal.logs.local_file import LocalFormat
from shoal.supervisor.logsink_cutter import PARTIAL_BYTES, Cutter
from shoal.supervisor.logsink_journald import JournaldEncoder
from shoal.supervisor.logsink_local import LocalEncoder
from shoal.supervisor.logsink_syslog import SyslogEncoder

TIME_NS = 1_700_000_000_123_456_789


def written(data: bytes, stream: str = "stdout") -> bytes:
    """The `local` file of a container that prints this and ends."""
    cutter, encoder = Cutter(), LocalEncoder()
    parts, tail = cutter.cut(stream, data, TIME_NS)
    return encoder.records(stream, parts, TIME_NS) + encoder.records(stream, cutter.end(stream, tail, TIME_NS), TIME_NS)


def test_local_record_is_dockers_byte_for_byte() -> None:
    """Length, source, time, line, length."""
    message = b"\x0a\x06stdout\x10\x95\x9a\x97\xec\xe3\x9f\xe7\xcb\x17\x1a\x02hi"
    size = len(message).to_bytes(4, "big")
    assert written(b"hi\n") == size + message + size


@given(st.lists(st.binary(max_size=50), max_size=10), st.booleans())
def test_local_any_bytes_come_back(lines: list[bytes], is_stderr: bool) -> None:
    """Whatever is printed is read back as it was: this format replaces nothing."""
    data = b"\n".join(lines)
    entries, length = LocalFormat().parse(record := written(data, "stderr" if is_stderr else "stdout"))
    assert (b"".join(entry.data for entry in entries), length) == (data, len(record))
    assert all((entry.stream, entry.time_ns) == (2 if is_stderr else 1, TIME_NS) for entry in entries)


@pytest.mark.parametrize("length", [PARTIAL_BYTES - 1, PARTIAL_BYTES, PARTIAL_BYTES + 1, 3 * PARTIAL_BYTES + 5])
def test_local_long_line_comes_back_in_pieces(length: int) -> None:
    """Its pieces put together are the line with its end."""
    line = b"x" * length + b"\n"
    entries, _ = LocalFormat().parse(written(line + b"next\n"))
    assert b"".join(entry.data for entry in entries) == line + b"next\n"
    assert entries[-1] == LogEntry(1, TIME_NS, b"next\n")


@given(st.binary(max_size=300))
def test_local_damage_never_raises(data: bytes) -> None:
    """A file that holds anything at all is read as far as it makes sense."""
    format = LocalFormat()
    whole = written(b"first\n")
    entries, length = format.parse(whole + data)
    assert entries[0].data == b"first\n"
    assert length >= len(whole)
    format.first_record(data)


def test_local_can_be_read_from_the_end() -> None:
    """From anywhere in the file the next record is found, by the lengths at the records' ends."""
    records = written(b"".join(b"line %d\n" % number for number in range(100)))
    for start in range(1, len(records) - 60, 7):
        first = LocalFormat().first_record(records[start:])
        assert first is not None
        entries, _ = LocalFormat().parse(records[start + first :])
        assert entries[-1].data == b"line 99\n"
    assert LocalFormat().first_record(records[-10:]) is None


def syslog(stream: str, data: bytes, **settings: object) -> list[str]:
    """The messages for some output."""
    remote = {"protocol": "udp", "format": "", "facility": 3, "tag": "tag", "hostname": "host"} | settings
    parts, _ = Cutter().cut(stream, data, TIME_NS)
    messages = SyslogEncoder(remote).messages(stream, parts, TIME_NS)  # type: ignore[arg-type]
    return [message.decode() for message in messages]


@pytest.mark.parametrize(
    ("settings", "pattern"),
    [
        ({}, r"<30>Nov 1[45] \d\d:\d\d:20 tag\[\d+\]: line\n"),
        ({"format": "rfc3164", "facility": 16}, r"<134>Nov 1[45] \d\d:\d\d:20 host tag\[\d+\]: line\n"),
        ({"format": "rfc5424"}, r"<30>1 2023-11-1[45]T\d\d:\d\d:20(Z|[+-]\d\d:\d\d) host tag \d+ tag - line\n"),
        (
            {"format": "rfc5424micro"},
            r"<30>1 2023-11-1[45]T\d\d:\d\d:20\.123456(Z|[+-]\d\d:\d\d) host tag \d+ tag - line\n",
        ),
    ],
)
def test_syslog_formats(settings: dict[str, object], pattern: str) -> None:
    """As Docker writes them."""
    [message] = syslog("stdout", b"line\n", **settings)
    assert re.fullmatch(pattern, message), message


def test_syslog_stderr_is_an_error_and_empty_lines_are_left_out() -> None:
    """The severity is the stream's."""
    assert [message[:4] for message in syslog("stderr", b"\na\n\nb\n")] == ["<27>", "<27>"]


def test_syslog_over_tls_counts_its_bytes() -> None:
    """RFC 5425: the length stands in front."""
    [message] = syslog("stdout", b"line\n", protocol="tcp+tls", format="rfc5424")
    size, _, rest = message.partition(" ")
    assert int(size) == len(rest)


def test_journal_message_has_fields_and_no_line_can_add_one() -> None:
    """A value with a newline has a length, and a line is one field whatever is in it."""
    encoder = JournaldEncoder({"CONTAINER_NAME": "web", "LABEL": "two\nlines"})
    parts, _ = Cutter().cut("stderr", b"PRIORITY=0\x00\xff\nMESSAGE=x\n", TIME_NS)
    first, second = encoder.messages("stderr", parts, TIME_NS)
    fields = b"CONTAINER_NAME=web\nLABEL\n\x09\0\0\0\0\0\0\0two\nlines\n"
    begin = b"PRIORITY=3\nSYSLOG_TIMESTAMP=2023-11-14T22:13:20.123456789Z\n" + fields
    assert first == begin + b"MESSAGE=PRIORITY=0\x00\xff\n"
    assert second == begin + b"MESSAGE=MESSAGE=x\n"


def test_journal_pieces_of_a_long_line_belong_together() -> None:
    """They have one id and count up; the last one says so."""
    parts, _ = Cutter().cut("stdout", b"x" * (2 * PARTIAL_BYTES + 1) + b"\n", TIME_NS)
    messages = JournaldEncoder({}).messages("stdout", parts, TIME_NS)
    found = [dict(line.split(b"=", 1) for line in message.splitlines()) for message in messages]
    assert len({message[b"CONTAINER_PARTIAL_ID"] for message in found}) == 1
    assert [message[b"CONTAINER_PARTIAL_ORDINAL"] for message in found] == [b"1", b"2", b"3"]
    assert [message[b"CONTAINER_PARTIAL_LAST"] for message in found] == [b"false", b"false", b"true"]
    assert [b"CONTAINER_PARTIAL_MESSAGE" in message for message in found] == [True, True, False]
