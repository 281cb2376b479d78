"""Images: import with changes, load and save, tag, rmi, history, list and inspect."""

from __future__ import annotations

import hashlib
import io
import json
import re
import tarfile
from pathlib import Path

import pytest

from tests.conformance.differences import sentence
from tests.engines import busybox
from tests.engines.engine import Engine

pytestmark = pytest.mark.usefixtures("cli")


def small_tar(name: str = "hello", data: bytes = b"hi\n") -> bytes:
    """A tar of one file."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        entry = tarfile.TarInfo(name)
        entry.size = len(data)
        archive.addfile(entry, io.BytesIO(data))
    return buffer.getvalue()


def import_tar(engine: Engine, data: bytes, *args: str) -> str:
    """The id that `docker import - ...` prints."""
    done = engine.docker_bytes("import", *args[:-1], "-", args[-1], input=data)
    assert done.returncode == 0, done.stderr
    return done.stdout.decode().strip()


def config(engine: Engine, image: str) -> dict[str, object]:
    """The Config object of an image."""
    return dict(json.loads(engine.ok("image", "inspect", "-f", "{{json .Config}}", image)))


def test_import_makes_an_image_of_one_layer(images: Engine) -> None:
    """The id is printed, the tag is there, the message is in the history, and it runs nothing by itself."""
    identifier = import_tar(images, small_tar(), "-m", "from a tar", "made:1")
    assert re.fullmatch(r"sha256:[0-9a-f]{64}", identifier)
    assert images.ok("images", "-q", "--no-trunc", "made:1") == identifier
    assert "from a tar" in images.ok("history", "--no-trunc", "--format", "{{.Comment}}", "made:1")
    got = json.loads(images.ok("image", "inspect", "made:1"))[0]
    assert (got["Os"], got["RepoTags"]) == ("linux", ["made:1"])
    assert got["RootFS"]["Layers"] == ["sha256:" + hashlib.sha256(small_tar()).hexdigest()]
    done = images.docker("run", "--rm", "made:1")
    assert done.returncode == 125
    assert "no command specified" in done.stderr.lower()


def test_import_changes_set_the_configuration(images: Engine) -> None:
    """--change takes the Dockerfile's instructions that say something of the configuration."""
    changes = [
        'CMD ["sh", "-c", "echo $A $PWD $(id -u)"]',
        "ENV A=1 B=two",
        "WORKDIR /tmp",
        "USER app",
        "EXPOSE 80/tcp 53/udp",
    ]
    changes += ["LABEL a=b", "VOLUME /data", 'ENTRYPOINT ["/bin/env"]']
    arguments = [part for change in changes for part in ("-c", change)]
    import_tar(images, busybox.root_filesystem(), *arguments, "changed")
    got = config(images, "changed")
    assert got["Cmd"] == ["sh", "-c", "echo $A $PWD $(id -u)"]
    assert {"A=1", "B=two"} <= set(got["Env"])  # type: ignore[call-overload]
    assert (got["WorkingDir"], got["User"], got["Entrypoint"]) == ("/tmp", "app", ["/bin/env"])
    assert (got["ExposedPorts"], got["Volumes"], got["Labels"]) == (
        {"80/tcp": {}, "53/udp": {}},
        {"/data": {}},
        {"a": "b"},
    )
    assert images.ok("run", "--rm", "changed") == "1 /tmp 1000"


def test_import_change_that_is_none_is_refused(images: Engine) -> None:
    """An instruction that runs something, or none at all, is refused and no image is made."""
    before = images.ok("images", "-aq")
    done = images.docker_bytes("import", "-c", "RUN true", "-", "x:y", input=small_tar())
    assert done.returncode == 1
    assert b"run is not a valid change command" in done.stderr.lower()
    assert images.docker_bytes("import", "-", "UPPER", input=small_tar()).returncode == 1
    assert images.ok("images", "-aq") == before


def test_import_of_no_tar_is_refused(images: Engine) -> None:
    """Bytes that are no archive."""
    before = images.ok("images", "-aq")
    done = images.docker_bytes("import", "-", "x:y", input=b"this is no archive" * 100)
    assert done.returncode == 1
    assert images.ok("images", "-aq") == before


def test_import_accepts_compressed_tars(images: Engine) -> None:
    """gzip, bzip2 and xz are recognised by their first bytes, and the layer's digest is of what is inside."""
    for kind in ("gz", "bz2", "xz"):
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode=f"w:{kind}") as archive:  # type: ignore[call-overload]
            archive.addfile(tarfile.TarInfo(f"file-{kind}"))
        import_tar(images, buffer.getvalue(), f"packed:{kind}")
    assert len(images.ok("images", "-q", "packed").split()) == 3


def test_import_keeps_what_a_tar_can_hold(images: Engine) -> None:
    """Modes, owners, links, times, devices, long names and extended attributes."""
    buffer = io.BytesIO()
    long = "/".join(["directory-with-a-long-name"] * 6) + "/file"
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        archive.addfile(_entry("bin", tarfile.DIRTYPE, 0o755))
        binary = _entry("bin/busybox", tarfile.REGTYPE, 0o755)
        data = busybox.BUSYBOX.read_bytes()
        binary.size = len(data)
        archive.addfile(binary, io.BytesIO(data))
        setuid = _entry("odd", tarfile.REGTYPE, 0o4751)
        setuid.uid, setuid.gid, setuid.mtime = 12, 34, 1_000_000_000
        setuid.pax_headers = {"SCHILY.xattr.user.note": "kept"}
        archive.addfile(setuid)
        hard = _entry("hard", tarfile.LNKTYPE, 0o4751, "odd")
        hard.uid, hard.gid, hard.mtime = 12, 34, 1_000_000_000
        archive.addfile(hard)
        archive.addfile(_entry("soft", tarfile.SYMTYPE, 0o777, "../odd"))
        archive.addfile(_entry("pipe", tarfile.FIFOTYPE, 0o600))
        device = _entry("null", tarfile.CHRTYPE, 0o666)
        device.devmajor, device.devminor = 1, 3
        archive.addfile(device)
        archive.addfile(_entry(long, tarfile.REGTYPE, 0o644))
    import_tar(images, buffer.getvalue(), "odd:1")
    script = f"/bin/busybox stat -c '%n %a %u %g %F %h' odd hard soft pipe null {long}; /bin/busybox stat -c %Y odd"
    out = images.ok("run", "--rm", "odd:1", "/bin/busybox", "sh", "-c", script).splitlines()
    assert out[0] == "odd 4751 12 34 regular empty file 2"
    assert out[1].split(" ", 1)[1] == out[0].split(" ", 1)[1]
    assert out[2].startswith("soft 777")
    assert out[3].startswith("pipe 600 0 0 fifo")
    assert out[4].startswith("null 666 0 0 character special file")
    assert out[5].startswith(f"{long} 644")
    assert out[6] == "1000000000"


def _entry(name: str, kind: bytes, mode: int, link: str = "") -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.type, entry.mode, entry.linkname = kind, mode, link
    return entry


def test_save_and_load_round_trip(images: Engine, tmp_path: Path) -> None:
    """What was saved, removed and loaded has the same id, tags, configuration and files."""
    import_tar(images, busybox.root_filesystem(), "-c", "ENV KEPT=yes", "kept:one")
    images.ok("tag", "kept:one", "kept:two")
    before = json.loads(images.ok("image", "inspect", "kept:one"))[0]
    images.ok("save", "-o", str(tmp_path / "kept.tar"), "kept:one", "kept:two")
    images.ok("rmi", "kept:one", "kept:two")
    assert images.ok("images", "-q", "kept") == ""
    said = images.ok("load", "-i", str(tmp_path / "kept.tar"))
    assert set(said.splitlines()) == {"Loaded image: kept:one", "Loaded image: kept:two"}
    after = json.loads(images.ok("image", "inspect", "kept:two"))[0]
    for key in ("Id", "Config", "RootFS", "Created", "Architecture"):
        assert before[key] == after[key]
    assert images.ok("run", "--rm", "kept:one", "sh", "-c", "echo $KEPT") == "yes"


def test_save_writes_an_archive_that_others_read(images: Engine, tmp_path: Path) -> None:
    """manifest.json names configuration and layers, and each layer's digest is right."""
    images.ok("save", "-o", str(tmp_path / "image.tar"), busybox.IMAGE)
    with tarfile.open(tmp_path / "image.tar") as archive:
        manifest = json.load(archive.extractfile("manifest.json") or io.BytesIO())[0]
        described = json.load(archive.extractfile(manifest["Config"]) or io.BytesIO())
        assert manifest["RepoTags"] == ["busybox:latest"]
        for name, diff_id in zip(manifest["Layers"], described["rootfs"]["diff_ids"], strict=True):
            member = archive.getmember(name)
            while member.issym():
                member = archive.getmember(str(Path(name).parent / member.linkname).replace("../", "", 1))
            layer = archive.extractfile(member)
            assert layer is not None
            assert "sha256:" + hashlib.sha256(layer.read()).hexdigest() == diff_id


def test_save_to_stdout_and_load_from_stdin(images: Engine) -> None:
    """Pipes instead of files; load -q says the least."""
    data = images.docker_bytes("save", busybox.IMAGE).stdout
    done = images.docker_bytes("load", "-q", input=data)
    assert done.returncode == 0
    assert done.stdout == b"Loaded image: busybox:latest\n"


def test_save_of_an_unknown_image_is_refused(images: Engine) -> None:
    """No such image, by name."""
    done = images.docker_bytes("save", "no-such:1")
    assert done.returncode == 1
    assert re.search(sentence(images, "save-unknown"), done.stderr.decode())


def test_load_of_what_is_no_image_is_refused(images: Engine) -> None:
    """A tar without a manifest, no tar at all, and a tar cut short."""
    assert images.docker_bytes("load", input=small_tar()).returncode == 1
    assert images.docker_bytes("load", input=b"no tar" * 1000).returncode == 1
    whole = images.docker_bytes("save", busybox.IMAGE).stdout
    images.ok("rmi", "-f", busybox.IMAGE)
    assert images.docker_bytes("load", input=whole[: len(whole) // 2]).returncode == 1
    assert images.ok("images", "-aq") == ""


def test_load_of_a_layer_with_a_wrong_digest_is_refused(images: Engine) -> None:
    """A layer that is not what the configuration says of it."""
    whole = images.docker_bytes("save", busybox.IMAGE).stdout
    images.ok("rmi", "-f", busybox.IMAGE)
    done = images.docker_bytes("load", input=whole.replace(b"not a program\n", b"not a PROGRAM\n"))
    assert done.returncode == 1
    assert images.ok("images", "-aq") == ""


def test_tag_gives_another_name(images: Engine) -> None:
    """tag makes a name for the same id; a bad one is refused."""
    images.ok("tag", "busybox", "registry.example.org:5000/team/busy:v1")
    listed = images.ok("images", "--format", "{{.Repository}}:{{.Tag}}")
    assert "registry.example.org:5000/team/busy:v1" in listed.splitlines()
    assert images.docker("tag", "busybox", "UPPER").returncode == 1
    done = images.docker("tag", "no-such", "x:y")
    assert done.returncode == 1
    assert "No such image: no-such:latest" in done.stderr


def test_tag_moves_from_one_image_to_another(images: Engine) -> None:
    """A name given anew leaves the old image without one: dangling."""
    first = import_tar(images, small_tar(), "moving")
    second = import_tar(images, small_tar("other"), "moving")
    assert images.ok("images", "-q", "--no-trunc", "moving") == second
    assert images.ok("images", "-q", "--no-trunc", "--filter", "dangling=true") == first
    assert "<none>" in images.ok("images", "--filter", "dangling=true")


def test_rmi_untags_and_deletes(images: Engine) -> None:
    """Removing one of two names only untags; removing the last deletes, and says so."""
    identifier = import_tar(images, small_tar(), "gone:1")
    images.ok("tag", "gone:1", "gone:2")
    assert images.ok("rmi", "gone:1") == "Untagged: gone:1"
    lines = images.ok("rmi", "gone:2").splitlines()
    assert lines[0] == "Untagged: gone:2"
    assert f"Deleted: {identifier}" in lines
    done = images.docker("rmi", "gone:2")
    assert done.returncode == 1
    assert "No such image: gone:2" in done.stderr


def test_rmi_of_an_image_in_use_is_a_conflict(images: Engine) -> None:
    """A container's image stays: untagged with -f when the container is stopped, not at all while it runs."""
    import_tar(images, busybox.root_filesystem(), "-c", "ENV USED=1", "used:1")
    identifier = images.ok("create", "--name", "user", "used:1", "true")
    err = images.docker("rmi", "used:1").stderr
    expected = (
        f'conflict: unable to remove repository reference "used:1" (must force) - container {identifier[:12]} is using'
    )
    assert expected in err
    running = images.ok("run", "-d", "used:1", "sleep", "1000")
    image = images.ok("images", "-q", "used:1")
    err = images.docker("rmi", "-f", image).stderr
    assert f"(cannot be forced) - image is being used by running container {running[:12]}" in err
    images.remove_containers()
    images.ok("rmi", "used:1")


def test_rmi_by_id_of_an_image_with_two_names_is_a_conflict(images: Engine) -> None:
    """An id that several repositories name needs -f."""
    identifier = import_tar(images, small_tar(), "first:1")
    images.ok("tag", "first:1", "second:1")
    err = images.docker("rmi", identifier).stderr
    assert "(must be forced) - image is referenced in multiple repositories" in err
    images.ok("rmi", "-f", identifier)
    assert images.ok("images", "-q", "first") == ""


def test_images_lists_and_filters(images: Engine) -> None:
    """By reference, label, before, since; newest first."""
    import_tar(images, small_tar("a"), "-c", "LABEL kind=one", "aa:1")
    import_tar(images, small_tar("b"), "-c", "LABEL kind=two", "bb:1")

    def names(*arguments: str) -> list[str]:
        return images.ok("images", "--format", "{{.Repository}}", *arguments).split()

    assert set(names()) == {"busybox", "aa", "bb"}
    assert names("--filter", "label=kind=one") == ["aa"]
    assert names("--filter", "reference=b*:1") == ["bb"]
    assert "bb" not in names("--filter", "before=bb:1")
    assert names("--filter", "since=aa:1") == ["bb"]
    assert names("aa") == ["aa"]
    assert images.docker("images", "--filter", "nonsense=1").returncode == 1


def test_image_inspect_by_id_prefix_name_and_digest(images: Engine) -> None:
    """All ways to say which."""
    identifier = images.ok("images", "-q", "--no-trunc", "busybox")
    for name in (identifier, identifier.removeprefix("sha256:")[:12], "busybox", "docker.io/library/busybox:latest"):
        assert images.ok("image", "inspect", "-f", "{{.Id}}", name) == identifier
    done = images.docker("image", "inspect", "no-such")
    assert done.returncode == 1
    assert "No such image: no-such" in done.stderr


def test_history_has_the_newest_first(images: Engine) -> None:
    """One line an instruction with its size."""
    import_tar(images, busybox.root_filesystem(), "-m", "all of it", "told:1")
    rows = images.ok(
        "history", "--no-trunc", "--human=false", "--format", "{{.Size}}|{{.Comment}}", "told:1"
    ).splitlines()
    size, comment = rows[0].split("|")
    assert int(size) > 1_000_000
    assert comment == "all of it"
    assert images.docker("history", "no-such").returncode == 1
