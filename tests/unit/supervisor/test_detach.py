"""The keys that detach a client."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from shoal.supervisor.detach import DetachScanner

KEYS = b"\x10\x11"


def test_feed_sequence_in_one_piece_detaches_and_drops_what_follows() -> None:
    """What was typed before is passed on, what comes after belongs to nobody."""
    assert DetachScanner(KEYS).feed(b"abc\x10\x11def") == (b"abc", True)


def test_feed_sequence_split_over_reads_detaches() -> None:
    """The first key is withheld until the next one tells."""
    scanner = DetachScanner(KEYS)
    assert scanner.feed(b"a\x10") == (b"a", False)
    assert scanner.feed(b"\x11") == (b"", True)


def test_feed_first_key_alone_is_passed_on_with_the_next() -> None:
    """Ctrl-P that is not followed by Ctrl-Q reaches the program."""
    scanner = DetachScanner(KEYS)
    assert scanner.feed(b"\x10") == (b"", False)
    assert scanner.feed(b"x") == (b"\x10x", False)


def test_feed_repeated_first_key_still_detaches() -> None:
    """Ctrl-P Ctrl-P Ctrl-Q: the second Ctrl-P begins the sequence."""
    assert DetachScanner(KEYS).feed(b"\x10\x10\x11") == (b"\x10", True)


def test_feed_without_keys_passes_everything() -> None:
    """No sequence, nothing to look for."""
    assert DetachScanner(b"").feed(b"\x10\x11") == (b"\x10\x11", False)


def test_end_gives_what_was_withheld() -> None:
    """The input ends behind half a sequence: it was ordinary input."""
    scanner = DetachScanner(KEYS)
    scanner.feed(b"\x10")
    assert scanner.end() == b"\x10"


@given(st.lists(st.text("ab", max_size=4), max_size=12), st.text("ab", min_size=1, max_size=4))
def test_feed_any_split_finds_the_first_occurrence(pieces: list[str], keys: str) -> None:
    """However the stream is cut, the result is that of the whole."""
    scanner = DetachScanner(keys.encode())
    passed, detached = b"", False
    for piece in pieces:
        text, detached = scanner.feed(piece.encode())
        passed += text
        if detached:
            break
    whole = "".join(pieces)
    at = whole.find(keys)
    assert detached == (at >= 0)
    assert passed + (b"" if detached else scanner.end()) == (whole[:at] if at >= 0 else whole).encode()
