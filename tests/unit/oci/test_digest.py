"""Digests and chainIDs."""

from __future__ import annotations

import pytest

from shoal.errors import InvalidArgument
from shoal.oci.digest import Digest, algorithm_of, chain_ids_of, hex_of, parse_digest, sha256_of, short_id

HEX = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


def test_parse_digest_well_formed_returns_it() -> None:
    """A sha256 digest is taken apart into algorithm, digits and short id."""
    digest = parse_digest(f"sha256:{HEX}")
    assert (algorithm_of(digest), hex_of(digest), short_id(digest)) == ("sha256", HEX, "e3b0c44298fc")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("sha256", "invalid checksum digest format"),
        (f"sha256:{HEX[:-1]}", "invalid checksum digest length"),
        (f"sha256:{HEX[:-1]}G", "invalid checksum digest format"),
        (f"md5:{HEX}", "unsupported digest algorithm"),
        (f"sha256:../{HEX[3:]}", "invalid checksum digest format"),
    ],
)
def test_parse_digest_malformed_says_how(text: str, sentence: str) -> None:
    """Each kind of malformed digest has the go-digest library's sentence."""
    with pytest.raises(InvalidArgument) as caught:
        parse_digest(text)
    assert caught.value.what == sentence


def test_sha256_of_nothing_is_the_known_one() -> None:
    """The digest of no bytes is the well-known constant."""
    assert sha256_of(b"") == f"sha256:{HEX}"


def test_chain_ids_of_follows_the_specification() -> None:
    """The first chainID is the diffID, each further one hashes `PARENT DIFFID`."""
    first, second = sha256_of(b"a"), sha256_of(b"b")
    assert chain_ids_of([]) == ()
    assert chain_ids_of([first, second]) == (first, sha256_of(f"{first} {second}".encode()))
    assert chain_ids_of([Digest(first)]) == (first,)
