"""Which certificates are believed of a registry, and which one is shown to it: `certs.d/HOST[:PORT]/`.

*.crt are authorities beside the system's; NAME.cert with NAME.key is a client's certificate. Docker's
"Verify repository client with certificates".
"""

from __future__ import annotations

import ssl
from collections.abc import Sequence
from pathlib import Path

from shoal.errors import InvalidArgument


def tls_context(host: str, directories: Sequence[Path], *, verifies: bool) -> ssl.SSLContext:
    """The TLS settings for the registry at `host`. Raises: InvalidArgument for files that can't be used."""
    if verifies:
        context = ssl.create_default_context()
    else:  # the system's authorities, which take 30 ms to load, would not be asked
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if not host or host.startswith(".") or "/" in host:
        return context
    for directory in directories:
        for file in _files(directory / host):
            try:
                _take(context, file)
            except (OSError, ssl.SSLError) as error:
                raise InvalidArgument(f"cannot use {file}", why=str(error)) from None
    return context


def _files(directory: Path) -> list[Path]:
    try:
        return sorted(directory.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return []


def _take(context: ssl.SSLContext, file: Path) -> None:
    if file.suffix == ".crt":
        context.load_verify_locations(cafile=file)
    elif file.suffix == ".cert":
        key = file.with_suffix(".key")
        if not key.exists():
            raise InvalidArgument(f"missing key {key.name} for client certificate {file.name}")
        context.load_cert_chain(file, key)
    elif file.suffix == ".key" and not file.with_suffix(".cert").exists():
        raise InvalidArgument(f"missing client certificate {file.stem}.cert for key {file.name}")
