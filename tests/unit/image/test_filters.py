"""The filters of `docker images`."""

from __future__ import annotations

import pytest

from shoal.errors import InvalidArgument
from shoal.image.filters import ImageFilters, matches_reference, select
from shoal.image.image import Image, ImageId
from shoal.oci.digest import sha256_of
from shoal.oci.image_spec import ImageConfig, ImageDocument
from shoal.oci.reference import Reference


def image(name: str, created: int, *references: str, parent: Image | None = None, **labels: str) -> Image:
    """An image for the filters to look at."""
    return Image(
        id=ImageId(sha256_of(name.encode())),
        document=ImageDocument(),
        config=ImageConfig(labels=labels),
        chain_ids=(),
        size_bytes=0,
        created_ns=created,
        parent=parent.id if parent else None,
        references=tuple(Reference.parse(reference) for reference in references),
    )


OLD = image("old", 1, "busybox:1", "quay.io/me/app:2", kind="base")
MIDDLE = image("middle", 2, parent=OLD)
NEW = image("new", 3, "app:latest", parent=MIDDLE, kind="app", stage="x")
LOOSE = image("loose", 4)
ALL = [LOOSE, NEW, MIDDLE, OLD]


def chosen(lists: dict[str, list[str]], *, show_all: bool = False) -> list[Image]:
    """What the filters let through."""
    return select(
        ALL,
        ImageFilters.parse(lists),
        show_all=show_all,
        resolve={"old": OLD, "new": NEW}.__getitem__,
        has_children=lambda image: image in (OLD, MIDDLE),
    )


@pytest.mark.parametrize(
    ("lists", "expected"),
    [
        ({}, [LOOSE, NEW, OLD]),
        ({"dangling": ["true"]}, [LOOSE, MIDDLE]),
        ({"dangling": ["false"]}, [NEW, OLD]),
        ({"label": ["kind"]}, [NEW, OLD]),
        ({"label": ["kind=app"]}, [NEW]),
        ({"label": ["kind", "stage"]}, [NEW]),
        ({"label!": ["kind"]}, [LOOSE]),
        ({"before": ["new"]}, [OLD]),
        ({"since": ["old"]}, [LOOSE, NEW]),
    ],
)
def test_select_filters_as_docker_does(lists: dict[str, list[str]], expected: list[Image]) -> None:
    """Filters of different kinds and several values all have to be met."""
    assert chosen(lists) == expected


def test_select_intermediate_images_are_shown_only_on_demand() -> None:
    """A nameless image that another was made on top of shows with `-a` only."""
    assert MIDDLE not in chosen({})
    assert MIDDLE in chosen({}, show_all=True)


def test_select_reference_shows_matching_names_only() -> None:
    """Of an image with several names, those that match remain."""
    (found,) = chosen({"reference": ["quay.io/*/app"]})
    assert found.repo_tags == ["quay.io/me/app:2"]


@pytest.mark.parametrize(
    ("pattern", "text", "matches"),
    [
        ("busybox", "busybox:1", True),
        ("busy*", "busybox:1", True),
        ("busybox:*", "busybox:1", True),
        ("*", "me/app:1", False),
        ("*/*", "me/app:1", True),
        ("b[a-u]sybox", "busybox", True),
        ("b[^u]sybox", "busybox", False),
        ("busybo?:2", "busybox:1", False),
        ("a_\\b-c.d", "a_b-c.d", True),
        ("a.c", "abc", False),
        ("*a" * 100 + "b", "a" * 200, False),
    ],
)
def test_matches_reference_globs_like_gos_path_match(pattern: str, text: str, matches: bool) -> None:
    """A star stops at a slash, and the tag may be left out."""
    assert matches_reference(pattern, Reference.parse(text)) is matches


@pytest.mark.parametrize(
    ("lists", "sentence"),
    [
        ({"colour": ["red"]}, "invalid filter 'colour'"),
        ({"dangling": ["maybe"]}, "invalid filter 'dangling=[maybe]'"),
        ({"reference": ["a[b"]}, "syntax error in pattern"),
    ],
)
def test_parse_bad_filter_is_refused(lists: dict[str, list[str]], sentence: str) -> None:
    """An unknown filter or a malformed value is an invalid argument."""
    with pytest.raises(InvalidArgument) as caught:
        ImageFilters.parse(lists)
    assert caught.value.what == sentence
