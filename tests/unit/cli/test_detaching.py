"""Detach keys in a stream of typed bytes."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from shoal.cli.detaching import DetachKeys

P, Q = b"\x10", b"\x11"


def test_detach_keys_typed_in_one_piece_detach() -> None:
    """What was typed before is sent, the keys and what follows are not."""
    keys = DetachKeys(P + Q)
    assert keys.feed(b"ab" + P + Q + b"c") == b"ab"
    assert keys.detached


def test_detach_keys_typed_one_by_one_detach() -> None:
    """The first key is held back until the second one tells."""
    keys = DetachKeys(P + Q)
    assert keys.feed(P) == b""
    assert not keys.detached
    assert keys.feed(Q) == b""
    assert keys.detached


def test_detach_keys_broken_sequence_is_sent() -> None:
    """A ctrl-p that is followed by something else is an ordinary key."""
    keys = DetachKeys(P + Q)
    assert keys.feed(P) + keys.feed(b"x") == P + b"x"
    assert keys.feed(P + P + b"y") == P + P + b"y"
    assert keys.feed(P + P + Q) == P
    assert keys.detached


@given(st.lists(st.binary(max_size=8)))
def test_detach_keys_none_pass_everything(pieces: list[bytes]) -> None:
    """Without keys the stream is unchanged."""
    keys = DetachKeys(b"")
    assert b"".join(keys.feed(piece) for piece in pieces) == b"".join(pieces)


@given(st.lists(st.binary(max_size=6), max_size=20), st.binary(min_size=1, max_size=3))
def test_detach_keys_lose_no_byte_until_they_detach(pieces: list[bytes], sequence: bytes) -> None:
    """What was sent, with what is held back, is exactly what was typed, as long as nothing detached."""
    keys = DetachKeys(sequence)
    sent = b"".join(keys.feed(piece) for piece in pieces)
    typed = b"".join(pieces)
    assert keys.detached == (sequence in typed)
    if keys.detached:
        assert sent == typed[: typed.index(sequence)]
    else:
        assert typed.startswith(sent)
        assert sequence.startswith(typed[len(sent) :])
