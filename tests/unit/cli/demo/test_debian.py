"""Building Debian's root file system once, with a stand-in for mmdebstrap."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from shoal.cli.demo.debian import debian_root
from shoal.errors import Unavailable

# The last argument is the tar to write. Each run leaves a line in `runs`.
SCRIPT = """#!/bin/sh
for target; do :; done
echo run >> "$TMPDIR/runs"
echo "I: unpacking" >&2
{body}
"""


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    """A cache directory that does not exist yet."""
    return tmp_path / "cache"


def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, body: str) -> None:
    """Puts a stand-in for mmdebstrap in front of everything."""
    program = tmp_path / "bin" / "mmdebstrap"
    program.parent.mkdir(exist_ok=True)
    program.write_text(SCRIPT.format(body=body))
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")


def runs(cache: Path) -> int:
    """How often it ran."""
    path = cache / "runs"
    return len(path.read_text().splitlines()) if path.exists() else 0


def test_debian_root_is_built_once_and_kept(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second call finds it, with the same digest; progress is told on the way."""
    install(tmp_path, monkeypatch, 'printf content > "$target"')
    shown: list[str] = []
    first = debian_root(str(cache), shown.append)
    second = debian_root(str(cache), shown.append)
    assert runs(cache) == 1
    assert first.build_s is not None
    assert second.build_s is None
    assert first.diff_id == second.diff_id == f"sha256:{hashlib.sha256(b'content').hexdigest()}"
    assert Path(first.path).read_bytes() == b"content"
    assert "building debian:bookworm (once): unpacking" in shown


def test_debian_root_that_is_not_whole_is_built_again(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A tar of another size than noted is not trusted."""
    install(tmp_path, monkeypatch, 'printf content > "$target"')
    path = debian_root(str(cache), lambda _text: None).path
    with open(path, "ab") as file:
        file.write(b"more")
    assert debian_root(str(cache), lambda _text: None).size_bytes == len("content")
    assert runs(cache) == 2


def test_debian_root_failure_is_told_with_the_last_words(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The code, the reason, what to check, and no half tar."""
    install(tmp_path, monkeypatch, 'printf half > "$target"; echo "E: no mirror" >&2; exit 25')
    with pytest.raises(Unavailable, match=r"exit code 25\): E: no mirror") as caught:
        debian_root(str(cache), lambda _text: None)
    assert "mirror" in caught.value.fix
    assert not [name for name in os.listdir(cache) if "partial" in name or name.endswith(".tar")]


def test_debian_root_without_mmdebstrap_says_what_to_install(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program that is missing."""
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(Unavailable) as caught:
        debian_root(str(cache), lambda _text: None)
    assert caught.value.fix == "apt-get install -y mmdebstrap"


def test_debian_root_interrupted_ends_mmdebstrap(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It gets SIGINT, on which it cleans up, and is waited for."""
    body = """sleep 60 &
trap 'kill $!; echo cleaned >> "$TMPDIR/runs"; exit 1' INT
echo "I: waiting" >&2
wait"""
    install(tmp_path, monkeypatch, body)

    def interrupt(text: str) -> None:
        if "waiting" in text and "once" in text:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        debian_root(str(cache), interrupt)
    assert "cleaned" in (cache / "runs").read_text()


def test_debian_root_in_a_place_that_can_not_be_is_told(tmp_path: Path) -> None:
    """The flag that helps is named."""
    (tmp_path / "file").write_text("")
    with pytest.raises(Unavailable, match="can't use") as caught:
        debian_root(str(tmp_path / "file" / "cache"), lambda _text: None)
    assert "--cache-dir" in caught.value.fix
