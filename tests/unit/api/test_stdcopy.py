"""The framing of stdout and stderr: what goes in comes out, wherever the stream is cut."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoal.api.stdcopy import STDERR, STDOUT, StdcopyDecoder, encode_frame, frame_header
from shoal.errors import InvalidArgument

FRAMES = st.lists(st.tuples(st.integers(0, 3), st.binary(max_size=300)), max_size=20)


def joined(pieces: list[tuple[int, bytes]]) -> list[tuple[int, bytes]]:
    """Neighbouring pieces of one stream as one, empty ones left out."""
    whole: list[tuple[int, bytes]] = []
    for stream, data in pieces:
        if whole and whole[-1][0] == stream:
            whole[-1] = (stream, whole[-1][1] + data)
        elif data:
            whole.append((stream, data))
    return whole


@given(FRAMES, st.lists(st.integers(1, 40), min_size=1))
def test_decoder_gives_back_what_was_encoded_however_it_is_cut(
    frames: list[tuple[int, bytes]], cuts: list[int]
) -> None:
    """Every byte comes out once, in order, on its stream, and the end is known for one."""
    wire = b"".join(encode_frame(stream, data) for stream, data in frames)
    decoder, pieces, position, turn = StdcopyDecoder(), [], 0, 0
    while position < len(wire):
        size = cuts[turn % len(cuts)]
        pieces += decoder.feed(wire[position : position + size])
        position += size
        turn += 1
    assert joined(pieces) == joined(frames)
    assert decoder.is_between_frames()


@given(st.binary(min_size=1, max_size=50), st.data())
def test_decoder_knows_that_a_stream_was_cut_off(payload: bytes, data: st.DataObject) -> None:
    """A stream that ends inside a frame is not taken for a whole one."""
    wire = encode_frame(STDERR, payload)
    decoder = StdcopyDecoder()
    decoder.feed(wire[: data.draw(st.integers(1, len(wire) - 1))])
    assert not decoder.is_between_frames()


@given(st.binary(max_size=100))
def test_decoder_any_bytes_are_frames_or_a_refusal(data: bytes) -> None:
    """No bytes do anything else."""
    try:
        pieces = StdcopyDecoder().feed(data)
    except InvalidArgument:
        return
    assert sum(len(piece) for _, piece in pieces) <= len(data)


def test_frame_is_laid_out_as_published() -> None:
    """Stream, three zeros, length in big-endian."""
    assert encode_frame(STDOUT, b"hi\n") == b"\x01\x00\x00\x00\x00\x00\x00\x03hi\n"
    assert frame_header(STDERR, 2**32 - 1) == b"\x02\x00\x00\x00\xff\xff\xff\xff"


def test_decoder_unknown_stream_is_refused() -> None:
    """A header that can't be is told."""
    with pytest.raises(InvalidArgument, match="Unrecognized input header: 9"):
        StdcopyDecoder().feed(b"\x09" + b"\x00" * 7)
