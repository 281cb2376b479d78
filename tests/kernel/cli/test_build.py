"""`shoal build` over the whole way: what it shows, what it proves, where its results go, and what a failure leaves."""

from __future__ import annotations

import io
import json
import os
import secrets
import subprocess
import tarfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.engines.engine import Engine
from tests.engines.shoald import Shoald
from tests.kernel.cli.shoal import exit_code, on_terminal, shoal

pytestmark = pytest.mark.root


def build(engine: Engine, text: str, *flags: str, code: int = 0) -> str:
    """What `shoal build` of a Dockerfile on standard input prints, on both streams."""
    done = shoal(engine, "build", *flags, "-", input=text.encode())
    assert done.returncode == code, done.stdout.decode() + done.stderr.decode()
    return done.stdout.decode() + done.stderr.decode()


@pytest.fixture
def context(tmp_path: Path) -> Path:
    """A directory with two files."""
    (tmp_path / "a.txt").write_text("a\n")
    (tmp_path / "b.txt").write_text("b\n")
    return tmp_path


def test_build_warns_of_copies_that_dockerignore_leaves_out(engine: Engine, context: Path) -> None:
    """A path that is copied though it is ignored is warned of, and refused before the build if that is wanted."""
    (context / ".dockerignore").write_text("b.txt\n!*/b.txt\n")
    text = "# check=experimental=CopyIgnoredFile{}\nFROM busybox\nRUN echo ran\nCOPY a.txt ./b.txt /all/\n"
    (context / "Dockerfile").write_text(text.format(";error=true"))
    refused = shoal(engine, "build", str(context))
    assert refused.returncode == 1
    assert b"lint violation found for rules: CopyIgnoredFile" in refused.stderr
    assert b"1/3" not in refused.stdout
    (context / "Dockerfile").write_text(text.format("").replace("./b.txt", "./b.tx[t]"))
    assert b"CopyIgnoredFile" not in shoal(engine, "build", str(context)).stdout


def test_build_stages_run_side_by_side_and_once(engine: Engine) -> None:
    """Two stages with the same command wait for one run of it, and two with others take no longer than one."""
    text = (
        "FROM busybox AS one\nRUN sleep 0.9; echo 1 > /x\nFROM busybox AS two\nRUN sleep 0.9; echo 2 > /x\n"
        "FROM busybox AS again\nRUN sleep 0.9; echo 1 > /x\n"
        "FROM busybox\nCOPY --from=one /x /1\nCOPY --from=two /x /2\nCOPY --from=again /x /3\nRUN cat /1 /2 /3\n"
    )
    output = build(engine, text)
    assert [line.partition("│ ")[2] for line in output.splitlines() if line.endswith(("│ 1", "│ 2"))] == ["1", "2", "1"]
    assert output.count("cached RUN sleep 0.9; echo 1 > /x") == 1


def test_build_does_not_build_what_the_target_does_not_need(engine: Engine) -> None:
    """A stage that nobody reads is not built: its failing command is not run."""
    output = build(engine, "FROM busybox AS unused\nRUN false\nFROM busybox\nRUN echo needed\n")
    assert "needed" in output
    assert "false" not in output


def test_build_says_why_a_step_is_made_anew(engine: Engine, context: Path) -> None:
    """`--why` names the file whose content has changed."""
    (context / "Dockerfile").write_text("FROM busybox\nCOPY . /all/\n")
    shoal(engine, "build", str(context))
    (context / "b.txt").write_text("other\n")
    done = shoal(engine, "build", "--why", "2", str(context))
    assert done.stderr.decode().splitlines() == [
        "step 2 is made anew: COPY . /all/",
        "  /all/b.txt has another content",
    ]


def test_build_proves_what_is_reproducible(engine: Engine, context: Path) -> None:
    """Files with other times make the same image; a random number does not, and its file and step are named."""
    (context / "Dockerfile").write_text("FROM busybox\nCOPY . /all/\nRUN echo made > /made && mkdir /d\n")
    proven = shoal(engine, "build", "--prove", "-q", str(context))
    assert proven.returncode == 0
    assert proven.stdout.startswith(b"reproducible: both builds made sha256:")
    text = "FROM busybox\nRUN echo 1 > /1\nRUN cat /proc/sys/kernel/random/uuid > /2\n"
    (context / "Dockerfile").write_text(text)
    output = shoal(engine, "build", "--prove", "-q", str(context)).stdout.decode()
    assert "the first step whose result differs: /bin/sh -c cat /proc/sys/kernel/random/uuid > /2" in output
    assert "/2" in output.splitlines()[-1]


def test_build_writes_outputs(engine: Engine, tmp_path: Path) -> None:
    """The result comes as files, as a tar, and as an archive that another engine reads."""
    text = "FROM busybox AS b\nRUN mkdir -p /o/d; echo hi > /o/d/x; ln -s d/x /o/l\nFROM scratch\nCOPY --from=b /o /\n"
    build(engine, text, "-o", str(tmp_path / "out"))
    assert (tmp_path / "out/l").read_text() == "hi\n"
    assert sorted(path.name for path in (tmp_path / "out").rglob("*")) == ["d", "l", "x"]
    done = shoal(engine, "build", "-q", "-o", "-", "-", input=text.encode())
    with tarfile.open(fileobj=io.BytesIO(done.stdout), mode="r|") as archive:
        assert [entry.name for entry in archive] == ["d", "d/x", "l"]
    build(engine, text, "-t", "out:1", "-o", f"type=oci,dest={tmp_path}/oci.tar")
    with tarfile.open(tmp_path / "oci.tar") as layout:
        assert {"oci-layout", "index.json", "manifest.json"} <= set(layout.getnames())


def test_build_failure_can_be_looked_at(engine: Engine) -> None:
    """A failing command says its code and its state's name, in which a shell has its files, directory and variables."""
    text = "FROM busybox\nENV A=3\nWORKDIR /w\nRUN echo left > x; exit 9\n"
    output = build(engine, text, code=9)
    assert "The command '/bin/sh -c echo left > x; exit 9' returned a non-zero code: 9" in output
    state = output.rpartition("shoal debug ")[2].split()[0]
    done = shoal(engine, "debug", state, input=b"pwd; echo $A; cat x\n")
    assert done.stdout == b"/w\n3\nleft\n"
    engine.ok("rmi", state)


def test_build_out_of_memory_says_so(engine: Engine) -> None:
    """A command that the OOM killer ended is told as that."""
    text = "FROM busybox\nRUN tail -c 900000000 /dev/zero > /dev/null\n"
    output = build(engine, text, "-m", "32m", "--memory-swap", "32m", code=137)
    assert "returned a non-zero code: 137" in output
    assert "the OOM killer ended it" in output
    engine.ok("image", "prune", "-f")


def test_build_ends_what_a_command_leaves_running(engine: Engine) -> None:
    """Daemons that a RUN starts are gone when it has ended."""
    seconds = str(10**6 + secrets.randbelow(10**9))
    build(engine, f"FROM busybox\nRUN (sleep {seconds} &); echo started\n")
    assert subprocess.run(["pgrep", "-f", f"^sleep {seconds}"], capture_output=True, check=False).returncode == 1


def test_build_mounts_caches_context_memory_and_other_stages(engine: Engine, context: Path) -> None:
    """Caches outlive builds, other mounts are there and leave nothing in the image."""
    (context / "Dockerfile").write_text(
        "FROM busybox AS other\nRUN echo other > /other\nFROM busybox\n"
        "RUN --mount=type=cache,target=/cache echo x >> /cache/x; wc -l < /cache/x\n"
        "RUN --mount=type=bind,target=/context --mount=type=bind,from=other,source=/other,target=/file "
        "--mount=type=tmpfs,target=/memory cat /context/a.txt /file; touch /memory/x\n"
        "RUN ls /\n"
    )
    for count in (1, 2):
        done = shoal(engine, "build", "--no-cache", "-t", "mounts", str(context))
        lines = [line.partition("│ ")[2] for line in done.stdout.decode().splitlines()]
        assert str(count) in lines, done.stderr
        assert lines.index("a") + 1 == lines.index("other")
        assert not {"cache", "context", "memory", "file"} & set(lines)
    assert engine.ok("history", "--format", "{{.Size}}", "mounts").splitlines()[:3] == ["0B", "0B", "0B"]


def test_build_secrets_are_nowhere_afterwards(private_shoald: Shoald, tmp_path: Path) -> None:
    """A secret is read by the command, as a file and as a variable, and no byte of the store has it afterwards."""
    engine, secret = private_shoald, f"hidden-{secrets.token_hex(16)}"
    (tmp_path / "secret").write_text(secret)
    text = (
        "FROM busybox\nRUN --mount=type=secret,id=s,required test $(wc -c < /run/secrets/s) = 39\n"
        "RUN --mount=type=secret,id=s,env=TOKEN test ${#TOKEN} = 39\n"
    )
    build(engine, text, "--secret", f"id=s,src={tmp_path}/secret", "-t", "secret")
    build(engine, text, "--no-cache", "--secret", f"id=s,src={tmp_path}/secret")
    build(
        engine,
        text + "RUN --mount=type=secret,id=s,env=TOKEN false\n",
        "--secret",
        f"id=s,src={tmp_path}/secret",
        code=1,
    )
    assert build(engine, text, "--no-cache", code=1).count("secret s not found") == 1
    found = [
        path
        for path in engine.directory.rglob("*")
        if path.is_file() and not path.is_symlink() and secret.encode() in path.read_bytes()
    ]
    assert found == []
    assert secret not in engine.log


def test_build_survives_a_kill_of_shoald(private_shoald: Shoald) -> None:
    """A kill in the middle of a step leaves nothing of it; what was done before is cached, and the next one works."""
    engine = private_shoald
    seconds = str(10**6 + secrets.randbelow(10**9))
    text = f"FROM busybox\nRUN echo first > /first\nRUN echo begun; sleep {seconds}\n"
    client = engine.popen("build", "-", stdin=subprocess.PIPE)
    assert client.stdin is not None
    assert client.stdout is not None
    client.stdin.write(text.encode())
    client.stdin.close()
    while b"begun" not in client.stdout.readline():
        assert client.poll() is None
    engine.kill9()
    client.wait()
    engine.start()
    deadline = time.monotonic() + 20
    while subprocess.run(["pgrep", "-f", f"^sleep {seconds}$"], capture_output=True, check=False).returncode == 0:
        assert time.monotonic() < deadline, "the command outlives its build"
        time.sleep(0.05)
    assert engine.ok("ps", "-aq") == ""
    output = build(engine, text.replace(f"sleep {seconds}", "true"))
    assert "cached RUN echo first > /first" in output


def test_build_cache_is_listed_and_pruned(engine: Engine) -> None:
    """What steps came to is shown with its size, and given back."""
    build(engine, "FROM busybox\nRUN echo 12345 > /x\nRUN --mount=type=cache,target=/c echo 1 > /c/x\n")
    engine.ok("image", "prune", "-f")
    usage = json.loads(engine.request("GET", "/system/df").body)["BuildCache"]
    assert {"regular", "exec.cachemount"} <= {record["Type"] for record in usage}
    assert sum(record["Size"] for record in usage) >= 8
    pruned = engine.request("POST", "/build/prune?all=1").json
    assert len(pruned["CachesDeleted"]) == len(usage)
    assert json.loads(engine.request("GET", "/system/df").body)["BuildCache"] == []


def test_build_cache_travels_in_an_image(engine: Engine) -> None:
    """An image with its cache in it spares an engine that has never made its steps from making them."""
    text = "FROM busybox\nENV A=1\nRUN echo made > /made\nWORKDIR /w\nRUN cat /proc/sys/kernel/random/uuid > /random\n"
    build(engine, text, "--build-arg", "BUILDKIT_INLINE_CACHE=1", "-t", "carrier")
    engine.request("POST", "/build/prune?all=1")
    output = build(engine, text, "--cache-from", "carrier", "--cache-from", "localhost:1/not-there", "-t", "carried")
    assert output.count("cached") == 4
    layers = ("image", "inspect", "-f", "{{.RootFS.Layers}}")
    assert engine.ok(*layers, "carrier") == engine.ok(*layers, "carried")


class SmallShoald(Shoald):
    """A shoald whose data root has 48 MiB, mounted where no other process sees it."""

    def command(self) -> list[str]:
        """The daemon, in a mount namespace of its own."""
        mount = 'mount -t tmpfs -o size=48m tmpfs "$0" && exec "$@"'
        return ["unshare", "--mount", "sh", "-c", mount, str(self.data_root), *super().command()]


@pytest.fixture
def small_shoald() -> Iterator[Shoald]:
    """A shoald on a small disk."""
    engine = SmallShoald()
    os.makedirs(engine.data_root)
    try:
        engine.start()
        engine.import_busybox()
        yield engine
    finally:
        engine.close()


def test_build_that_fills_the_disk_leaves_room_for_the_next(small_shoald: Shoald, tmp_path: Path) -> None:
    """A command, a context and a copy that find no room say so, and nothing of them stays."""
    engine = small_shoald
    output = build(engine, "FROM busybox\nRUN dd if=/dev/zero of=/x bs=1M count=200\n", code=1)
    assert "No space left on device" in output
    assert "shoal debug" not in output
    (tmp_path / "Dockerfile").write_text("FROM busybox\nCOPY . /x\n")
    for size, sentence in ((60, b"failed to receive the build context"), (30, b"failed to write layer")):
        (tmp_path / "big").write_bytes(os.urandom(size << 20))
        done = shoal(engine, "build", str(tmp_path))
        assert done.returncode == 1
        assert sentence in done.stderr
        assert b"no space left on device" in done.stderr
    build(engine, "FROM busybox\nRUN dd if=/dev/zero of=/x bs=1M count=20\n")


def test_build_for_another_platform_needs_no_command_to_be_run(engine: Engine) -> None:
    """Files alone make an image for any platform; a command for a processor that can't run here is refused, clearly."""
    text = "FROM --platform=$BUILDPLATFORM busybox AS b\nRUN echo 1 > /x\nFROM scratch\nCOPY --from=b /x /\nENV A=1\n"
    build(engine, text, "--platform", "linux/s390x", "-t", "other")
    assert engine.ok("image", "inspect", "-f", "{{.Os}}/{{.Architecture}}", "other") == "linux/s390x"
    output = build(engine, 'FROM scratch\nRUN ["/x"]\n', "--platform", "linux/mips64le", code=1)
    assert "commands for linux/mips64le can't run on linux/" in output
    assert "qemu-user-static" in output
    output = build(engine, text, "--platform", "linux/amd64,linux/arm64", code=1)
    assert "a build makes an image for one platform" in output


BAD_PARAMETERS = (
    *("memory=many", "cpuquota=1e3", "shmsize=x", "buildargs=[]", "buildargs={", "labels=7", "cachefrom={}"),
    *("cacheto=[7]", "ulimits=x", "platform=a/b/c/d", "networkmode=container:", "isolation=none", "provenance=some"),
)


@pytest.mark.parametrize("parameter", BAD_PARAMETERS)
def test_build_refuses_values_that_are_none(engine: Engine, parameter: str) -> None:
    """A value that a parameter can't have is the client's mistake, told before or in place of the build."""
    name, _, value = parameter.partition("=")
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        entry = tarfile.TarInfo("Dockerfile")
        entry.size = len(b"FROM busybox\nRUN true\n")
        tar.addfile(entry, io.BytesIO(b"FROM busybox\nRUN true\n"))
    answer = engine.request("POST", f"/build?{name}={quote(value)}", body=archive.getvalue())
    assert answer.status == 400 or b'"error"' in answer.body, (answer.status, answer.body)
    assert answer.status < 500


def test_build_is_cancelled_by_its_id(engine: Engine) -> None:
    """/build/cancel ends the build of that id, and its command; an id is needed, an unknown one is nobody's."""
    seconds = str(10**6 + secrets.randbelow(10**9))
    assert engine.request("POST", "/build/cancel?id=unknown").status == 204
    assert engine.request("POST", "/build/cancel").status == 400
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        content = f"FROM busybox\nRUN sleep {seconds}\n".encode()
        entry = tarfile.TarInfo("Dockerfile")
        entry.size = len(content)
        tar.addfile(entry, io.BytesIO(content))
    with ThreadPoolExecutor(1) as threads:
        building = threads.submit(engine.request, "POST", "/build?buildid=mine", body=archive.getvalue())
        running = ["pgrep", "-f", f"^sleep {seconds}$"]
        deadline = time.monotonic() + 20
        while subprocess.run(running, capture_output=True, check=False).returncode:
            assert time.monotonic() < deadline, "the command never ran"
            time.sleep(0.02)
        assert engine.request("POST", "/build/cancel?id=mine").status == 204
        assert b'"error":"context canceled"' in building.result(timeout=20).body
    assert subprocess.run(running, capture_output=True, check=False).returncode == 1


@pytest.mark.parametrize("parameter", ["squash=1", "outputs=type%3Dlocal", "version=2"])
def test_build_refuses_what_it_does_not_do(engine: Engine, parameter: str) -> None:
    """A parameter that would be of no effect is refused before anything is read."""
    assert engine.request("POST", f"/build?{parameter}").status == 501


def test_build_on_a_terminal_shows_steps_side_by_side(engine: Engine, context: Path) -> None:
    """Both stages at work have a row with a time that goes on and last words; of each that is done a line stays."""
    (context / "Dockerfile").write_text(
        "FROM busybox AS one\nRUN echo first-words; sleep 1.2; echo 1 > /x\n"
        "FROM busybox AS two\nRUN echo other-words; sleep 1.2; echo 2 > /x\n"
        "FROM busybox\nCOPY --from=one /x /1\nCOPY --from=two /x /2\n"
    )
    with on_terminal(engine, "build", str(context)) as child:
        child.expect(r"\[0\.\d s\] \d of 7 steps")
        at_work = r"[^\n]*RUN echo {0}[^\n]*1\.\d s\r\n  │ {0}\r\n"
        child.expect(at_work.format("first-words") + at_work.format("other-words"))
        child.expect(r"7/7 COPY --from=two")
        child.expect(r"Successfully built [0-9a-f]{12}")
        child.expect(r"7 of 7 steps in \d\.\d s")
        assert exit_code(child) == 0
    with on_terminal(engine, "build", str(context)) as child:
        child.expect("2/7 RUN echo first-words; sleep 1.2; echo 1 > /x +cached")
        child.expect(r"7 of 7 steps, [4-7] cached in")
        assert exit_code(child) == 0
    (context / "Dockerfile").write_text("FROM busybox\nRUN echo last-words; exit 3\n")
    with on_terminal(engine, "build", str(context)) as child:
        child.expect(r"2/2 RUN echo last-words; exit 3 [^\n]*\r\n  │ last-words\r\n")
        child.expect("returned a non-zero code: 3")
        assert exit_code(child) == 3
