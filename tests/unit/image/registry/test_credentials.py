"""X-Registry-Auth."""

from __future__ import annotations

import base64
import json

import pytest

from shoal.image.registry.credentials import Credentials, decode_credentials

SENT = {"username": "ann", "password": "p:w?>", "serveraddress": "x:5000", "identitytoken": "t"}


@pytest.mark.parametrize("strip", [False, True])
@pytest.mark.parametrize("encode", [base64.urlsafe_b64encode, base64.standard_b64encode])
def test_decode_credentials_takes_every_base64(encode: object, strip: bool) -> None:
    """Both alphabets, with and without padding."""
    assert callable(encode)
    text = encode(json.dumps(SENT).encode()).decode()
    got = decode_credentials(text.rstrip("=") if strip else text)
    assert got == Credentials("ann", "p:w?>", "t", "", "x:5000")
    assert got.basic == "Basic " + base64.b64encode(b"ann:p:w?>").decode()


@pytest.mark.parametrize("header", [None, "", "!!!", "e30=", "W10=", "bnVsbA==", "A" * 100_000])
def test_decode_credentials_of_what_is_none_is_nobody(header: str | None) -> None:
    """Clients send an empty object for nobody; what can't be read is nobody as well."""
    assert decode_credentials(header) == Credentials()


def test_decode_credentials_reads_the_pair_of_a_configuration_file() -> None:
    """`auth` holds name and password, as in ~/.docker/config.json."""
    auth = base64.b64encode(b"ann:secret").decode()
    header = base64.urlsafe_b64encode(json.dumps({"auth": auth}).encode()).decode()
    assert decode_credentials(header) == Credentials("ann", "secret")


def test_credentials_never_show_their_secrets() -> None:
    """What gets into a log by accident has the name alone."""
    assert repr(Credentials("ann", "pw", "it", "rt")) == "Credentials(username='ann', server_address='')"
