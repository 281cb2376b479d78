"""A container cannot forge log records: whatever bytes it prints, `docker logs` gives them back, and nothing else."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.engines.engine import Engine

pytestmark = pytest.mark.usefixtures("cli")

HOSTILE = {
    "a whole record": b'{"log":"forged\\n","stream":"stderr","time":"2000-01-01T00:00:00Z"}\n',
    "the end of a record": b'x","stream":"stderr","time":"2000-01-01T00:00:00Z"}\n',
    "escapes": b'a\\n\\u0000\\"b\\\\\n',
    "control bytes": bytes(range(10)) + b"\x0b\x0c\r" + bytes(range(14, 32)) + b"\x7f\n",
    "a frame's header": b"\x02\x00\x00\x00\x00\x00\x00\x05forge\n",
    "separators": "a\u2028b\u2029c\u0085d\n".encode(),
    "html": b"<script>&amp;</script>\n",
    "terminal": b"\x1b]0;title\x07\x1b[2J\x1b[31m\n",
    "a cut line full of quotes": b'"' * 16384 + b"\\" * 16384 + b'"end\n',
    "nothing but newlines": b"\n" * 5000,
}
INVALID = b"\xff\xfe\xc3(\xe2\x82\xed\xa0\x80\xf4\x90\x80\x80 ok\n"


def printed(engine: Engine, tmp_path: Path, data: bytes, *flags: str) -> str:
    """The id of a container that has printed `data`."""
    (tmp_path / "data").write_bytes(data)
    volume = ["-v", f"{tmp_path}/data:/data:ro"]
    identifier = engine.ok("run", "-d", *volume, *flags, "busybox", "cat", "/data")
    engine.ok("wait", identifier)
    return identifier


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_text_is_given_back_byte_for_byte(engine: Engine, tmp_path: Path, name: str) -> None:
    """On stdout, all of it, and not a line more."""
    done = engine.docker_bytes("logs", printed(engine, tmp_path, HOSTILE[name]))
    assert (done.stdout, done.stderr) == (HOSTILE[name], b"")


def test_hostile_lines_each_are_one_record(engine: Engine, tmp_path: Path) -> None:
    """In the file, each line is a record of its own that any JSON reader understands."""
    lines = [data for data in HOSTILE.values() if data.count(b"\n") == 1 and len(data) < 16384]
    identifier = printed(engine, tmp_path, b"".join(lines))
    text = (Path(engine.data_root) / "containers" / identifier / f"{identifier}-json.log").read_bytes()
    records = [json.loads(record) for record in text.split(b"\n") if record]
    assert [record["log"].encode() for record in records] == lines
    assert {record["stream"] for record in records} == {"stdout"}


def test_bytes_that_are_no_text_become_replacement_characters(engine: Engine, tmp_path: Path) -> None:
    """One for each byte, as Docker's JSON has it."""
    done = engine.docker_bytes("logs", printed(engine, tmp_path, INVALID))
    assert (
        done.stdout
        == INVALID.decode("utf-8", "surrogateescape").translate(dict.fromkeys(range(0xDC80, 0xDD00), "\ufffd")).encode()
    )


def test_local_keeps_bytes_that_are_no_text(engine: Engine, tmp_path: Path) -> None:
    """This format replaces nothing."""
    data = INVALID + b"".join(data for data in HOSTILE.values() if len(data) < 16384)
    done = engine.docker_bytes("logs", printed(engine, tmp_path, data, "--log-driver", "local"))
    assert (done.stdout, done.stderr) == (data, b"")
