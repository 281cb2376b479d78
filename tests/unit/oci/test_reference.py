"""References by Docker's rules."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoal.errors import InvalidArgument
from shoal.oci.digest import Digest
from shoal.oci.reference import Reference, could_be_id, parse_any

HEX = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


@pytest.mark.parametrize(
    ("text", "normalised", "familiar"),
    [
        ("busybox", "docker.io/library/busybox", "busybox"),
        ("busybox:1.36", "docker.io/library/busybox:1.36", "busybox:1.36"),
        ("library/busybox", "docker.io/library/busybox", "busybox"),
        ("docker.io/busybox", "docker.io/library/busybox", "busybox"),
        ("index.docker.io/library/busybox", "docker.io/library/busybox", "busybox"),
        ("docker.io/me/app", "docker.io/me/app", "me/app"),
        ("library/a/b", "docker.io/library/a/b", "library/a/b"),
        ("localhost/app", "localhost/app", "localhost/app"),
        ("localhost:5000/app:x", "localhost:5000/app:x", "localhost:5000/app:x"),
        ("registry:5000/a/b/c", "registry:5000/a/b/c", "registry:5000/a/b/c"),
        ("[::1]:5000/app", "[::1]:5000/app", "[::1]:5000/app"),
        ("quay.io/a_b/c__d/e---f", "quay.io/a_b/c__d/e---f", "quay.io/a_b/c__d/e---f"),
        (f"app@sha256:{HEX}", f"docker.io/library/app@sha256:{HEX}", f"app@sha256:{HEX}"),
        (f"app:t@sha256:{HEX}", f"docker.io/library/app:t@sha256:{HEX}", f"app:t@sha256:{HEX}"),
        ("Upper/app", "Upper/app", "Upper/app"),  # an upper-case first part is a host name
        ("test_com", "docker.io/library/test_com", "test_com"),
        ("a:5000", "docker.io/library/a:5000", "a:5000"),  # a tag, since no slash follows
    ],
)
def test_parse_valid_text_is_normalised_and_familiar(text: str, normalised: str, familiar: str) -> None:
    """A valid name gets the default registry, and is shown without it."""
    reference = Reference.parse(text)
    assert (reference.normalised(), reference.familiar()) == (normalised, familiar)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "invalid reference format"),
        (":tag", "invalid reference format"),
        ("-x", "invalid reference format"),
        ("a//b", "invalid reference format"),
        ("a/", "invalid reference format"),
        ("a:b:c", "invalid reference format"),
        ("a b", "invalid reference format"),
        ("a:" + "x" * 129, "invalid reference format"),
        ("a___b", "invalid reference format"),
        ("app\n", "invalid reference format"),
        ("https://example.com/app", "invalid reference format"),
        ("Foo", "invalid reference format: repository name (library/Foo) must be lowercase"),
        ("me/Foo:1", "invalid reference format: repository name (me/Foo) must be lowercase"),
        (HEX, f"invalid repository name ({HEX}): cannot specify 64-byte hexadecimal strings"),
        ("a/" * 127 + "abc", "repository name must not be more than 255 characters"),
    ],
)
def test_parse_invalid_text_has_dockers_sentence(text: str, sentence: str) -> None:
    """Each kind of bad name is refused with the words that Docker's clients print."""
    with pytest.raises(InvalidArgument) as caught:
        Reference.parse(text)
    assert str(caught.value) == sentence


def test_of_repository_joins_the_apis_two_parameters() -> None:
    """`repo` and `tag` make one reference; the tag parameter wins, and `latest` is the default."""
    assert Reference.of_repository("a").familiar() == "a:latest"
    assert Reference.of_repository("a:1").familiar() == "a:1"
    assert Reference.of_repository("a:1", "2").familiar() == "a:2"


def test_of_repository_digest_or_bad_tag_is_refused() -> None:
    """A digest is no name to give, and a tag must have the shape of one."""
    with pytest.raises(InvalidArgument, match="refusing to create a tag with a digest reference"):
        Reference.of_repository(f"a@sha256:{HEX}")
    with pytest.raises(InvalidArgument, match="invalid tag format"):
        Reference.of_repository("a", "b/c")


def test_parse_any_tells_ids_from_names() -> None:
    """64 digits, with or without `sha256:`, are an id; a short id may be a name as well."""
    assert parse_any(HEX) == Digest(f"sha256:{HEX}")
    assert parse_any(f"sha256:{HEX}") == Digest(f"sha256:{HEX}")
    assert isinstance(parse_any("e3b0c442"), Reference)
    assert could_be_id("e3b0c442")
    assert not could_be_id("busybox")


_component = st.from_regex(r"[a-z0-9]{1,8}((\.|_|__|-{1,3})[a-z0-9]{1,8}){0,2}", fullmatch=True)
_domain = st.sampled_from(["docker.io", "localhost", "localhost:5000", "quay.io", "r.example.com:443", "[2001:db8::1]"])
_tag = st.none() | st.from_regex(r"[a-zA-Z0-9_][a-zA-Z0-9_.-]{0,30}", fullmatch=True)
_digest = st.none() | st.from_regex(r"sha256:[0-9a-f]{64}", fullmatch=True).map(Digest)


@given(domain=_domain, parts=st.lists(_component, min_size=1, max_size=4), tag=_tag, digest=_digest)
def test_parse_of_its_own_output_is_the_same(
    domain: str, parts: list[str], tag: str | None, digest: Digest | None
) -> None:
    """Whatever is valid survives its spellings: normalised, and familiar where no path part looks like a host."""
    path = "/".join(["library", *parts] if domain == "docker.io" and len(parts) == 1 else parts)
    reference = Reference(domain, path, tag, digest)
    assert Reference.parse(reference.normalised()) == reference
    if domain != "docker.io" or not ("." in parts[0] or parts[0] == "localhost"):
        assert Reference.parse(reference.familiar()) == reference


@given(st.text(max_size=80))
def test_parse_any_text_gives_a_reference_or_invalid_argument(text: str) -> None:
    """No text makes the parser fail in another way, and what it takes is stable."""
    try:
        reference = Reference.parse(text)
    except InvalidArgument:
        return
    assert Reference.parse(reference.normalised()) == reference
