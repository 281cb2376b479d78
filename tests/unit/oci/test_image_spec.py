"""The image configuration document."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoal.errors import InvalidArgument
from shoal.oci.image_spec import ImageConfig, ImageDocument, decode_image, encode_image, rfc3339, unix_ns


def test_decode_image_nulls_and_unknown_fields_are_taken() -> None:
    """Null means absent, and fields that shoal doesn't know are no error: real images have both."""
    raw = (
        b'{"architecture":"amd64","os":"linux","config":{"Env":null,"Cmd":["sh"],"Domainname":"","Volumes":null},"x":1}'
    )
    document = decode_image(raw)
    assert document.config is not None
    assert (document.config.env, document.config.cmd, document.config.volumes) == (None, ["sh"], None)


def test_decode_image_wrong_type_names_the_field() -> None:
    """The error names the path of the field that has the wrong type."""
    with pytest.raises(InvalidArgument) as caught:
        decode_image(b'{"config":{"Env":5}}')
    assert "$.config.Env" in caught.value.why


def test_encode_image_same_document_same_bytes() -> None:
    """An image's id is the hash of these bytes, so that they must not depend on the order of making."""
    one = ImageDocument(os="linux", config=ImageConfig(labels={"b": "1", "a": "2"}))
    two = ImageDocument(config=ImageConfig(labels={"a": "2", "b": "1"}), os="linux")
    assert encode_image(one) == encode_image(two) == b'{"config":{"Labels":{"a":"2","b":"1"}},"os":"linux"}'


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1970-01-01T00:00:01Z", 10**9),
        ("1970-01-01T01:00:00.000000001+01:00", 1),
        ("2022-02-04T21:20:12.497794809Z", 1644009612497794809),
        (None, 0),
        ("yesterday", 0),
        ("2022-13-41T00:00:00Z", 0),
    ],
)
def test_unix_ns_reads_rfc3339(text: str | None, expected: int) -> None:
    """Times with fractions and offsets are read to the nanosecond; others count as none."""
    assert unix_ns(text) == expected


@given(st.integers(min_value=0, max_value=4 * 10**18))
def test_rfc3339_round_trip_keeps_nanoseconds(time_ns: int) -> None:
    """What is written is read back exactly."""
    assert unix_ns(rfc3339(time_ns)) == time_ns
