"""The scopes of arguments, the ports of EXPOSE and the modes of --chmod."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shoal.build.dockerfile.arguments import (
    declared_arguments,
    global_arguments,
    platform_arguments,
    predefined_arguments,
    unconsumed,
)
from shoal.build.dockerfile.instructions import Arg
from shoal.build.dockerfile.modes import parse_mode
from shoal.build.dockerfile.parser import parse
from shoal.build.dockerfile.ports import exposed_ports
from shoal.errors import InvalidArgument
from shoal.oci.platform import Platform

PLATFORM = platform_arguments(Platform("linux", "amd64"), Platform("linux", "arm", "v7"))


def test_platform_arguments_are_those_of_the_reference() -> None:
    """Both platforms, whole and in their parts."""
    assert PLATFORM == {
        "BUILDPLATFORM": "linux/amd64",
        "BUILDOS": "linux",
        "BUILDARCH": "amd64",
        "BUILDVARIANT": "",
        "TARGETPLATFORM": "linux/arm/v7",
        "TARGETOS": "linux",
        "TARGETARCH": "arm",
        "TARGETVARIANT": "v7",
        "TARGETSTAGE": "default",
    }


def test_global_arguments_see_those_before_and_what_was_given() -> None:
    """A default may use what stands before it and the platform; a given value wins."""
    file = parse("ARG a=1 b=$a\nARG c=${b}-$TARGETARCH d\nARG b2=${given}\nARG given=default\nFROM x\n")
    values = global_arguments(file, {"given": "yes", "other": "no"}, PLATFORM)
    assert {name: values[name] for name in values if name not in PLATFORM} == {
        "a": "1",
        "b": "1",
        "c": "1-arm",
        "b2": "",
        "given": "yes",
    }


def test_declared_arguments_of_a_stage_take_what_counts() -> None:
    """Given before default before global; without any of them the name stays unset."""
    (arg,) = parse("FROM x\nARG a=1 b c d=$a$env e=$a\n").stages[0].instructions
    assert isinstance(arg, Arg)
    given = {"a": "given"}
    declared = declared_arguments(arg, given, {"a": "global", "b": "global"}, {"env": "!"})
    assert declared == {"a": "given", "b": "global", "d": "given!", "e": "given"}


def test_unconsumed_are_neither_declared_nor_predefined() -> None:
    """An argument that no ARG declares has no effect, and whoever gave it wants to know."""
    file = parse("ARG a\nFROM x\nARG b=1\n")
    given = {"a": "1", "b": "2", "z": "3", "c": "4", "http_proxy": "p"}
    assert unconsumed(file, given) == ["c", "z"]
    assert predefined_arguments(given) == {"http_proxy": "p"}


def test_exposed_ports_of_words_are_single_ports() -> None:
    """Ranges become their ports, the protocol is tcp without another, and each port is there once."""
    words = ["80", "8001-8003/tcp", "53/UDP", "80/tcp", "127.0.0.1:90:91", "9/sctp"]
    ports = ["9/sctp", "53/udp", "80/tcp", "91/tcp", "8001/tcp", "8002/tcp", "8003/tcp"]
    assert exposed_ports(words) == ports


@pytest.mark.parametrize(
    ("word", "sentence"),
    [
        ("http", "Invalid containerPort: http"),
        ("70000", "Invalid containerPort: 70000"),
        ("90-80", "Invalid containerPort: 90-80"),
        ("-1", "Invalid containerPort: -1"),
        ("80/icmp", "Invalid proto: icmp"),
        ("/tcp", "No port specified: /tcp<empty>"),
    ],
)
def test_exposed_ports_wrong_word_is_refused(word: str, sentence: str) -> None:
    """What is no port is told in Docker's words."""
    with pytest.raises(InvalidArgument) as refused:
        exposed_ports([word])
    assert str(refused.value) == sentence


@pytest.mark.parametrize("text", ["", "888", "77777", "u", "u+q", "rwx", "u=ug", "u+x;g+x", "0o7", "-1"])
def test_parse_mode_wrong_text_is_refused(text: str) -> None:
    """A mode is octal, or symbolic as chmod has it."""
    with pytest.raises(InvalidArgument, match="invalid chmod parameter"):
        parse_mode(text)


_CLAUSE = st.builds(
    "{}{}{}".format,
    st.text(alphabet="ugoa", min_size=1, max_size=3),
    st.sampled_from("+-="),
    st.one_of(st.text(alphabet="rwxXst", max_size=4), st.sampled_from("ugo")),
)
_MODE = st.one_of(st.integers(0, 0o7777).map("{:o}".format), st.lists(_CLAUSE, min_size=1, max_size=3).map(",".join))


@settings(max_examples=60)
@given(_MODE, st.integers(0, 0o7777))
def test_mode_of_a_file_is_what_chmod_makes(tmp_path_factory: pytest.TempPathFactory, text: str, before: int) -> None:
    """Whatever the mode is, chmod(1) leaves a file with the same bits."""
    path = Path(tmp_path_factory.mktemp("mode"), "file")
    path.touch()
    os.chmod(path, before)
    subprocess.run(["chmod", text, str(path)], check=True)
    assert parse_mode(text).applied_to(before, is_directory=False) == path.stat().st_mode & 0o7777


def test_mode_of_a_directory_has_its_own_x() -> None:
    """`X` is for directories, and for files that somebody may execute."""
    mode = parse_mode("a=rX,u+w")
    assert mode.applied_to(0o700, is_directory=True) == 0o755
    assert mode.applied_to(0o600, is_directory=False) == 0o644
    assert mode.applied_to(0o700, is_directory=False) == 0o755
