"""Contexts: names for engines. The store is Docker's own, so that both commands know the same ones.

    DIR/contexts/meta/SHA256(name)/meta.json          name, description, address
    DIR/contexts/tls/SHA256(name)/docker/*.pem        its certificates: ca.pem, cert.pem, key.pem
    DIR/shoal-context                                 which one `shoal context use` chose

DIR is --config, else DOCKER_CONFIG, else ~/.docker. Docker keeps its own choice in DIR/config.json, which is neither
read nor changed here: what `docker context use` chose need not have a shoald behind it.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field

from shoal.cli.endpoint import CURRENT_FILE, DEFAULT_CONTEXT
from shoal.client.document import Document, Json, parse_document
from shoal.client.transport import TlsFiles
from shoal.errors import Conflict, Forbidden, InvalidArgument, NotFound, ShoalError

_NAME = r"[a-zA-Z0-9][a-zA-Z0-9_.+-]+"
_ENDPOINT = "docker"
TLS_FILES = ("ca.pem", "cert.pem", "key.pem")
_MOST_FILE_BYTES = 1 << 20


@dataclass(slots=True)
class StoredContext:
    """One context. `tls` has the certificates by file name; `tls_directory` is where they are, "" for none."""

    name: str
    description: str = ""
    host: str = ""
    skip_verify: bool = False
    tls: Mapping[str, bytes] = field(default_factory=dict)
    tls_directory: str = ""
    meta_directory: str = ""

    def tls_files(self) -> TlsFiles | None:
        """How its engine is to be spoken to; None for no TLS."""
        if not self.tls and not self.skip_verify:
            return None

        def path(name: str) -> str:
            return os.path.join(self.tls_directory, _ENDPOINT, name) if name in self.tls else ""

        return TlsFiles(
            authority=path("ca.pem"), certificate=path("cert.pem"), key=path("key.pem"), verify=not self.skip_verify
        )

    def metadata(self) -> dict[str, Json]:
        """What meta.json says."""
        described: dict[str, Json] = {"Description": self.description} if self.description else {}
        endpoint: dict[str, Json] = {"Host": self.host, "SkipTLSVerify": self.skip_verify}
        return {"Name": self.name, "Metadata": described, "Endpoints": {_ENDPOINT: endpoint}}


def check_name(name: str) -> None:
    """Raises: InvalidArgument in Docker's words for a name that can't be a context's."""
    if name == DEFAULT_CONTEXT:
        raise InvalidArgument('context name "default" is reserved', fix="choose another name")
    if not re.fullmatch(_NAME, name):
        raise InvalidArgument(
            f'context name "{name}" is invalid, names are validated against regexp "^{_NAME}$"',
            fix="use letters, digits and _ . + -, two at least",
        )


class ContextStore:
    """The contexts below one directory."""

    def __init__(self, directory: str) -> None:
        self._directory = directory

    def _place(self, kind: str, name: str = "") -> str:
        digest = hashlib.sha256(name.encode()).hexdigest() if name else ""
        return os.path.join(self._directory, "contexts", kind, digest)

    def names(self) -> list[str]:
        """The names of all contexts but `default`, in order."""
        try:
            entries = os.listdir(self._place("meta"))
        except OSError:
            return []
        found = []
        for entry in entries:
            try:
                found.append(_read_meta(os.path.join(self._place("meta"), entry)).text("Name"))
            except (OSError, ShoalError):
                continue  # half written, or no context at all
        return sorted(name for name in found if name)

    def get(self, name: str) -> StoredContext:
        """One context. Raises: NotFound, Internal for a file that is no JSON."""
        directory = self._place("meta", name)
        try:
            meta = _read_meta(directory)
        except OSError as error:
            raise NotFound(f'context "{name}": context not found', why=_why(error), fix="shoal context ls") from None
        tls_directory = self._place("tls", name)
        return StoredContext(
            name=meta.text("Name") or name,
            description=meta.text("Metadata", "Description"),
            host=meta.text("Endpoints", _ENDPOINT, "Host"),
            skip_verify=meta.flag("Endpoints", _ENDPOINT, "SkipTLSVerify"),
            tls=_read_tls(os.path.join(tls_directory, _ENDPOINT)),
            tls_directory=tls_directory,
            meta_directory=directory,
        )

    def exists(self, name: str) -> bool:
        """Whether there is one of that name."""
        return os.path.exists(os.path.join(self._place("meta", name), "meta.json"))

    def add(self, stored: StoredContext) -> None:
        """Keeps a new one. Raises: Conflict, InvalidArgument, Forbidden."""
        check_name(stored.name)
        if self.exists(stored.name):
            raise Conflict(f'context "{stored.name}" already exists', fix=f"shoal context rm {stored.name}")
        self.put(stored)

    def put(self, stored: StoredContext) -> None:
        """Keeps it, in place of one of the same name. The address comes last: without it there is no context."""
        tls_directory = self._place("tls", stored.name)
        try:
            shutil.rmtree(tls_directory, ignore_errors=True)
            for name, content in stored.tls.items():
                _write(os.path.join(tls_directory, _ENDPOINT, name), content)
            meta = json.dumps(stored.metadata(), separators=(",", ":")).encode()
            _write(os.path.join(self._place("meta", stored.name), "meta.json"), meta)
        except OSError as error:
            raise Forbidden(f'could not write the context "{stored.name}"', why=_why(error)) from None

    def remove(self, name: str) -> None:
        """Forgets it. Raises: NotFound."""
        self.get(name)
        for kind in ("meta", "tls"):
            shutil.rmtree(self._place(kind, name), ignore_errors=True)

    def choose(self, name: str) -> None:
        """Writes down that `name` is the one to use; "" for none. Raises: NotFound, Forbidden."""
        path = os.path.join(self._directory, CURRENT_FILE)
        try:
            if name:
                self.get(name)
                _write(path, f"{name}\n".encode())
            elif os.path.exists(path):
                os.unlink(path)
        except OSError as error:
            raise Forbidden(f"could not write {path}", why=_why(error)) from None


def _read_meta(directory: str) -> Document:
    with open(os.path.join(directory, "meta.json"), "rb") as file:
        return parse_document(file.read(_MOST_FILE_BYTES), f"{directory}/meta.json")


def _read_tls(directory: str) -> dict[str, bytes]:
    found = {}
    for name in TLS_FILES:
        try:
            with open(os.path.join(directory, name), "rb") as file:
                found[name] = file.read(_MOST_FILE_BYTES)
        except OSError:
            continue  # the ordinary case: not every context has every file
    return found


def _write(path: str, content: bytes) -> None:
    """The whole file or none, and for its owner only: it may be a key."""
    os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=os.path.dirname(path), delete=False) as file:
        try:
            file.write(content)
            file.flush()
            os.replace(file.name, path)
        except BaseException:
            os.unlink(file.name)
            raise


def _why(error: OSError) -> str:
    return f"{error.filename}: {error.strerror}" if error.filename else error.strerror or str(error)
