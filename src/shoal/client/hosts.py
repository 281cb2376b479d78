"""Which engine the Python API talks to."""

from __future__ import annotations

import os

from shoal.client.transport import DEFAULT_HOST, TlsFiles, Transport, parse_host


def transport_from_environment(host: str | None) -> Transport:
    """The transport for `host`, else for DOCKER_HOST, else for this machine's shoald.

    TCP uses TLS where DOCKER_TLS_VERIFY is set, with ca.pem, cert.pem and key.pem in DOCKER_CERT_PATH (~/.docker).
    Raises: InvalidArgument, Unsupported for an address that is none.
    """
    tls = None
    if os.environ.get("DOCKER_TLS_VERIFY"):
        directory = os.environ.get("DOCKER_CERT_PATH") or os.path.expanduser("~/.docker")
        paths = {name: os.path.join(directory, f"{name}.pem") for name in ("ca", "cert", "key")}
        tls = TlsFiles(authority=paths["ca"], certificate=paths["cert"], key=paths["key"])
    return parse_host(host or os.environ.get("DOCKER_HOST") or DEFAULT_HOST, tls=tls)
