"""What an image's databases say is in it, whatever is written in them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shoal.build.attesting import packages
from shoal.build.attesting.packages import packages_of
from shoal.image.layer_files import LayerFiles


def purls(root: Path) -> list[str]:
    """The addresses of the packages in a tree."""
    return [package.purl for package in packages_of(LayerFiles([str(root)]))]


def write(root: Path, name: str, text: str) -> None:
    """A file of the tree."""
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    (root / name).write_text(text)


DPKG = (
    "Package: libc6\nStatus: install ok installed\nArchitecture: amd64\nVersion: 2.36-9+deb12u4\nDescription: x\n y\n\n"
    "Package: gone\nStatus: deinstall ok config-files\nVersion: 1\n\n"
    "Package: g++\nStatus: install ok installed\nVersion: 4:12\n"
)


def test_packages_of_dpkg(tmp_path: Path) -> None:
    """Installed ones, with the distribution and the architecture; parts as images without dpkg have them, too."""
    write(tmp_path, "etc/os-release", 'NAME=x\nID="debian"\n')
    write(tmp_path, "var/lib/dpkg/status", DPKG)
    write(tmp_path, "var/lib/dpkg/status.d/tzdata", "Package: tzdata\nVersion: 2024a\nArchitecture: all\n")
    write(tmp_path, "var/lib/dpkg/status.d/tzdata.md5sums", "Package: no\nVersion: 1\n")
    assert purls(tmp_path) == [
        "pkg:deb/debian/g%2B%2B@4%3A12",
        "pkg:deb/debian/libc6@2.36-9%2Bdeb12u4?arch=amd64",
        "pkg:deb/debian/tzdata@2024a?arch=all",
    ]


def test_packages_of_apk_and_pip(tmp_path: Path) -> None:
    """apk's paragraphs, and what Python's installers leave wherever they put packages."""
    write(tmp_path, "etc/os-release", "ID=alpine\n")
    write(
        tmp_path, "lib/apk/db/installed", "C:Q1\nP:musl\nV:1.2.4-r1\nA:x86_64\nL:MIT\n\nP:busybox\nV:1.36\nA:x86_64\n"
    )
    write(
        tmp_path,
        "opt/v/lib/python3/site-packages/Zope.Event-5.dist-info/METADATA",
        "Name: Zope.Event\nVersion: 5.0\n\nText\n",
    )
    write(tmp_path, "usr/lib/python3/dist-packages/six.egg-info/PKG-INFO", "Name: six\nVersion: 1.16.0\nLicense: MIT\n")
    assert purls(tmp_path) == [
        "pkg:apk/alpine/busybox@1.36?arch=x86_64",
        "pkg:apk/alpine/musl@1.2.4-r1?arch=x86_64",
        "pkg:pypi/six@1.16.0",
        "pkg:pypi/zope-event@5.0",
    ]


def test_packages_are_not_read_through_links_that_lead_out(tmp_path: Path) -> None:
    """A database that is a link is looked for within the tree alone; a circle, a FIFO and a directory are none."""
    outside, root = tmp_path / "outside", tmp_path / "root"
    write(outside, "status", DPKG)
    (root / "var/lib/dpkg").mkdir(parents=True)
    (root / "var/lib/dpkg/status").symlink_to(outside / "status")
    (root / "lib/apk/db").mkdir(parents=True)
    (root / "lib/apk/db/installed").symlink_to("../../../../../../outside/status")
    (root / "etc").mkdir()
    (root / "etc/os-release").symlink_to("os-release")
    (root / "usr/lib/apk/db").mkdir(parents=True)
    os.mkfifo(root / "usr/lib/apk/db/installed")
    (root / "usr/lib/os-release").mkdir()
    (root / "a/site-packages/x.dist-info").mkdir(parents=True)
    (root / "a/site-packages/x.dist-info/METADATA").symlink_to("/proc/self/environ")
    assert purls(root) == []
    write(root, "elsewhere/status", DPKG)
    (root / "var/lib/dpkg/status").unlink()
    (root / "var/lib/dpkg/status").symlink_to("/elsewhere/status")
    assert len(purls(root)) == 2


@pytest.mark.parametrize("name", ["a b", "../x", "a\x00b", "a" * 500, "", "é"])
def test_packages_with_impossible_names_are_passed_over(tmp_path: Path, name: str) -> None:
    """Neither a name nor a version that no package has gets into a document."""
    write(tmp_path, "var/lib/dpkg/status", f"Package: {name}\nVersion: 1\n\nPackage: ok\nVersion: {name}\n")
    assert purls(tmp_path) == []


def test_packages_are_not_collected_without_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Past the limits nothing more is looked at."""
    monkeypatch.setattr(packages, "_PARTS_MAX", 2)
    for name in "abc":
        write(tmp_path, f"var/lib/dpkg/status.d/{name}", f"Package: {name}\nVersion: 1\n")
    write(tmp_path, "lib/apk/db/installed", "P:d\nV:1\n\nP:e\nV:1\n")
    assert [purl.rpartition("/")[2] for purl in purls(tmp_path)] == ["a@1", "b@1", "d@1", "e@1"]
    monkeypatch.setattr(packages, "_PACKAGES_MAX", 3)
    assert len(purls(tmp_path)) == 3


@settings(max_examples=60)
@given(st.binary(max_size=400))
def test_packages_of_any_bytes_end(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    """Whatever the databases hold, there is an answer."""
    root = tmp_path_factory.mktemp("any")
    for name in ("var/lib/dpkg/status", "lib/apk/db/installed", "a/site-packages/b.dist-info/METADATA"):
        (root / name).parent.mkdir(parents=True)
        (root / name).write_bytes(data)
    purls(root)
