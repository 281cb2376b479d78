"""`--change`: Dockerfile instructions on an image's configuration."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoal.errors import InvalidArgument
from shoal.image.changes import apply_changes
from shoal.image.words import expand, parse_json_words, split_pairs
from shoal.oci.image_spec import Healthcheck, ImageConfig

EMPTY = ImageConfig()
S = 10**9


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        (['CMD ["sh", "-c", "x"]'], ImageConfig(cmd=["sh", "-c", "x"])),
        (["cmd echo $HOME"], ImageConfig(cmd=["/bin/sh", "-c", "echo $HOME"])),
        (['ENTRYPOINT ["/init"]'], ImageConfig(entrypoint=["/init"])),
        (["ENTRYPOINT run it"], ImageConfig(entrypoint=["/bin/sh", "-c", "run it"])),
        (['ENV A=1 B=\'x y\' C="q\\"r"'], ImageConfig(env=["A=1", "B=x y", 'C=q"r'])),
        (["ENV A b c  d"], ImageConfig(env=["A=b c  d"])),
        (["ENV A=1", "ENV A=2 B=$A"], ImageConfig(env=["A=2", "B=1"])),
        (["ENV A=1", "ENV B=${A}x C=${N:-d} D=${A:+set}"], ImageConfig(env=["A=1", "B=1x", "C=d", "D=set"])),
        (["EXPOSE 80 53/udp"], ImageConfig(exposed_ports={"80/tcp": {}, "53/udp": {}})),
        (["EXPOSE 8000-8002/TCP"], ImageConfig(exposed_ports={"8000/tcp": {}, "8001/tcp": {}, "8002/tcp": {}})),
        (['LABEL a=b "c d"="e f"'], ImageConfig(labels={"a": "b", "c d": "e f"})),
        (["LABEL a b c"], ImageConfig(labels={"a": "b c"})),
        (["USER me:us"], ImageConfig(user="me:us")),
        (["WORKDIR /a", "WORKDIR b/../c"], ImageConfig(working_dir="/a/c")),
        (["VOLUME /a /b"], ImageConfig(volumes={"/a": {}, "/b": {}})),
        (['VOLUME ["/a b"]'], ImageConfig(volumes={"/a b": {}})),
        (["STOPSIGNAL SIGQUIT"], ImageConfig(stop_signal="SIGQUIT")),
        (["STOPSIGNAL 9"], ImageConfig(stop_signal="9")),
        (["STOPSIGNAL RTMIN+3"], ImageConfig(stop_signal="RTMIN+3")),
        (["ONBUILD RUN make"], ImageConfig(on_build=["RUN make"])),
        (["HEALTHCHECK NONE"], ImageConfig(healthcheck=Healthcheck(test=["NONE"]))),
        (
            ["HEALTHCHECK --interval=1m30s --timeout=2.5s --retries=3 CMD curl -f x"],
            ImageConfig(
                healthcheck=Healthcheck(test=["CMD-SHELL", "curl -f x"], interval=90 * S, timeout=5 * S // 2, retries=3)
            ),
        ),
        (['HEALTHCHECK CMD ["a", "b"]'], ImageConfig(healthcheck=Healthcheck(test=["CMD", "a", "b"]))),
        (["USER a\nCMD b \\\n  c", "# comment"], ImageConfig(user="a", cmd=["/bin/sh", "-c", "b   c"])),
    ],
)
def test_apply_changes_instruction_changes_the_configuration(changes: list[str], expected: ImageConfig) -> None:
    """Each instruction, in each of its forms, sets its field as `docker build` would."""
    assert apply_changes(EMPTY, changes) == expected


def test_apply_changes_entrypoint_drops_inherited_cmd() -> None:
    """A new entry point drops the base's arguments, but not those set along with it."""
    base = ImageConfig(cmd=["old"])
    assert apply_changes(base, ['ENTRYPOINT ["e"]']).cmd is None
    assert apply_changes(base, ['CMD ["new"]', 'ENTRYPOINT ["e"]']).cmd == ["new"]


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ("RUN make", "RUN is not a valid change command"),
        ("nonsense", "nonsense is not a valid change command"),
        ("ENV", "ENV requires at least one argument"),
        ("ENV A", "ENV must have two arguments"),
        ("ENV A=1 B", 'Syntax error - can\'t find = in "B". Must be of the form: name=value'),
        ("ENV =1", "ENV names can not be blank"),
        ("LABEL A", "LABEL must have two arguments"),
        ("EXPOSE", "EXPOSE requires at least one argument"),
        ("EXPOSE http", "invalid containerPort: http"),
        ("EXPOSE 70000", "invalid containerPort: 70000"),
        ("EXPOSE 80/icmp", "invalid proto: icmp"),
        ("USER", "USER requires exactly one argument"),
        ("WORKDIR", "WORKDIR requires exactly one argument"),
        ("VOLUME", "VOLUME requires at least one argument"),
        ('VOLUME ["/a", 5]', "when using JSON array syntax, arrays must be comprised of strings only"),
        ("STOPSIGNAL SIGNOPE", "invalid signal: SIGNOPE"),
        ("ONBUILD", "ONBUILD requires at least one argument"),
        ("ONBUILD ONBUILD RUN x", "Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed"),
        ("ONBUILD FROM x", "FROM isn't allowed as an ONBUILD trigger"),
        ("HEALTHCHECK", "HEALTHCHECK requires at least one argument"),
        ("HEALTHCHECK NONE x", "HEALTHCHECK NONE takes no arguments"),
        ("HEALTHCHECK CMD", "Missing command after HEALTHCHECK CMD"),
        ("HEALTHCHECK curl", 'Unknown type "CURL" in HEALTHCHECK (try CMD)'),
        ("HEALTHCHECK --retries=-1 CMD x", "--retries cannot be negative (-1)"),
        ("HEALTHCHECK --interval=1us CMD x", 'Interval "interval" cannot be less than 1ms'),
        ("HEALTHCHECK --interval=soon CMD x", 'time: invalid duration "soon"'),
        ("ENV A='open", "unexpected end of statement while looking for matching single-quote"),
    ],
)
def test_apply_changes_bad_instruction_has_dockers_sentence(change: str, sentence: str) -> None:
    """Each mistake is refused with the Dockerfile parser's words."""
    with pytest.raises(InvalidArgument) as caught:
        apply_changes(EMPTY, [change])
    assert caught.value.what == sentence


@given(st.text(max_size=60))
def test_apply_changes_any_text_gives_a_config_or_invalid_argument(text: str) -> None:
    """No text makes the parser fail in another way."""
    for prefix in ("", "ENV ", "LABEL ", "HEALTHCHECK ", "EXPOSE ", "CMD ", "VOLUME ", "WORKDIR "):
        try:
            apply_changes(EMPTY, [prefix + text])
        except InvalidArgument:
            pass


@given(st.lists(st.text(st.characters(codec="ascii", exclude_characters="'\"\\$"), min_size=1).filter(str.split)))
def test_split_pairs_quoted_words_stay_whole(words: list[str]) -> None:
    """A quoted word is one word, whatever blanks it holds, and expansion takes the quotes off."""
    quoted = [f"'{word}'" for word in words]
    assert split_pairs(" ".join(quoted)) == quoted
    assert [expand(word, {}) for word in quoted] == words


def test_parse_json_words_nested_too_deep_is_no_json_form() -> None:
    """Nothing but brackets is taken for a shell command, as other text is."""
    assert parse_json_words("[" * 200_000) is None
