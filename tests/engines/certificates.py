"""A certificate authority of the test's own, and what it signs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import trustme


@dataclass(frozen=True)
class Certificates:
    """PEM files of one authority: for an engine on 127.0.0.1, for a client that it knows, and for a stranger."""

    authority: Path
    engine: Path
    engine_key: Path
    client: Path
    stranger: Path


def make_certificates(directory: Path) -> Certificates:
    """Certificates below `directory`. `client` and `stranger` are directories as DOCKER_CERT_PATH names them."""
    known, unknown = trustme.CA(), trustme.CA()
    authority, engine, key = directory / "ca.pem", directory / "engine.pem", directory / "engine-key.pem"
    known.cert_pem.write_to_path(str(authority))
    issued = known.issue_cert("127.0.0.1", "localhost")
    issued.private_key_pem.write_to_path(str(key))
    issued.cert_chain_pems[0].write_to_path(str(engine))
    for name, signer in (("client", known), ("stranger", unknown)):
        place = directory / name
        place.mkdir()
        known.cert_pem.write_to_path(str(place / "ca.pem"))
        own = signer.issue_cert("client@example.org", common_name="client")
        own.private_key_pem.write_to_path(str(place / "key.pem"))
        own.cert_chain_pems[0].write_to_path(str(place / "cert.pem"))
    return Certificates(authority, engine, key, directory / "client", directory / "stranger")
