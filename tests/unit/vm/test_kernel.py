"""Kernels that were unpacked, and the modules that a boot needs."""

from __future__ import annotations

from pathlib import Path

import pytest

from shoal.errors import Unavailable
from shoal.runtime.vm.kernel import dependencies, kernel_in, module_files


def module(*needed: str) -> bytes:
    """A module's bytes, as far as its dependencies go."""
    return b"\x7fELF\0license=GPL\0depends=" + ",".join(needed).encode() + b"\0name=x\0"


def test_dependencies_of_a_module_are_what_it_names() -> None:
    """None, one and several are told apart."""
    assert dependencies(module()) == []
    assert dependencies(module("virtio")) == ["virtio"]
    assert dependencies(module("virtio_ring", "virtio")) == ["virtio_ring", "virtio"]
    assert dependencies(b"\x7fELF") == []


def test_module_files_put_each_behind_what_it_needs(tmp_path: Path) -> None:
    """The closure has every module once, in an order in which insmod takes them; names may have - or _."""
    deep = tmp_path / "kernel/drivers/virtio"
    deep.mkdir(parents=True)
    (deep / "virtio.ko").write_bytes(module())
    (deep / "virtio_ring.ko").write_bytes(module("virtio"))
    (deep / "virtio-blk.ko").write_bytes(module("virtio_ring", "virtio"))
    (deep / "unwanted.ko").write_bytes(module())
    order = [path.name for path in module_files(tmp_path, ["virtio_blk", "virtio", "built_in"])]
    assert order == ["virtio.ko", "virtio_ring.ko", "virtio-blk.ko"]


def test_kernel_in_names_release_and_modules(tmp_path: Path) -> None:
    """The release is read from the image's name; a directory without an image is an error with its mend."""
    with pytest.raises(Unavailable) as caught:
        kernel_in(tmp_path)
    assert caught.value.fix.startswith("dpkg-deb -x ")
    (tmp_path / "boot").mkdir()
    (tmp_path / "boot/vmlinuz-6.1.0-9-cloud-amd64").touch()
    kernel = kernel_in(tmp_path)
    assert kernel.release == "6.1.0-9-cloud-amd64"
    assert kernel.modules == tmp_path / "lib/modules/6.1.0-9-cloud-amd64"
