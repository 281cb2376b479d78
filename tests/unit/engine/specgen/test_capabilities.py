"""Which capabilities a container gets for --cap-add, --cap-drop and --privileged."""

from __future__ import annotations

import pytest

from shoal.engine.specgen.capabilities import (
    ALL_CAPABILITIES,
    DEFAULT_CAPABILITIES,
    capability_sets,
    container_capabilities,
    normalize_capabilities,
)
from shoal.errors import InvalidArgument


def held(added: list[str], dropped: list[str], *, privileged: bool = False) -> set[str]:
    return set(container_capabilities(added, dropped, ALL_CAPABILITIES, privileged=privileged))


def test_capabilities_without_options_are_dockers_fourteen() -> None:
    """A plain container holds exactly Docker's default set."""
    assert held([], []) == set(DEFAULT_CAPABILITIES)
    assert len(DEFAULT_CAPABILITIES) == 14


@pytest.mark.parametrize("name", ["net_admin", "NET_ADMIN", "CAP_NET_ADMIN", "cap_net_admin"])
def test_capabilities_added_in_any_spelling_are_held(name: str) -> None:
    """Case and the CAP_ prefix do not matter."""
    assert "CAP_NET_ADMIN" in held([name], [])


def test_capabilities_dropping_all_leaves_what_was_added() -> None:
    """`--cap-drop ALL --cap-add CHOWN` is a container with one capability."""
    assert held(["CHOWN"], ["ALL"]) == {"CAP_CHOWN"}


def test_capabilities_adding_all_leaves_out_what_was_dropped() -> None:
    """`--cap-add ALL --cap-drop MKNOD` is everything but one."""
    assert held(["all"], ["mknod"]) == set(ALL_CAPABILITIES) - {"CAP_MKNOD"}


def test_capabilities_of_privileged_are_all_available_ones() -> None:
    """Privileged wins over --cap-drop, and is bounded by what the machine has."""
    available = ALL_CAPABILITIES[:20]
    assert container_capabilities([], ["ALL"], available, privileged=True) == available


def test_capabilities_default_is_bounded_by_the_machine() -> None:
    """What shoald itself lacks is not promised."""
    available = tuple(name for name in ALL_CAPABILITIES if name != "CAP_MKNOD")
    assert "CAP_MKNOD" not in container_capabilities([], [], available, privileged=False)


@pytest.mark.parametrize(("field", "arguments"), [("CapAdd", (["foo"], [])), ("CapDrop", ([], ["foo"]))])
def test_capabilities_unknown_name_is_refused_in_dockers_words(
    field: str, arguments: tuple[list[str], list[str]]
) -> None:
    """The sentence names the field and the normalised name, as clients expect."""
    with pytest.raises(InvalidArgument) as caught:
        held(*arguments)
    assert caught.value.what == f'invalid {field}: unknown capability: "CAP_FOO"'


def test_capabilities_known_but_missing_here_are_refused() -> None:
    """A capability that this kernel does not have is another sentence than a typing error."""
    with pytest.raises(InvalidArgument, match="not supported by your kernel"):
        normalize_capabilities(["BPF"], ALL_CAPABILITIES[:10])


def test_capability_sets_leave_inheritable_and_ambient_empty() -> None:
    """Inheritable ones would let a program with inheritable file capabilities gain them (CVE-2022-24769)."""
    sets = capability_sets(("CAP_CHOWN",))
    assert sets.bounding == sets.effective == sets.permitted == ("CAP_CHOWN",)
    assert sets.inheritable == sets.ambient == ()
