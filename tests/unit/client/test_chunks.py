"""Streams taken apart into chunks and lines, wherever they are cut."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoal.api.stdcopy import encode_frame
from shoal.client.chunks import Collector, Decoder, LineSplitter
from shoal.client.document import Document
from shoal.client.results import Chunk, ContainerState, Event, parse_time
from shoal.errors import Internal

FRAMES = st.lists(st.tuples(st.sampled_from([1, 2]), st.binary(min_size=1, max_size=30)), max_size=8)


@given(frames=FRAMES, step=st.integers(min_value=1, max_value=11))
def test_collector_has_what_was_sent_wherever_it_is_cut(frames: list[tuple[int, bytes]], step: int) -> None:
    """stdout and stderr are each complete and in order."""
    data = b"".join(encode_frame(stream, payload) for stream, payload in frames)
    decoder, collector = Decoder(multiplexed=True), Collector()
    for at in range(0, len(data), step):
        for chunk in decoder.feed(data[at : at + step]):
            collector.take(chunk)
    assert collector.stdout == b"".join(payload for stream, payload in frames if stream == 1)
    assert collector.stderr == b"".join(payload for stream, payload in frames if stream == 2)


def test_decoder_error_of_the_engine_is_raised() -> None:
    """Stream 3 is no output: it says that the engine failed."""
    with pytest.raises(Internal, match="error from daemon in stream: no space"):
        Decoder(multiplexed=True).feed(encode_frame(3, b"no space"))


@given(text=st.binary(max_size=60), step=st.integers(min_value=1, max_value=7))
def test_lines_are_those_of_the_text_wherever_it_is_cut(text: bytes, step: int) -> None:
    """The same lines as splitting the whole; a last one without an end is one too."""
    splitter = LineSplitter(timestamps=False)
    lines = [
        line.data for at in range(0, len(text), step) for line in splitter.feed(Chunk("stdout", text[at : at + step]))
    ]
    lines += [line.data for line in splitter.end()]
    assert lines == (text.split(b"\n")[:-1] if text.endswith(b"\n") else text.split(b"\n") if text else [])


def test_lines_with_times_are_parsed() -> None:
    """The time before each line is taken off; one that is none does no harm."""
    (first, second) = LineSplitter(timestamps=True).feed(
        Chunk("stderr", b"2024-05-06T07:08:09.123456789Z a b\nnonsense \n")
    )
    assert (first.text, first.stream) == ("a b", "stderr")
    assert first.time is not None
    assert first.time.isoformat() == "2024-05-06T07:08:09.123456+00:00"
    assert (second.text, second.time) == ("", None)


def test_results_of_empty_documents_are_empty() -> None:
    """Docker leaves fields out; nothing fails over that."""
    state = ContainerState.parse(Document({}))
    assert (state.status, state.running, state.started_at, state.health) == ("", False, None, "")
    event = Event.parse(Document({"Type": "container"}))
    assert (event.type, event.action, event.attributes, event.time) == ("container", "", {}, None)
    assert parse_time("0001-01-01T00:00:00Z") is None
