"""Pushes to a registry that misbehaves: begun anew, refused in one sentence, and nothing given away."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Callable
from urllib.parse import parse_qs, urlsplit

import pytest

from shoal.errors import ShoalError
from shoal.image.registry.credentials import Credentials
from shoal.image.registry.endpoints import RegistrySettings
from shoal.image.registry.progress import Told
from shoal.oci.reference import Reference
from tests.engines.bad_registry import BadRegistry, Exchange, digest_of
from tests.kernel.image.pulls import BIG, SMALL, Puller

ANN = Credentials("ann", "pw-of-ann")
BASIC = "Basic " + base64.b64encode(b"ann:pw-of-ann").decode()


def push(
    puller: Puller,
    repository: str = "new/place",
    credentials: Credentials | None = None,
    hear: Callable[[Told], None] = lambda _: None,
) -> Reference:
    """The name under which an image of two layers is in the registry now."""
    reference = Reference.parse(f"{puller.registry.host}/{repository}:1")
    if not puller.store.images():
        base = puller.store.import_tar(io.BytesIO(BIG))
        puller.store.add_layer(base, io.BytesIO(SMALL), target="local/image:1")
    puller.store.tag("local/image:1", reference)
    work = puller.store.registries(RegistrySettings(certificates=(), retry_pause_s=0.01)).begin(
        credentials or Credentials()
    )
    work.push([reference], hear)
    return reference


def assert_whole(registry: BadRegistry) -> None:
    """The registry has the manifest and all that it names."""
    document = json.loads(registry.manifests["1"][1])
    for part in (document["config"], *document["layers"]):
        assert len(registry.blobs[part["digest"]]) == part["size"]


def test_push_sends_layers_in_chunks_and_the_configuration_at_once(puller: Puller) -> None:
    """A layer's size is not known before it is compressed; the configuration's is. What is there is not sent again."""
    puller.registry.manifests.clear()
    push(puller)
    assert_whole(puller.registry)
    patched = [one for one in puller.registry.requests if one.method == "PATCH"]
    assert [one.headers.get("Transfer-Encoding") for one in patched] == ["chunked", "chunked"]
    ended = [one for one in puller.registry.requests if one.method == "PUT" and "/blobs/" in one.path]
    assert sorted(len(one.body) > 0 for one in ended) == [False, False, True]
    puller.registry.requests.clear()
    push(puller)
    assert {one.method for one in puller.registry.requests} == {"GET", "HEAD", "PUT"}


def test_push_mounts_what_another_repository_has(puller: Puller) -> None:
    """No byte of a layer is sent, and the token is asked for both repositories."""
    push(puller, "first/place")
    for digest, blob in puller.registry.blobs.items():
        assert digest == digest_of(blob)
    asked: list[Exchange] = []

    def wants_tokens(exchange: Exchange) -> bool:
        if exchange.path.startswith("/token"):
            asked.append(exchange)
            exchange.answer(200, json.dumps({"token": f"token-{len(asked)}"}).encode())
            return True
        if exchange.method == "HEAD" and "/second/" in exchange.path:
            exchange.answer(404)  # a registry knows of each repository what is in it
            return True
        if exchange.headers.get("Authorization", "").startswith("Bearer token-"):
            return False
        exchange.answer(401, Www_Authenticate=f'Bearer realm="http://{puller.registry.host}/token",service="s"')
        return True

    puller.registry.tricks.append(wants_tokens)
    puller.registry.requests.clear()
    heard: list[Told] = []
    push(puller, "second/place", ANN, heard.append)
    assert [step[0] for step in heard].count("Mounted from first/place") == 2
    assert not [one for one in puller.registry.requests if one.method == "PATCH"]
    scopes = [parse_qs(urlsplit(one.path).query)["scope"] for one in asked]
    assert ["repository:second/place:pull,push", "repository:first/place:pull"] in scopes


@pytest.mark.parametrize("method", ["HEAD", "POST", "PATCH", "PUT"])
def test_push_with_connections_cut_is_whole_in_the_end(puller: Puller, method: str) -> None:
    """Before an answer, in the middle of a layer, after the registry has taken it: three times, the push goes on."""
    cut = 0

    def trick(exchange: Exchange) -> bool:
        nonlocal cut
        if cut >= 3 or exchange.method != method:
            return False
        cut += 1
        if method == "PATCH":
            exchange.take(100_000 * cut)
        else:
            exchange.cut()
        return True

    puller.registry.tricks.append(trick)
    push(puller)
    assert cut == 3
    assert_whole(puller.registry)


def test_push_goes_on_when_a_busy_registry_has_time_again(puller: Puller) -> None:
    """429 and 503 in the middle of everything."""
    answers = iter([429, 503, 429, 503])

    def trick(exchange: Exchange) -> bool:
        if exchange.method in ("PATCH", "PUT") and (status := next(answers, 0)):
            exchange.answer(status, Retry_After="0")
            return True
        return False

    puller.registry.tricks.append(trick)
    push(puller)
    assert_whole(puller.registry)


def test_push_takes_no_credentials_to_where_uploads_go(puller: Puller) -> None:
    """The registry takes blobs at another host: bytes go there, who we are does not, nor is it told when asked."""
    with BadRegistry() as elsewhere:

        def trick(exchange: Exchange) -> bool:
            if exchange.headers.get("Authorization") != BASIC:
                exchange.answer(401, Www_Authenticate='Basic realm="r"')
                return True
            if exchange.method == "POST":
                place = f"/v2/a/blobs/uploads/{len(elsewhere.uploads)}"
                elsewhere.uploads[place] = b""
                exchange.answer(202, Location=f"http://{elsewhere.host}{place}?state=s3cret")
                return True
            return False

        puller.registry.tricks.append(trick)
        push(puller, credentials=ANN)
        assert elsewhere.blobs
        assert not [one for one in elsewhere.requests if "Authorization" in one.headers]
        asks = f'Bearer realm="http://{elsewhere.host}/token",service="s"'
        elsewhere.tricks.append(lambda exchange: exchange.answer(401, Www_Authenticate=asks) is None)
        puller.registry.blobs.clear()
        with pytest.raises(ShoalError) as caught:
            push(puller, "other/place", ANN)
        assert "unauthorized" in str(caught.value)
        assert not elsewhere.asked("/token")


REFUSALS: dict[str, tuple[Callable[[Exchange], None], str]] = {
    "denied": (
        lambda exchange: exchange.answer(403, b'{"errors":[{"code":"DENIED","message":"not yours"}]}'),
        "denied: not yours",
    ),
    "a web page": (lambda exchange: exchange.answer(404, b"<html>nothing</html>"), "404 Not Found"),
    "no place": (lambda exchange: exchange.answer(202), "no Location"),
    "a file": (lambda exchange: exchange.answer(202, Location="file:///etc/shadow"), "refusing the redirect"),
    "the metadata": (
        lambda exchange: exchange.answer(202, Location="http://169.254.169.254/up"),
        "refusing the redirect",
    ),
    "endless": (lambda exchange: exchange.answer(307, Location=exchange.path), "stopped after 10 redirects"),
}


@pytest.mark.parametrize("refusal", REFUSALS)
def test_push_that_is_refused_is_one_sentence(puller: Puller, refusal: str) -> None:
    """Whatever the registry says to the beginning of an upload; no manifest is there afterwards."""
    act, words = REFUSALS[refusal]

    def trick(exchange: Exchange) -> bool:
        if exchange.method != "POST":
            return False
        act(exchange)
        return True

    puller.registry.manifests.clear()
    puller.registry.tricks.append(trick)
    with pytest.raises(ShoalError) as caught:
        push(puller)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)
    assert puller.registry.manifests == {}


def test_push_of_what_the_registry_took_otherwise_is_refused(puller: Puller) -> None:
    """The registry has another digest than was sent: its own sentence, and no manifest."""
    puller.registry.manifests.clear()

    def trick(exchange: Exchange) -> bool:
        if exchange.method != "PATCH":
            return False
        path = exchange.path.partition("?")[0]
        puller.registry.uploads[path] = exchange.body[:-1]
        exchange.answer(202, Location=path)
        return True

    puller.registry.tricks.append(trick)
    with pytest.raises(ShoalError, match="digest invalid: other content"):
        push(puller)
    assert puller.registry.manifests == {}
