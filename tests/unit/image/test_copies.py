"""Paths and modes of copies: pure parts."""

from __future__ import annotations

import stat

import pytest

from shoal.image.copies.places import clean_path, go_mode


@pytest.mark.parametrize(
    ("path", "cleaned", "behind"),
    [
        ("/etc", "/etc", ""),
        ("etc/passwd", "/etc/passwd", ""),
        ("/etc/", "/etc", "/"),
        ("/etc/.", "/etc", "/."),
        (".", "/", "/."),
        ("..", "/", ""),
        ("//x//y", "/x/y", ""),
        ("/a/../../b", "/b", ""),
    ],
)
def test_clean_path_is_absolute_and_keeps_what_stands_behind(path: str, cleaned: str, behind: str) -> None:
    """Dots go lexically, never above the root; a slash or `/.` at the end is told apart."""
    assert clean_path(path) == (cleaned, behind)


@pytest.mark.parametrize(
    ("mode", "go"),
    [
        (stat.S_IFREG | 0o644, 0o644),
        (stat.S_IFDIR | 0o755, 2147484141),
        (stat.S_IFLNK | 0o777, 134218239),
        (stat.S_IFCHR | 0o666, 69206454),
        (stat.S_IFDIR | 0o1777, 2148532735),
        (stat.S_IFREG | 0o4755, 0o755 | 1 << 23),
    ],
)
def test_go_mode_is_what_dockers_clients_decode(mode: int, go: int) -> None:
    """The figures are Go's os.FileMode, as dockerd sends them."""
    assert go_mode(mode) == go
