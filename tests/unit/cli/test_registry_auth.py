"""What a login keeps, and what is sent to a registry's engine afterwards."""

from __future__ import annotations

import base64
import json
import stat
from pathlib import Path

import pytest

from shoal.cli.registry_auth import HUB, RegistryAuth, server_of
from shoal.errors import Internal, InvalidArgument

HELPER = """#!/bin/sh
case $1 in
store) cat >"$(dirname "$0")/kept" ;;
get) cat "$(dirname "$0")/kept" ;;
erase) rm "$(dirname "$0")/kept" ;;
esac
"""


def sent(auth: RegistryAuth, image: str) -> dict[str, str]:
    """What the header says."""
    return dict(json.loads(base64.urlsafe_b64decode(auth.header(image))))


@pytest.mark.parametrize(
    ("image", "server"),
    [
        ("busybox", HUB),
        ("a/b:1", HUB),
        ("docker.io/a/b", HUB),
        ("quay.io/a", "quay.io"),
        ("localhost:5/a", "localhost:5"),
    ],
)
def test_server_of_an_image_is_its_registry(image: str, server: str) -> None:
    """As Docker keeps logins."""
    assert server_of(image) == server


def test_login_is_kept_beside_what_the_file_has(tmp_path: Path) -> None:
    """Name and password go where `docker` looks for them; other keys stay; only the user may read it."""
    file = tmp_path / "config.json"
    file.write_text('{"psFormat": "x", "auths": {"other": {"auth": "YTpi"}}}')
    auth = RegistryAuth(str(tmp_path))
    auth.keep("quay.io", "ann", "p:w", "")
    assert sent(auth, "quay.io/a") == {"username": "ann", "password": "p:w", "serveraddress": "quay.io"}
    assert sent(auth, "busybox") == {}
    kept = json.loads(file.read_text())
    assert (kept["psFormat"], sorted(kept["auths"])) == ("x", ["other", "quay.io"])
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert auth.forget("quay.io")
    assert not auth.forget("quay.io")
    assert sent(auth, "quay.io/a") == {}


def test_login_with_an_identity_token_keeps_no_password(tmp_path: Path) -> None:
    """The token takes the password's place."""
    auth = RegistryAuth(str(tmp_path))
    auth.keep(HUB, "ann", "secret", "token")
    assert sent(auth, "busybox") == {
        "username": "ann",
        "password": "",
        "serveraddress": HUB,
        "identitytoken": "token",
    }
    assert base64.b64encode(b"ann:secret").decode() not in (tmp_path / "config.json").read_text()


def test_login_with_a_helper_keeps_no_secret_in_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`credsStore` names the program that keeps secrets."""
    program = tmp_path / "docker-credential-test"
    program.write_text(HELPER)
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    file = tmp_path / "config.json"
    file.write_text('{"credsStore": "test"}')
    auth = RegistryAuth(str(tmp_path))
    auth.keep("quay.io", "ann", "secret", "")
    assert "secret" not in file.read_text()
    assert sent(auth, "quay.io/a") == {"username": "ann", "password": "secret", "serveraddress": "quay.io"}
    assert auth.forget("quay.io")
    assert sent(auth, "quay.io/a") == {}


def test_login_of_one_registry_may_have_a_helper_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`credHelpers` goes before `credsStore`, for its registry alone; a token is a token there too."""
    program = tmp_path / "docker-credential-one"
    program.write_text(HELPER)
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    file = tmp_path / "config.json"
    file.write_text('{"credHelpers": {"quay.io": "one"}, "credsStore": "not-installed"}')
    auth = RegistryAuth(str(tmp_path))
    auth.keep("quay.io", "ann", "", "identity")
    assert json.loads((tmp_path / "kept").read_text()) == {
        "ServerURL": "quay.io",
        "Username": "<token>",
        "Secret": "identity",
    }
    assert sent(auth, "quay.io/a") == {"identitytoken": "identity", "serveraddress": "quay.io"}
    assert sent(auth, "ghcr.io/a") == {}
    with pytest.raises(Internal) as caught:
        auth.keep("ghcr.io", "ann", "secret", "")
    assert "docker-credential-not-installed" in caught.value.what
    assert "secret" not in file.read_text()


def test_file_that_is_no_json_is_named(tmp_path: Path) -> None:
    """Not passed over: it would be written anew."""
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(InvalidArgument) as caught:
        RegistryAuth(str(tmp_path)).header("x")
    assert "config.json" in caught.value.what
