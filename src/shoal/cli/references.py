"""Image names as the command line splits them; the engine decides whether they are valid. Pure."""

from __future__ import annotations


def split_tag(name: str) -> tuple[str, str]:
    """(repository, tag) of `repository[:tag]`; the tag is "" where there is none. A registry's port is no tag."""
    before, colon, after = name.rpartition(":")
    if not colon or "/" in after:
        return name, ""
    return before, after


def with_default_tag(name: str) -> str:
    """`name`, with `:latest` where it has neither tag nor digest."""
    if "@" in name or split_tag(name)[1]:
        return name
    return f"{name}:latest"
