"""The notation of -v, and the checks of --mount and --tmpfs."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoal.api.host_config import BindOptions, HostConfig, Mount, TmpfsOptions
from shoal.engine.specgen.binds import parse_bind, requested_mounts
from shoal.engine.specgen.requested import RequestedMount, tmpfs_options
from shoal.errors import InvalidArgument


def test_bind_of_two_parts_is_a_writable_recursive_private_bind() -> None:
    """`-v /a:/b` has Docker's defaults, and its source is made when missing."""
    assert parse_bind("/a:/b") == RequestedMount(
        kind="bind", source="/a", target="/b", read_only="no", propagation="rprivate", create_source=True
    )


@pytest.mark.parametrize(
    ("mode", "read_only", "propagation"),
    [
        ("ro", "recursive", "rprivate"),
        ("rw", "no", "rprivate"),
        ("ro,rshared", "recursive", "rshared"),
        ("rslave", "no", "rslave"),
        ("z", "no", "rprivate"),
        ("ro,Z,cached", "recursive", "rprivate"),
    ],
)
def test_bind_mode_words_are_understood(mode: str, read_only: str, propagation: str) -> None:
    """Access, propagation, label and consistency words may stand together."""
    mount = parse_bind(f"/a:/b:{mode}")
    assert (mount.read_only, mount.propagation, mount.mode) == (read_only, propagation, mode)


def test_bind_of_a_name_is_a_volume() -> None:
    """Without a slash the source is a volume's name."""
    mount = parse_bind("data:/b")
    assert (mount.kind, mount.source, mount.create_source) == ("volume", "data", False)


def test_bind_of_one_part_is_an_anonymous_volume() -> None:
    """`-v /data` asks for a volume without a name."""
    assert parse_bind("/data") == RequestedMount(kind="volume", source="", target="/data", propagation="")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "invalid volume specification: ''"),
        (":/b", "invalid volume specification: ':/b'"),
        ("/a:", "invalid volume specification: '/a:'"),
        ("/a:/b:ro:x", "invalid volume specification: '/a:/b:ro:x'"),
        ("/a:b", "invalid volume specification: '/a:b'"),
        ("/a:/", "invalid volume specification: '/a:/'"),
        ("/a:/b:bogus", "invalid mode: bogus"),
        ("/a:/b:ro,rw", "invalid mode: ro,rw"),
    ],
)
def test_bind_that_makes_no_sense_is_refused_in_dockers_words(text: str, sentence: str) -> None:
    """Each fault has its sentence, and is the client's fault."""
    with pytest.raises(InvalidArgument) as caught:
        parse_bind(text)
    assert caught.value.what == sentence


def test_requested_mounts_twice_at_one_place_are_refused() -> None:
    """Two mounts for one destination would hide each other, whichever way they were asked for."""
    host = HostConfig(binds=["/a:/x"], tmpfs={"/x/": ""})
    with pytest.raises(InvalidArgument) as caught:
        requested_mounts(host)
    assert caught.value.what == "Duplicate mount point: /x"


def test_requested_mounts_are_sorted_parents_first() -> None:
    """A mount on /a made after one on /a/b would hide it."""
    host = HostConfig(binds=["/1:/a/b/c", "/2:/a", "/3:/a/b"])
    assert [mount.target for mount in requested_mounts(host)] == ["/a", "/a/b", "/a/b/c"]


def test_requested_mounts_of_the_mount_flag_keep_their_options() -> None:
    """`--mount type=bind,…` is strict about its source and can leave lower mounts writable."""
    options = BindOptions(propagation="rslave", non_recursive=True, read_only_non_recursive=True)
    host = HostConfig(mounts=[Mount(type="bind", source="/a/", target="/b", read_only=True, bind_options=options)])
    assert requested_mounts(host) == (
        RequestedMount(kind="bind", source="/a", target="/b", read_only="mount", propagation="rslave", recursive=False),
    )


def test_requested_mounts_of_tmpfs_carry_size_and_mode() -> None:
    """`--mount type=tmpfs` becomes the same options as `--tmpfs`; the mode is written in octal."""
    host = HostConfig(
        mounts=[Mount(type="tmpfs", target="/t", tmpfs_options=TmpfsOptions(size_bytes=1024, mode=0o700))]
    )
    assert requested_mounts(host)[0].options == ("noexec", "nosuid", "nodev", "mode=700", "size=1024")


@pytest.mark.parametrize(
    ("mount", "why"),
    [
        (Mount(type="bind", source="/a"), "field Target must not be empty"),
        (Mount(type="bind", target="/b"), "field Source must not be empty"),
        (Mount(type="bind", source="/a", target="b"), "invalid mount path: 'b' mount path must be absolute"),
        (Mount(type="bind", source="a", target="/b"), "invalid mount path: 'a' mount path must be absolute"),
        (Mount(type="bind", source="/a", target="/"), "invalid specification: destination can't be '/'"),
        (Mount(type="tmpfs", source="/a", target="/b"), "field Source must not be specified"),
        (
            Mount(type="bind", source="/a", target="/b", bind_options=BindOptions(propagation="odd")),
            "invalid propagation mode: odd",
        ),
    ],
)
def test_requested_mount_with_a_bad_field_is_refused_with_its_type(mount: Mount, why: str) -> None:
    """The sentence begins as Docker's does and ends with the field."""
    with pytest.raises(InvalidArgument) as caught:
        requested_mounts(HostConfig(mounts=[mount]))
    assert caught.value.what == f'invalid mount config for type "{mount.type}": {why}'


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ("noexec", "nosuid", "nodev")),
        ("rw,size=64m,exec", ("exec", "nosuid", "nodev", "rw", "size=64m")),
        ("mode=1777,mode=700", ("noexec", "nosuid", "nodev", "mode=700")),
        ("ro,noatime", ("noexec", "nosuid", "nodev", "ro", "noatime")),
    ],
)
def test_tmpfs_options_later_words_win_over_the_defaults(text: str, expected: tuple[str, ...]) -> None:
    """A tmpfs is noexec, nosuid and nodev unless it is said otherwise."""
    assert tmpfs_options(text) == expected


@pytest.mark.parametrize("text", ["bogus", "size", "size=", "upperdir=/x"])
def test_tmpfs_options_unknown_word_is_refused(text: str) -> None:
    """An option that is no tmpfs option never reaches the kernel."""
    with pytest.raises(InvalidArgument, match=re.escape(f'invalid tmpfs option ["{text}"]')):
        tmpfs_options(text)


@given(text=st.text(alphabet="/ab:.,rowzZ \\\n", max_size=30))
def test_bind_of_any_text_is_read_or_refused(text: str) -> None:
    """Whatever a client sends: an absolute target below the root, or a sentence."""
    try:
        mount = parse_bind(text)
    except InvalidArgument:
        return
    assert mount.target.startswith("/")
    assert mount.target != "/"
    assert ".." not in mount.target.split("/")
    assert mount.kind == "volume" or mount.source.startswith("/")
