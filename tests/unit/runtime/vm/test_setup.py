"""Kernels for machines: where they come from, and which will not do."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from shoal.errors import InvalidArgument, ShoalError, Unavailable
from shoal.runtime.native.interpreter import this_interpreter
from shoal.runtime.vm.initramfs import PROGRAM, write_archive
from shoal.runtime.vm.machines import Machines
from shoal.runtime.vm.setup import set_up_kernel
from tests.unit.vm.test_initramfs import entries

RELEASE = "9.9.9-cloud"


def unpacked(place: Path, modules: tuple[str, ...] = ("virtio_pci", "virtio_console", "virtiofs")) -> Path:
    """A directory as a kernel's package makes it."""
    (place / "boot").mkdir(parents=True)
    (place / "boot" / f"vmlinuz-{RELEASE}").write_bytes(b"kernel")
    tree = place / "lib/modules" / RELEASE
    tree.mkdir(parents=True)
    for name in modules:
        (tree / f"{name}.ko").write_bytes(b"\0depends=\0")
    return place


def test_set_up_kernel_of_a_directory_is_the_one_that_is_used(tmp_path: Path) -> None:
    """It is not copied; another one takes its place in one step."""
    for name in ("one", "two"):
        set_up_kernel(tmp_path / "vm", str(unpacked(tmp_path / name)), lambda _text: None)
        assert machines(tmp_path / "vm").kernel().image.resolve() == tmp_path / name / "boot" / f"vmlinuz-{RELEASE}"


def test_set_up_kernel_without_virtiofs_is_refused_and_changes_nothing(tmp_path: Path) -> None:
    """A guest that sees no files is of no use, and the kernel before it goes on being used."""
    set_up_kernel(tmp_path / "vm", str(unpacked(tmp_path / "good")), lambda _text: None)
    lacking = unpacked(tmp_path / "bad", ("virtio_pci", "virtio_console"))
    with pytest.raises(Unavailable, match="virtiofs"):
        set_up_kernel(tmp_path / "vm", str(lacking), lambda _text: None)
    assert "good" in str(machines(tmp_path / "vm").kernel().image.resolve())


def test_set_up_kernel_takes_what_is_built_in(tmp_path: Path) -> None:
    """A kernel without modules has all that it needs."""
    place = unpacked(tmp_path / "kernel", ())
    built_in = (
        "kernel/fs/fuse/virtiofs.ko\nkernel/drivers/virtio/virtio_pci.ko\nkernel/drivers/char/virtio_console.ko\n"
    )
    (place / "lib/modules" / RELEASE / "modules.builtin").write_text(built_in)
    assert set_up_kernel(tmp_path / "vm", str(place), lambda _text: None).release == RELEASE


def machines(directory: Path) -> Machines:
    """The machines of a daemon that does nothing beside."""
    return Machines(directory, lambda work, _what: work.close())


@pytest.mark.parametrize("source", ["/nonexistent", "relative/path"])
def test_set_up_kernel_that_is_not_there_is_refused(tmp_path: Path, source: str) -> None:
    """The engine's directory is not the client's, so a path has to be a whole one."""
    with pytest.raises(InvalidArgument, match="no kernel at"):
        set_up_kernel(tmp_path / "vm", source, lambda _text: None)


def test_set_up_kernel_of_a_file_that_is_no_package_is_refused(tmp_path: Path) -> None:
    """Nothing is left of the attempt."""
    broken = tmp_path / "linux.deb"
    broken.write_bytes(b"no archive")
    with pytest.raises(ShoalError):
        set_up_kernel(tmp_path / "vm", str(broken), lambda _text: None)
    assert not (tmp_path / "vm" / "kernel").exists()


def test_machines_status_without_a_kernel_says_how_to_get_one(tmp_path: Path) -> None:
    """Whatever else is missing here."""
    kernel = next(one for one in machines(tmp_path).status().findings if one.name == "kernel")
    assert isinstance(kernel.found, Unavailable)
    assert kernel.found.fix == "shoal vm setup"


def test_write_archive_has_an_init_that_its_own_interpreter_runs(tmp_path: Path) -> None:
    """The interpreter, its loader and the guest's program are in it, each where it is looked for, and no source."""
    with (tmp_path / "archive").open("wb") as out:
        write_archive(out, this_interpreter(), [])
    found = entries((tmp_path / "archive").read_bytes())
    first_line = found["init"][1].splitlines()[0].decode()
    assert first_line == f"#!{this_interpreter()} -SIB"
    assert found[this_interpreter().lstrip("/")][0] & stat.S_IXUSR
    assert f"lib/shoal/{PROGRAM.replace('.', '/')}.pyc" in found
    assert any(name.endswith("encodings/__init__.pyc") for name in found)
    assert not any(name.endswith(".py") for name in found)
    listed = list(found)
    for name in listed:
        parent = name.rpartition("/")[0]
        assert not parent or listed.index(parent) < listed.index(name)
