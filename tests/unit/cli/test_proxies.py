"""Proxies that the user's configuration names for containers."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from shoal.cli.proxies import proxy_variables
from shoal.errors import InvalidArgument
from tests.unit.cli.invocation import shoal
from tests.unit.client.scripted import answer

PROXIES = {
    "default": {"httpProxy": "http://p:1", "noProxy": "a,b", "httpsProxy": "", "ftpProxy": 7, "other": "x"},
    "tcp://far:2376": {"allProxy": "http://far:1"},
}


def test_proxy_variables_are_given_in_both_spellings(tmp_path: Path) -> None:
    """Those of the engine's address, else the default ones; what the user gave stays."""
    (tmp_path / "config.json").write_text(json.dumps({"proxies": PROXIES}))
    assert proxy_variables(str(tmp_path), "unix:///x", []) == [
        "HTTP_PROXY=http://p:1",
        "http_proxy=http://p:1",
        "NO_PROXY=a,b",
        "no_proxy=a,b",
    ]
    given = ["http_proxy=mine", "NO_PROXY"]
    assert proxy_variables(str(tmp_path), "unix:///x", given) == ["HTTP_PROXY=http://p:1", "no_proxy=a,b"]
    assert proxy_variables(str(tmp_path), "tcp://far:2376", []) == ["ALL_PROXY=http://far:1", "all_proxy=http://far:1"]


@pytest.mark.parametrize("text", ["{}", '{"auths": {}}', '{"proxies": []}', '{"proxies": {"default": "x"}}', "[]"])
def test_proxy_variables_of_a_file_without_proxies_are_none(tmp_path: Path, text: str) -> None:
    """No file, no key, or something else under it."""
    assert proxy_variables(str(tmp_path), "x", []) == []
    (tmp_path / "config.json").write_text(text)
    assert proxy_variables(str(tmp_path), "x", []) == []


def test_proxy_variables_of_a_broken_file_are_an_error(tmp_path: Path) -> None:
    """The sentence names the file."""
    (tmp_path / "config.json").write_text('{"proxies": ')
    with pytest.raises(InvalidArgument) as caught:
        proxy_variables(str(tmp_path), "x", [])
    assert str(tmp_path) in caught.value.what


def test_create_sends_the_proxies_along(tmp_path: Path) -> None:
    """They come behind the user's own variables."""
    (tmp_path / "config.json").write_text(json.dumps({"proxies": PROXIES}))
    created = answer(201, {"Id": "c0ffee", "Warnings": []})
    outcome = shoal(
        "--config", str(tmp_path), "create", "-e", "A=b", "-e", "http_proxy=mine", "busybox", scripts=[[created]]
    )
    assert (outcome.code, outcome.stdout) == (0, "c0ffee\n")
    assert json.loads(outcome.received[0].body)["Env"] == [
        "A=b",
        "http_proxy=mine",
        "HTTP_PROXY=http://p:1",
        "NO_PROXY=a,b",
        "no_proxy=a,b",
    ]
