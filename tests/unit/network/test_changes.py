"""shoal.network.firewall.changes: who made a transaction, read from the kernel's messages."""

from __future__ import annotations

import struct

from shoal.network.firewall.changes import changing_threads


def generation(thread: int | None) -> bytes:
    """NFT_MSG_NEWGEN with the attributes that the kernel sends."""
    attributes = struct.pack("HH", 8, 1) + struct.pack(">I", 7)
    if thread is not None:
        attributes += struct.pack("HH", 8, 2) + struct.pack(">I", thread)
    attributes += struct.pack("HH", 8, 3) + b"nft\0"
    return struct.pack("IHHII", 20 + len(attributes), (10 << 8) | 15, 0, 0, 0) + bytes(4) + attributes


def test_changing_threads_of_several_messages_are_the_generations_only() -> None:
    """Other messages of a transaction are passed over; a generation without a thread counts as foreign."""
    other = struct.pack("IHHII", 20, (10 << 8) | 12, 0, 0, 0) + bytes(4)
    assert changing_threads(other + generation(42) + other + generation(None)) == [42, 0]


def test_changing_threads_of_a_malformed_datagram_are_none() -> None:
    """A length that can't be ends the reading."""
    assert changing_threads(bytes(64)) == []
    assert changing_threads(b"") == []
