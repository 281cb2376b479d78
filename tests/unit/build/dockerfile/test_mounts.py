"""The mounts of a RUN."""

from __future__ import annotations

import pytest

from shoal.build.dockerfile.expansion import expand
from shoal.build.dockerfile.mounts import Mount, mount_from, parse_mount
from shoal.errors import InvalidArgument


@pytest.mark.parametrize(
    ("word", "mount"),
    [
        ("target=/x", Mount("bind", "/x", "/", readonly=True)),
        ("type=bind,dst=/x,src=a,from=base,rw", Mount("bind", "/x", "a", "base")),
        ("type=bind,target=/x,readonly=false", Mount("bind", "/x", "/")),
        ("type=cache,target=/c", Mount("cache", "/c", id="/c", mode=0o755)),
        (
            "type=cache,target=/c,id=n,sharing=locked,mode=0700,uid=1,gid=2,from=b,source=s,ro",
            Mount("cache", "/c", "s", "b", True, sharing="locked", id="n", mode=0o700, uid=1, gid=2),
        ),
        ("type=tmpfs,target=/t,size=64m", Mount("tmpfs", "/t", size_bytes=64 << 20)),
        ("type=secret,id=s", Mount("secret", "/run/secrets/s", id="s", mode=0o400)),
        ("type=secret,id=s,required,target=/k", Mount("secret", "/k", id="s", required=True, mode=0o400)),
        ("type=secret,target=/d/k", Mount("secret", "/d/k", id="k", mode=0o400)),
        ("type=secret,id=s,env=TOKEN", Mount("secret", "", id="s", env="TOKEN", mode=0o400)),
        ("type=secret,id=s,env=TOKEN,target=/k", Mount("secret", "/k", id="s", env="TOKEN", mode=0o400)),
        ("type=ssh", Mount("ssh", id="default", mode=0o600)),
        ("type=ssh,id=k,target=/s,required=true", Mount("ssh", "/s", id="k", required=True, mode=0o600)),
        ('type=bind,"target=/a,b"', Mount("bind", "/a,b", "/", readonly=True)),
        ("type=cache,target=$dir,uid=${uid:-7}", Mount("cache", "/v", id="/v", mode=0o755, uid=7)),
    ],
)
def test_parse_mount_fills_in_what_each_type_has(word: str, mount: Mount) -> None:
    """All keys, their short forms and the defaults."""
    assert parse_mount(word, lambda value: expand(value, {"dir": "/v"})) == mount


@pytest.mark.parametrize(
    ("word", "sentence"),
    [
        ("type=cach,target=/x", 'unsupported mount type "cach"'),
        ("type=bind", "bind mount requires a target"),
        ("type=cache", "cache mount requires a target"),
        ("type=tmpfs", "tmpfs mount requires a target"),
        ("type=secret", "invalid secret mount. one of source, target required"),
        ("target=/x,colour=red", "unexpected key 'colour' in 'colour=red'"),
        ("target", "invalid field 'target' must be a key=value pair"),
        ("type=bind,target=/x,size=1", "size is not allowed for bind mounts"),
        ("type=bind,target=/x,sharing=locked", "sharing is not allowed for bind mounts"),
        ("type=tmpfs,target=/x,from=a", "from is not allowed for tmpfs mounts"),
        ("type=cache,target=/x,sharing=mine", 'unsupported sharing value "mine"'),
        ("type=cache,target=/x,mode=9", "invalid value 9 for mode"),
        ("type=cache,target=/x,uid=-1", "invalid value -1 for uid"),
        ("type=tmpfs,target=/x,size=big", "invalid value for size: big: invalid size: 'big'"),
        ("type=bind,target=/x,ro=perhaps", "invalid value for readonly: perhaps"),
        ("target=/x,from=$base", "'$base' doesn't support variable expansion, define alias stage instead"),
        ('"target=/x', "failed to parse csv mounts: unexpected end of data"),
    ],
)
def test_parse_mount_wrong_word_is_refused(word: str, sentence: str) -> None:
    """Every rule of a mount has its sentence."""
    with pytest.raises(InvalidArgument) as refused:
        parse_mount(word, lambda value: value)
    assert str(refused.value) == sentence


def test_mount_from_is_known_before_variables_are() -> None:
    """The graph of stages needs no environment; what has a variable is looked at later."""
    assert mount_from("type=$kind,target=$dir,from=base") == "base"
    assert mount_from("type=cache,target=/x") == ""
