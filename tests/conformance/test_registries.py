"""Pull, push and login against Debian's docker-registry on loopback."""

from __future__ import annotations

import hashlib
import json
import re
import threading
from collections.abc import Iterator

import pytest

from tests.conformance.test_images import import_tar, small_tar
from tests.engines import busybox, registry
from tests.engines.bad_registry import BadRegistry, Exchange, digest_of, layer_tar
from tests.engines.engine import Engine
from tests.engines.registry import HTPASSWD, PASSWORD, USER, Registry

pytestmark = [
    pytest.mark.usefixtures("cli"),
    pytest.mark.skipif(not registry.is_installed(), reason="docker-registry is not installed"),
]
MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"


@pytest.fixture
def hub(images: Engine) -> Iterator[Registry]:
    """A registry in the engine's network, without passwords."""
    with Registry(network_of=images.pid if images.own_network else None) as running:
        yield running


@pytest.fixture
def closed(images: Engine) -> Iterator[Registry]:
    """A registry that knows one user."""
    with Registry(network_of=images.pid if images.own_network else None, htpasswd=HTPASSWD) as running:
        yield running


def refused(engine: Engine, *args: str) -> str:
    """What a docker command that fails says."""
    done = engine.docker(*args)
    assert done.returncode == 1, done.stdout
    return done.stderr.strip()


def test_push_pull_and_run(images: Engine, hub: Registry) -> None:
    """What was pushed, removed and pulled is the same image; the lines are Docker's."""
    name = f"{hub.host}/some/box"
    images.ok("tag", busybox.IMAGE, name)
    id = images.ok("images", "-q", "--no-trunc", name)
    pushed = images.ok("push", name).splitlines()
    assert pushed[:2] == ["Using default tag: latest", f"The push refers to repository [{name}]"]
    assert [line.partition(": ")[2] for line in pushed[2:-1]] == ["Preparing", "Pushed"]
    digest = re.fullmatch(r"latest: digest: (sha256:[0-9a-f]{64}) size: \d+", pushed[-1])
    assert digest is not None
    assert "Layer already exists" in images.ok("push", name)
    images.ok("rmi", "-f", name, busybox.IMAGE)
    pulled = images.ok("pull", name).splitlines()
    assert pulled[:2] == ["Using default tag: latest", "latest: Pulling from some/box"]
    steps = [line.partition(": ")[2] for line in pulled[2:-3]]
    # Progress of a layer that comes faster than it can be told is dropped.
    steps = [step for step in steps if step not in ("Verifying Checksum", "Download complete")]
    assert steps == ["Pulling fs layer", "Pull complete"]
    assert pulled[-3:] == [
        f"Digest: {digest[1]}",
        f"Status: Downloaded newer image for {name}:latest",
        f"{name}:latest",
    ]
    assert f"Status: Image is up to date for {name}:latest" in images.ok("pull", name)
    assert images.ok("images", "-q", "--no-trunc", name) == id
    assert json.loads(images.ok("image", "inspect", name))[0]["RepoDigests"] == [f"{name}@{digest[1]}"]
    assert images.ok("run", "--rm", name, "echo", "hi") == "hi"
    images.ok("tag", name, busybox.IMAGE)


def test_run_pulls_what_is_missing(images: Engine, hub: Registry) -> None:
    """The client's 404, then the pull, then the container."""
    name = f"{hub.host}/box:1"
    images.ok("tag", busybox.IMAGE, name)
    images.ok("push", name)
    images.ok("rmi", name)
    done = images.docker("run", "--rm", name, "echo", "pulled")
    assert (done.returncode, done.stdout) == (0, "pulled\n")
    assert f"Unable to find image '{name}' locally" in done.stderr
    assert f"Status: Downloaded newer image for {name}" in done.stderr


def test_push_again_is_byte_for_byte_and_mounts(images: Engine, hub: Registry) -> None:
    """What was pulled has the same manifest in another repository, and its layers are not sent again."""
    first, second = f"{hub.host}/a/one:1", f"{hub.host}/b/two:2"
    import_tar(images, small_tar(data=b"x" * 100_000), first)
    images.ok("push", first)
    images.ok("rmi", first)
    images.ok("pull", first)
    images.ok("tag", first, second)
    assert "Mounted from a/one" in images.ok("push", second)
    one, two = hub.get("a/one/manifests/1", MANIFEST), hub.get("b/two/manifests/2", MANIFEST)
    assert one == two
    assert one[0] == 200
    digest = "sha256:" + hashlib.sha256(one[1]).hexdigest()
    assert images.ok("pull", f"{hub.host}/a/one@{digest}").splitlines()[-1] == f"{hub.host}/a/one@{digest}"


def test_layers_that_exist_are_not_pulled(images: Engine, hub: Registry) -> None:
    """Of an image on top of another one, only what is new is fetched."""
    base, top = f"{hub.host}/base:1", f"{hub.host}/top:1"
    images.ok("tag", busybox.IMAGE, base)
    images.ok("run", "--name", "maker", base, "sh", "-c", "echo more >/more")
    images.ok("commit", "maker", top)
    images.ok("rm", "maker")
    images.ok("push", base)
    images.ok("push", top)
    images.ok("rmi", top)
    said = images.ok("pull", top)
    assert said.count("Already exists") == 1
    assert said.count("Pull complete") == 1


def test_pull_of_what_is_not_there(images: Engine, hub: Registry) -> None:
    """Repository, tag and digest that do not exist; a name that is none; a registry that does not answer."""
    name = f"{hub.host}/box"
    images.ok("tag", busybox.IMAGE, name)
    images.ok("push", name)
    assert refused(images, "pull", f"{hub.host}/none") == (
        f"Error response from daemon: manifest for {hub.host}/none:latest not found: manifest unknown: manifest unknown"
    )
    assert f"manifest for {name}:none not found: manifest unknown" in refused(images, "pull", f"{name}:none")
    wrong = f"{name}@sha256:{'0' * 64}"
    assert f"manifest for {wrong} not found" in refused(images, "pull", wrong)
    assert refused(images, "pull", "127.0.0.1:1/a") == (
        'Error response from daemon: Get "http://127.0.0.1:1/v2/": dial tcp 127.0.0.1:1: connect: connection refused'
    )


def test_push_of_what_is_not_there(images: Engine, hub: Registry) -> None:
    """A repository without images here, and a tag that it hasn't got."""
    name = f"{hub.host}/box"
    assert refused(images, "push", name) == f"An image does not exist locally with the tag: {name}"
    images.ok("tag", busybox.IMAGE, name)
    assert refused(images, "push", f"{name}:2") == f"tag does not exist: {name}:2"


def test_all_tags_are_pushed_and_pulled(images: Engine, hub: Registry) -> None:
    """-a, both ways."""
    name = f"{hub.host}/many"
    for tag in ("1", "2"):
        import_tar(images, small_tar(data=tag.encode()), f"{name}:{tag}")
    assert images.ok("push", "-a", name).count("digest: sha256:") == 2
    images.ok("rmi", f"{name}:1", f"{name}:2")
    said = images.ok("pull", "-a", name)
    assert said.count("Pulling from many") == 2
    assert f"Status: Downloaded newer image for {name}" in said
    assert len(images.ok("images", "-q", name).split()) == 2


def test_push_for_another_platform_is_refused(shoald: Engine) -> None:
    """An image is for one platform: it goes for that one, and for no other."""
    with Registry(network_of=shoald.pid if shoald.own_network else None) as running:
        name = f"{running.host}/box:1"
        shoald.ok("tag", busybox.IMAGE, name)
        assert refused(shoald, "push", "--platform", "linux/arm64", name).endswith(
            f"image with reference {name} was found but its platform (linux/amd64) "
            "does not match the specified platform (linux/arm64)"
        )
        assert running.get("box/manifests/1")[0] == 404
        shoald.ok("push", "--platform", "linux/amd64", name)
        assert running.get("box/manifests/1", MANIFEST)[0] == 200
        shoald.ok("rmi", name)


def test_login_opens_what_is_closed(images: Engine, closed: Registry) -> None:
    """Refused without a name, refused with a wrong password, served after a login, refused after the logout."""
    name = f"{closed.host}/box"
    images.ok("tag", busybox.IMAGE, name)
    assert refused(images, "push", name).endswith("no basic auth credentials")
    wrong = images.docker("login", "-u", USER, "--password-stdin", closed.host, input="wrong")
    assert wrong.returncode == 1
    assert re.search("unauthorized: authentication required|401 Unauthorized", wrong.stderr)
    login = ("login", "-u", USER, "--password-stdin", closed.host)
    assert images.ok(*login, input=PASSWORD).splitlines()[-1] == "Login Succeeded"
    images.ok("push", name)
    images.ok("rmi", name)
    images.ok("pull", name)
    images.ok("logout", closed.host)
    assert refused(images, "pull", name).endswith("no basic auth credentials")
    assert PASSWORD not in images.log


def test_distribution_describes_what_a_registry_has(images: Engine, hub: Registry) -> None:
    """Type, digest, size and platform; and 404 for what isn't there."""
    name = f"{hub.host}/box"
    images.ok("tag", busybox.IMAGE, name)
    images.ok("push", name)
    answer = images.request("GET", f"/v1.41/distribution/{name}/json")
    got = json.loads(answer.body)
    raw = hub.get("box/manifests/latest", MANIFEST)[1]
    digest = "sha256:" + hashlib.sha256(raw).hexdigest()
    assert got["Descriptor"] == {"mediaType": MANIFEST, "digest": digest, "size": len(raw)}
    assert [(each["os"], each["architecture"]) for each in got["Platforms"]] == [("linux", "amd64")]
    assert images.request("GET", f"/v1.41/distribution/{hub.host}/none/json").status in (404, 500)


def test_docker_py_pulls_and_pushes(images: Engine, hub: Registry) -> None:
    """The stream of a push, with the digest in `aux`; a pull that gives an image object."""
    name = f"{hub.host}/py/box"
    images.client.images.get(busybox.IMAGE).tag(name, "1")
    told = list(images.client.images.push(name, "1", stream=True, decode=True))
    aux = [line["aux"] for line in told if "aux" in line]
    assert [sorted(one) for one in aux] == [["Digest", "Size", "Tag"]]
    images.client.images.remove(f"{name}:1")
    image = images.client.images.pull(name, "1")
    assert image.tags[-1] == f"{name}:1" or f"{name}:1" in image.tags
    assert f"{name}@{aux[0]['Digest']}" in image.attrs["RepoDigests"]


def test_pull_whose_client_leaves_is_given_up(shoald: Engine) -> None:
    """The registry hangs, the client is killed: shoald hangs up at once, has no image, and serves the next pull."""
    with BadRegistry() as bad:
        bad.image(layer_tar("small", b"x" * 100_000))
        blob = max(bad.blobs.values(), key=len)
        hangs, is_left = threading.Event(), threading.Event()

        def hang(exchange: Exchange) -> bool:
            if not exchange.path.endswith(digest_of(blob)) or is_left.is_set():
                return False
            hangs.set()
            if exchange.is_left(10):  # an answer has a minute to come
                is_left.set()
            exchange.cut()
            return True

        bad.tricks.append(hang)
        client = shoald.popen("pull", f"{bad.host}/x/y:1")
        assert hangs.wait(10)
        client.kill()
        client.communicate()
        assert is_left.wait(20)
        assert shoald.ok("images", "-q", f"{bad.host}/x/y") == ""
        shoald.ok("pull", f"{bad.host}/x/y:1")
        shoald.ok("rmi", f"{bad.host}/x/y:1")
