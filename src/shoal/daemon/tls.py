"""How shoald proves who it is on TCP, and whom it lets in."""

from __future__ import annotations

import os
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from shoal.errors import InvalidArgument


@dataclass(frozen=True, slots=True)
class TlsSettings:
    """PEM files. `client_authority`: who signs the certificates of clients; None lets everybody in (--tls alone)."""

    certificate: Path
    key: Path
    client_authority: Path | None


def server_context(settings: TlsSettings) -> ssl.SSLContext:
    """TLS 1.2 or later with these files. Raises: InvalidArgument that names the file which can't be used."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    # No renegotiation, and no tickets: each connection shows its certificate anew.
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_TICKET
    _load(settings.certificate, lambda: context.load_cert_chain(settings.certificate, settings.key), settings.key)
    authority = settings.client_authority
    if authority is not None:
        _load(authority, lambda: context.load_verify_locations(authority))
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def _load(path: Path, load: Callable[[], None], *others: Path) -> None:
    missing = next((name for name in (path, *others) if not name.exists()), None)
    if missing is not None:
        raise InvalidArgument(
            f"cannot use TLS: {str(missing)!r} does not exist", fix="name the files by --tlscacert, --tlscert, --tlskey"
        )
    try:
        load()
    except ssl.SSLError as error:
        why = (error.reason or str(error)).replace("_", " ").lower()
        raise InvalidArgument(f"cannot use TLS with {str(path)!r}", why=why, fix="give PEM files") from None
    except OSError as error:
        raise InvalidArgument(f"cannot read {str(path)!r}", why=os.strerror(error.errno or 0)) from None
