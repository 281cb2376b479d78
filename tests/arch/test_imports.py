"""Who may import whom: rooms point down only, siblings never meet, a third-party library has one door."""

from __future__ import annotations

from collections import defaultdict

from tests.arch.rooms import LEVELS, NARROW
from tests.arch.source import Import, imports, is_third_party, room_of, source_modules

# Whoever turns JSON into types at an edge does it with msgspec.
MSGSPEC_ROOMS = {"api", "oci", "engine", "client", "daemon", "logs", "oci_runtime"}
# The two ends of HTTP never import each other, so each has its own door to the protocol's library.
TWO_DOORS = {"h11": {"client", "server"}}


def shoal_imports() -> list[Import]:
    """Every import of one part of shoal by another.

    What `shoal` itself names for type checkers is left out: it is the face of the API, which loads nothing of it.
    """
    found = (entry for module in source_modules() for entry in imports(module))
    ours = (entry for entry in found if entry.target.partition(".")[0] == "shoal")
    return [entry for entry in ours if entry.importer.room or not entry.for_typing]


def test_rooms_every_package_has_a_level() -> None:
    """A new top-level package must be given its place in the order before it can be used."""
    unknown = {module.room for module in source_modules()} - LEVELS.keys()
    assert not unknown, f"give these rooms a level in tests/arch/rooms.py: {sorted(unknown)}"


def test_imports_between_rooms_point_strictly_down() -> None:
    """No part of shoal imports a part of its own level or above."""
    wrong = [
        str(entry)
        for entry in shoal_imports()
        if entry.importer.room != room_of(entry.target) and LEVELS[room_of(entry.target)] >= LEVELS[entry.importer.room]
    ]
    assert not wrong, "imports that do not point down:\n" + "\n".join(wrong)


def test_imports_of_narrow_rooms_stay_in_their_reach() -> None:
    """The supervisor knows only linux, the command line only the client, and the pure rooms nothing."""
    wrong = [
        str(entry)
        for entry in shoal_imports()
        if (reach := NARROW.get(entry.importer.room)) is not None
        and room_of(entry.target) not in reach | {entry.importer.room, "errors", ""}
    ]
    assert not wrong, "imports out of a room's reach:\n" + "\n".join(wrong)


def test_imports_of_third_party_libraries_have_one_door() -> None:
    """Each third-party library is imported by one module, so that replacing it touches one file."""
    doors: dict[str, set[str]] = defaultdict(set)
    for module in source_modules():
        for entry in imports(module):
            top = entry.target.partition(".")[0]
            if is_third_party(entry.target) and not (top == "msgspec" and module.room in MSGSPEC_ROOMS):
                doors[top].add(module.relative)
    wrong = {
        library: sorted(files) for library, files in doors.items() if len(files) > len(TWO_DOORS.get(library, {0}))
    }
    assert not wrong, f"libraries with more than one importer: {wrong}"
