"""`shoal build` again and again: what is sent, that the image is as if all were sent, and what may be lost."""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import tarfile
import time
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.engines.engine import Engine
from tests.engines.shoald import Shoald
from tests.kernel.cli.shoal import shoal, started

pytestmark = pytest.mark.root


@pytest.fixture
def context(tmp_path: Path) -> Path:
    """A directory with a megabyte, a directory, a link and a Dockerfile that copies all."""
    (tmp_path / "big").write_bytes(os.urandom(1 << 20))
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub/one").write_text("1\n")
    (tmp_path / "link").symlink_to("sub/one")
    (tmp_path / "Dockerfile").write_text("FROM busybox\nCOPY . /all/\n")
    return tmp_path


def built(engine: Engine, context: Path) -> str:
    """The id of the image that `shoal build` makes of the context."""
    done = shoal(engine, "build", "-q", str(context))
    assert done.returncode == 0, done.stderr
    return done.stdout.decode().strip()


def sent_whole(engine: Engine, context: Path) -> str:
    """The id of the image where the context comes as one archive, as other clients send it."""
    with tarfile.open(fileobj=(archive := io.BytesIO()), mode="w", format=tarfile.PAX_FORMAT) as tar:
        tar.add(context, ".")
    headers = {"Content-Type": "application/x-tar"}
    answer = engine.request("POST", "/build?q=1&nocache=1", body=archive.getvalue(), headers=headers)
    return str(json.loads(answer.body.splitlines()[-1])["stream"]).strip()


def spools(engine: Engine) -> list[Path]:
    """What is kept of contexts."""
    return sorted(Path(engine.data_root, "build-contexts").glob("*/spool"))


def test_build_sends_what_has_changed_and_makes_the_same_image(engine: Shoald, context: Path) -> None:
    """Files that are changed, new, gone, renamed, or of another kind or mode give what the whole context gives."""
    built(engine, context)
    (spool,) = spools(engine)
    before = spool.stat().st_size
    (context / "sub/one").write_text("one\n")
    (context / "new").write_text("new\n")
    assert built(engine, context) == sent_whole(engine, context)
    assert spool.stat().st_size - before < 100
    (context / "link").unlink()
    (context / "link").mkdir()
    (context / "link/file").write_text("no link\n")
    shutil.rmtree(context / "sub")
    (context / "sub").write_text("a file\n")
    (context / "new").rename(context / "newer")
    (context / "big").chmod(0o600)
    assert built(engine, context) == sent_whole(engine, context)
    (context / ".dockerignore").write_text("newer\n")
    assert built(engine, context) == sent_whole(engine, context)
    assert spools(engine) == [spool]


def test_build_with_a_dockerfile_from_elsewhere_keeps_none_of_it(engine: Shoald, context: Path) -> None:
    """A Dockerfile from outside is used once, and is not in the context of the next build."""
    outside = context.parent / f"{context.name}-outside"
    outside.write_text("FROM busybox\nCOPY . /all/\nRUN find /all -name '.shoal*' && echo outside\n")
    done = shoal(engine, "build", "-f", str(outside), str(context))
    assert b"outside" in done.stdout
    assert b"/all/.shoal" not in done.stdout
    assert built(engine, context) == sent_whole(engine, context)


def test_build_sends_all_when_one_side_has_lost_what_it_knew(engine: Shoald, context: Path) -> None:
    """A pruned engine, a damaged index, and a client without its note each cost one sending of the whole, no more."""
    first = built(engine, context)
    engine.request("POST", "/build/prune?all=1")
    assert spools(engine) == []
    assert built(engine, context) == first
    (spool,) = spools(engine)
    index = spool.parent / "index"
    index.write_bytes(index.read_bytes()[:-1])
    assert built(engine, context) == first
    shutil.rmtree(engine.directory / "config/shoal-contexts")
    (context / "sub/one").write_text("changed\n")
    assert built(engine, context) == sent_whole(engine, context)


def test_build_context_outlives_a_kill_of_shoald(private_shoald: Shoald, context: Path) -> None:
    """A context that was kept is there after a kill, as it was; one that was half received is not."""
    first = built(private_shoald, context)
    half = Path(private_shoald.data_root, "build-contexts", "0" * 32)
    half.mkdir()
    (half / "spool").write_bytes(b"half")
    (spool,) = [path for path in spools(private_shoald) if path.parent != half]
    private_shoald.kill9()
    private_shoald.start()
    size = spool.stat().st_size
    assert built(private_shoald, context) == first
    assert spools(private_shoald) == [spool]
    assert spool.stat().st_size - size < 100


def test_build_contexts_are_listed_and_pruned(engine: Shoald, context: Path) -> None:
    """A kept context is part of the build cache, with its size, and goes with it."""
    built(engine, context)
    usage = json.loads(engine.request("GET", "/system/df").body)["BuildCache"]
    (kept,) = [record for record in usage if record["Type"] == "source.local"]
    assert kept["Size"] >= 1 << 20
    pruned = engine.request("POST", "/build/prune?filters=" + quote(json.dumps({"type": ["source.local"]}))).json
    assert pruned["CachesDeleted"] == [kept["ID"]]
    assert spools(engine) == []


@pytest.mark.parametrize("token", ["../../x", "0" * 32, f"{'a' * 32}.{'b' * 32}"])
def test_build_refuses_an_unknown_context(engine: Shoald, token: str) -> None:
    """A token that the engine never gave, or that would be a path, names nothing, and nothing is made of it."""
    assert engine.request("GET", f"/build/context?token={token}").json == {"Known": False}
    answer = engine.request("POST", f"/build?context={token}", body=bytes(1024))
    assert (answer.status, answer.json["message"]) == (409, "the build context is not kept any more")
    assert spools(engine) == []


def test_build_of_one_directory_twice_at_once(engine: Shoald, context: Path) -> None:
    """Of two builds that would change the same kept context one sends all; both make the image."""
    first = built(engine, context)
    (context / "Dockerfile").write_text("FROM busybox\nCOPY . /all/\nRUN echo begun; sleep 0.5\n")
    with started(engine, "build", str(context)) as slow:
        assert slow.stdout is not None
        while b"begun" not in (line := slow.stdout.readline()):
            assert line
        (context / "Dockerfile").write_text("FROM busybox\nCOPY . /all/\n")
        assert built(engine, context) == first
        assert slow.wait(20) == 0


def test_build_notices_a_file_that_changes_again_at_once(engine: Shoald, context: Path) -> None:
    """A file that changes in the same moment, to the same size and with its old time, is sent all the same."""
    moment = time.time_ns()
    for text in ("a", "b", "c"):
        (context / "sub/one").write_text(text)
        os.utime(context / "sub/one", ns=(moment, moment))
        assert built(engine, context) == sent_whole(engine, context)


def test_build_again_shares_files_with_the_layer_before(engine: Shoald, context: Path) -> None:
    """Unchanged files are one file in both layers; both images are whole, and the books are still what `du` counts."""
    shoal(engine, "build", "-q", "-t", "app:1", str(context))
    json.loads(engine.request("GET", "/system/df/users").body)
    (context / "sub/one").write_text("changed\n")
    shoal(engine, "build", "-q", "-t", "app:2", str(context))
    shared = [path for path in Path(engine.data_root, "layers").glob("*/diff/all/big") if path.stat().st_nlink == 2]
    assert len(shared) == 2
    ledger = json.loads(engine.request("GET", "/system/df/users").body)
    counted = subprocess.run(["du", "-s", "--block-size=1", engine.data_root], capture_output=True, check=True)
    assert abs(ledger["Size"] - int(counted.stdout.split()[0])) <= 64 << 10
    assert engine.ok("run", "--rm", "app:1", "cat", "/all/sub/one") == "1"
    engine.ok("rmi", "-f", "app:1")
    engine.request("POST", "/build/prune?all=1")
    assert engine.ok("run", "--rm", "app:2", "cat", "/all/sub/one") == "changed"
    assert not [line for line in engine.request("POST", "/system/fsck").body.splitlines() if b"cause" in line.lower()]
