"""The filters of `docker images` and `docker image prune`. Source: Docker API v1.50 ImageList, ImagePrune."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from shoal.api.patterns import Pattern
from shoal.errors import InvalidArgument
from shoal.image.image import Image
from shoal.oci.reference import Reference

_KNOWN = frozenset({"dangling", "label", "label!", "before", "since", "reference", "until"})
_TRUE = frozenset({"1", "t", "T", "true", "TRUE", "True"})
_FALSE = frozenset({"0", "f", "F", "false", "FALSE", "False"})


@dataclass(frozen=True, slots=True)
class ImageFilters:
    """Which images to list; an image must meet all of them."""

    is_dangling: bool | None = None
    labels: tuple[str, ...] = ()
    without_labels: tuple[str, ...] = ()
    references: tuple[str, ...] = ()
    before: tuple[str, ...] = ()
    since: tuple[str, ...] = ()
    until_ns: int | None = None

    @classmethod
    def parse(cls, lists: Mapping[str, Sequence[str]], *, until_ns: int | None = None) -> ImageFilters:
        """The filters in the API's form `{"label": ["a=b"]}`; the caller has parsed `until`, whose forms are many.

        Raises: InvalidArgument `invalid filter 'x'`.
        """
        for name in lists:
            if name not in _KNOWN:
                raise InvalidArgument(f"invalid filter '{name}'")
        dangling = list(lists.get("dangling", ()))
        if any(value not in _TRUE | _FALSE for value in dangling) or len(set(dangling)) > 1:
            raise InvalidArgument(f"invalid filter 'dangling=[{' '.join(dangling)}]'")
        for pattern in lists.get("reference", ()):
            _glob(pattern)
        return cls(
            is_dangling=dangling[0] in _TRUE if dangling else None,
            labels=tuple(lists.get("label", ())),
            without_labels=tuple(lists.get("label!", ())),
            references=tuple(lists.get("reference", ())),
            before=tuple(lists.get("before", ())),
            since=tuple(lists.get("since", ())),
            until_ns=until_ns,
        )


def select(
    images: Sequence[Image],
    filters: ImageFilters,
    *,
    show_all: bool,
    resolve: Callable[[str], Image],
    has_children: Callable[[Image], bool],
) -> list[Image]:
    """Those of `images` that the filters let through, in their order; each shows the names that matched only.

    Without `show_all`, nameless images that others were made on top of are left out.
    Raises: what `resolve` raises, for `before` and `since`.
    """
    before_ns = min((resolve(text).created_ns for text in filters.before), default=None)
    since_ns = max((resolve(text).created_ns for text in filters.since), default=None)
    chosen = []
    for image in images:
        if before_ns is not None and image.created_ns >= before_ns:
            continue
        if since_ns is not None and image.created_ns <= since_ns:
            continue
        if filters.until_ns is not None and image.created_ns > filters.until_ns:
            continue
        if not _labels_match(image.config.labels or {}, filters):
            continue
        if filters.is_dangling is not None and filters.is_dangling is bool(image.references):
            continue
        if not image.references and not show_all and not filters.is_dangling and has_children(image):
            continue
        shown = _with_matching_names(image, filters.references)
        if shown is not None:
            chosen.append(shown)
    return chosen


def matches_reference(pattern: str, reference: Reference) -> bool:
    """Whether a shell pattern matches the familiar form of a reference, with or without its tag.

    Raises: InvalidArgument `syntax error in pattern`.
    """
    glob = _glob(pattern)
    return glob.is_all_of(reference.familiar()) or glob.is_all_of(reference.familiar_name)


def _with_matching_names(image: Image, patterns: Sequence[str]) -> Image | None:
    """The image with those of its names that match; None if there are patterns and none does."""
    if not patterns:
        return image
    names = tuple(ref for ref in image.references if any(matches_reference(pattern, ref) for pattern in patterns))
    if not names:
        return None
    return replace(image, references=names)


def _labels_match(labels: Mapping[str, str], filters: ImageFilters) -> bool:
    def has(wanted: str) -> bool:
        key, equals, value = wanted.partition("=")
        return key in labels and (not equals or labels[key] == value)

    return all(has(label) for label in filters.labels) and not any(has(label) for label in filters.without_labels)


def _glob(pattern: str) -> Pattern:
    """The pattern of Go's path.Match as a regular expression: `*` and `?` stop at a slash.

    Raises: InvalidArgument.
    """
    out = []
    position = 0
    while position < len(pattern):
        char = pattern[position]
        if char == "*":
            out.append("[^/]*")
        elif char == "?":
            out.append("[^/]")
        elif char == "[":
            end = pattern.find("]", position + 2)
            if end < 0:
                raise InvalidArgument("syntax error in pattern", why=f"`{pattern}`")
            inside = pattern[position + 1 : end].replace("\\", "\\\\").replace("[", "\\[")
            out.append(f"[{inside}]")
            position = end
        elif char == "\\" and position + 1 == len(pattern):
            raise InvalidArgument("syntax error in pattern", why=f"`{pattern}`")
        else:
            position += char == "\\"
            literal = pattern[position]
            out.append(literal if literal.isalnum() or literal == "_" or not literal.isascii() else f"\\{literal}")
        position += 1
    try:
        return Pattern("".join(out))
    except InvalidArgument:
        raise InvalidArgument("syntax error in pattern", why=f"`{pattern}`") from None
