"""The documents against the tree: the module map, links, and no path of one developer's machine."""

from __future__ import annotations

import re

from tests.arch.module_map import mapped_modules, names_on_the_map
from tests.arch.source import ROOT, tracked_files

DOCUMENTS = ("README.md", "ARCHITECTURE.md", "CHANGELOG.md", "docs/python.md")
# Written so that this file does not contain what it looks for.
MACHINE_PATHS = re.compile(r"/[w]ork/|/[f]arm/|\.[l]ibrary|/home/(?!app\b)[a-z]+/")
LINK = re.compile(r"\]\((?!https?://|#)([^)#]+)(?:#[^)]*)?\)")


def test_architecture_module_map_is_the_tree() -> None:
    """ARCHITECTURE.md lists each module that exists and none that does not."""
    tree = {module.name for module in mapped_modules()}
    listed = names_on_the_map()
    assert listed == tree, f"run ./dev map: missing {sorted(tree - listed)}, gone {sorted(listed - tree)}"


def test_documents_link_to_files_that_exist() -> None:
    """No relative link in a document leads nowhere."""
    wrong = [
        f"{name}: {target}"
        for name in DOCUMENTS
        for target in LINK.findall((ROOT / name).read_text(encoding="utf-8"))
        if not (ROOT / target).exists()
    ]
    assert not wrong, f"dead links: {wrong}"


def test_files_name_no_path_of_a_developers_machine() -> None:
    """Nothing in the repository works on, or speaks of, one machine only."""
    wrong = []
    for path in tracked_files():
        text = path.read_text(encoding="utf-8", errors="replace")
        wrong += [f"{path.relative_to(ROOT)}: {match.group()}" for match in MACHINE_PATHS.finditer(text)]
    assert not wrong, "\n".join(wrong)


def test_changelog_has_the_present_version() -> None:
    """CHANGELOG.md speaks of the version that the package carries, or of what is not released yet."""
    from shoal import __version__

    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert f"## [{__version__}]" in text or "## [Unreleased]" in text
