"""Who the user is to registries: what `login` keeps in DIR/config.json or a credential helper, and what is sent along.

The file is Docker's own: what either command has logged in to serves both. Other keys of it are kept as they are.
"""

from __future__ import annotations

import base64
import json
import os
import subprocess

from shoal.errors import Internal, InvalidArgument

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

HUB = "https://index.docker.io/v1/"
_TOKEN_USER = "<token>"
_HELPER_TIMEOUT_S = 60


def server_of(image: str) -> str:
    """Under what the registry of an image's name is kept: its host, or Docker Hub's address."""
    first, slash, _ = image.partition("/")
    is_host = bool(slash) and ("." in first or ":" in first or first == "localhost")
    return first if is_host and first not in ("docker.io", "index.docker.io") else HUB


class RegistryAuth:
    """The credentials below `directory`."""

    def __init__(self, directory: str) -> None:
        self._path = os.path.join(directory, "config.json")

    def header(self, image: str) -> str:
        """The value of X-Registry-Auth for this image; nobody's if the user has not logged in there."""
        found = self._find(server_of(image))
        return base64.urlsafe_b64encode(json.dumps(found).encode()).decode()

    def every_header(self) -> str:
        """The value of X-Registry-Config: who the user is to each registry that the file names."""
        document = self._read()
        servers = {**_mapping(document, "auths"), **_mapping(document, "credHelpers")}
        found = {server: self._find(server) for server in servers}
        return base64.urlsafe_b64encode(json.dumps(found).encode()).decode()

    def keep(self, server: str, username: str, password: str, identity_token: str) -> None:
        """Keeps a login. Raises: Internal if it can't be written, or the helper fails."""
        document = self._read()
        helper = _helper_of(document, server)
        if helper:
            user, secret = (_TOKEN_USER, identity_token) if identity_token else (username, password)
            _ask(helper, "store", json.dumps({"ServerURL": server, "Username": user, "Secret": secret}))
            entry: dict[str, str] = {}
        else:
            entry = {"auth": base64.b64encode(f"{username}:{'' if identity_token else password}".encode()).decode()}
            entry |= {"identitytoken": identity_token} if identity_token else {}
        document["auths"] = {**_mapping(document, "auths"), server: entry}
        self._write(document)

    def forget(self, server: str) -> bool:
        """Forgets a login; whether there was one. Raises: Internal."""
        document = self._read()
        helper = _helper_of(document, server)
        known = _mapping(document, "auths")
        if server not in known:
            return False
        if helper:
            _ask(helper, "erase", server)
        document["auths"] = {name: entry for name, entry in known.items() if name != server}
        self._write(document)
        return True

    def _find(self, server: str) -> dict[str, str]:
        document = self._read()
        helper = _helper_of(document, server)
        if helper:
            return _from_helper(helper, server)
        entry = _mapping(document, "auths").get(server)
        if not isinstance(entry, dict):
            return {}
        try:
            user, _, password = base64.b64decode(str(entry.get("auth", ""))).decode().partition(":")
        except ValueError:
            return {}
        found = {"username": user, "password": password, "serveraddress": server}
        return found | {"identitytoken": str(entry["identitytoken"])} if entry.get("identitytoken") else found

    def _read(self) -> dict[str, Any]:
        try:
            with open(self._path, "rb") as file:
                document = json.load(file)
        except FileNotFoundError:
            return {}
        except (OSError, ValueError) as error:
            raise InvalidArgument(f"cannot read {self._path}", why=str(error)) from None
        return document if isinstance(document, dict) else {}

    def _write(self, document: Mapping[str, Any]) -> None:
        """Replaces the file, which only the user may read."""
        temporary = f"{self._path}.{os.getpid()}"
        try:
            os.makedirs(os.path.dirname(self._path), mode=0o700, exist_ok=True)
            fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
            with open(fd, "w", encoding="utf-8") as file:
                file.write(json.dumps(document, indent="\t"))
            os.rename(temporary, os.path.realpath(self._path))
        except OSError as error:
            raise Internal(f"cannot write {self._path}", why=error.strerror or "") from None


def _mapping(document: Mapping[str, Any], key: str) -> dict[str, Any]:
    value = document.get(key)
    return value if isinstance(value, dict) else {}


def _helper_of(document: Mapping[str, Any], server: str) -> str:
    """The credential helper for this server, "" for none."""
    name = _mapping(document, "credHelpers").get(server) or document.get("credsStore") or ""
    return name if isinstance(name, str) and "/" not in name else ""


def _from_helper(helper: str, server: str) -> dict[str, str]:
    try:
        got = json.loads(_ask(helper, "get", server))
    except (Internal, ValueError):
        return {}  # nobody: that is what a helper's failure means to `docker` as well
    user, secret = str(got.get("Username", "")), str(got.get("Secret", ""))
    if user == _TOKEN_USER:
        return {"identitytoken": secret, "serveraddress": server}
    return {"username": user, "password": secret, "serveraddress": server}


def _ask(helper: str, verb: str, text: str) -> str:
    """What `docker-credential-HELPER VERB` answers. Raises: Internal."""
    program = f"docker-credential-{helper}"
    try:
        done = subprocess.run(
            [program, verb], input=text, capture_output=True, text=True, timeout=_HELPER_TIMEOUT_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Internal(f"cannot run {program}", why=str(error)) from None
    if done.returncode:
        raise Internal(f"{program} {verb} failed", why=done.stdout.strip()[:200])
    return done.stdout
