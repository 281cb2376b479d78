"""Pulls and what they give away: credentials go to the registry and its token server, mirrors are nobody's."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Callable
from dataclasses import replace
from urllib.parse import parse_qs

import pytest

from shoal.image.registry.credentials import Credentials
from shoal.image.registry.endpoints import RegistrySettings, parse_mirror
from tests.engines.bad_registry import BadRegistry, Exchange, layer_tar
from tests.kernel.image.pulls import Puller

ANN = Credentials("ann", "pw-of-ann")
BASIC = "Basic " + base64.b64encode(b"ann:pw-of-ann").decode()


def mirrored(puller: Puller, mirror: BadRegistry, prefix: str = "") -> RegistrySettings:
    """Settings in which `mirror` is asked before the test's registry."""
    return RegistrySettings(
        certificates=(), mirrors=(parse_mirror(f"{puller.registry.host}=http://{mirror.host}/{prefix}"),)
    )


def test_pull_of_a_mirrored_registry_asks_the_mirror_alone(puller: Puller) -> None:
    """What a mirror has comes from there, from below its prefix, and is asked for as nobody."""
    with BadRegistry() as mirror:
        mirror.blobs, mirror.manifests = puller.registry.blobs, puller.registry.manifests
        puller.pull(settings=mirrored(puller, mirror, "copies/of-it"), credentials=ANN)
        assert puller.registry.requests == []
        paths = {one.path.rpartition("/")[0].rpartition("/")[0] for one in mirror.requests if one.path != "/v2/"}
        assert paths == {"/v2/copies/of-it/x/y"}
        assert not [one for one in mirror.requests if "Authorization" in one.headers]
    assert puller.store.images()[0].repo_tags == [f"{puller.registry.host}/x/y:1"]


MIRROR_FAULTS: dict[str, Callable[[Exchange], bool]] = {
    "has not got it": lambda exchange: _answered(exchange, "/manifests/", 404),
    "wants a login": lambda exchange: _answered(exchange, "/manifests/", 401),
    "sends a web page": lambda exchange: _answered(exchange, "/manifests/", 200),
    "sends other blobs": lambda exchange: _answered(exchange, "/blobs/", 200),
    "is broken": lambda exchange: _answered(exchange, "/blobs/", 404),
}


def _answered(exchange: Exchange, about: str, status: int) -> bool:
    if about not in exchange.path:
        return False
    exchange.answer(status, b"<html>mirror</html>", Content_Type="text/html")
    return True


@pytest.mark.parametrize("fault", MIRROR_FAULTS)
def test_pull_falls_back_to_the_registry_where_the_mirror_fails(puller: Puller, fault: str) -> None:
    """Whatever a mirror does instead of serving, the registry itself is asked then."""
    with BadRegistry() as mirror:
        mirror.blobs, mirror.manifests = puller.registry.blobs, puller.registry.manifests
        mirror.tricks.append(MIRROR_FAULTS[fault])
        puller.pull(settings=mirrored(puller, mirror))
        assert mirror.requests
        assert puller.registry.asked("/blobs/")


def test_pull_falls_back_where_the_mirror_is_not_there(puller: Puller) -> None:
    """Nothing listens at the mirror's address."""
    settings = RegistrySettings(certificates=(), mirrors=(parse_mirror(f"{puller.registry.host}=http://127.0.0.1:1"),))
    puller.pull(settings=settings)


def test_pull_tells_another_host_that_asks_who_we_are_nothing(puller: Puller) -> None:
    """A redirect leads to a host that answers 401 and names a token server of its own: that one is not asked."""
    with BadRegistry() as elsewhere:
        realm = f'Bearer realm="http://{elsewhere.host}/token",service="s"'

        def asks(exchange: Exchange) -> bool:
            exchange.answer(401, Www_Authenticate=f'{realm}, Basic realm="r"')
            return True

        elsewhere.tricks.append(asks)

        def redirects(exchange: Exchange) -> bool:
            if exchange.headers.get("Authorization") != BASIC:
                exchange.answer(401, Www_Authenticate='Basic realm="r"')
                return True
            if "/blobs/" in exchange.path:
                exchange.answer(307, Location=f"http://{elsewhere.host}{exchange.path}?sig=secret-query")
                return True
            return False

        puller.registry.tricks.append(redirects)
        said = puller.fails(credentials=ANN)
        assert "unauthorized: authentication required" in said
        assert "secret-query" not in said
        assert elsewhere.requests
        assert not elsewhere.asked("/token")
        assert not [one for one in elsewhere.requests if "Authorization" in one.headers]


def tokens(puller: Puller, *, good_for: int = 1000) -> list[Exchange]:
    """Have the registry take tokens alone, each for some requests, and give such; what its token server was asked."""
    asked: list[Exchange] = []
    left = 0

    def trick(exchange: Exchange) -> bool:
        nonlocal left
        if exchange.path.startswith("/token"):
            asked.append(exchange)
            left = good_for
            answer = {"access_token": f"token-{len(asked)}", "refresh_token": f"refresh-{len(asked)}"}
            exchange.answer(200, json.dumps(answer).encode())
            return True
        if exchange.headers.get("Authorization") == f"Bearer token-{len(asked)}" and left > 0:
            left -= 1
            return False
        exchange.answer(401, Www_Authenticate=f'Bearer realm="http://{puller.registry.host}/token",service="reg"')
        return True

    puller.registry.tricks.append(trick)
    return asked


def test_pull_gets_a_new_token_when_one_has_run_out(puller: Puller) -> None:
    """Each token is good for some requests: a new one is asked for as often as it takes."""
    puller.registry.image(*[layer_tar(f"file-{n}", b"data") for n in range(30)], tag="many")
    asked = tokens(puller, good_for=10)
    puller.pull("many", credentials=ANN)
    assert len(asked) >= 3
    assert {one.headers.get("Authorization") for one in asked} == {BASIC}


def test_pull_with_an_identity_token_posts_it_to_the_token_server(puller: Puller) -> None:
    """The OAuth2 form; the next time with the token that took its place; neither goes to the registry."""
    asked = tokens(puller, good_for=2)
    puller.pull(credentials=Credentials(identity_token="identity-0", server_address="x"))
    forms = [parse_qs(one.body.decode()) for one in asked]
    assert {one.method for one in asked} == {"POST"}
    assert forms[0] == {
        "grant_type": ["refresh_token"],
        "service": ["reg"],
        "client_id": ["shoal"],
        "scope": ["repository:x/y:pull"],
        "refresh_token": ["identity-0"],
    }
    assert [form["refresh_token"] for form in forms[1:]] == [[f"refresh-{n}"] for n in range(1, len(forms))]
    assert not [one for one in puller.registry.asked("/v2/") if "identity-0" in str(one.headers)]


def test_login_with_a_token_server_gives_the_identity_token(puller: Puller) -> None:
    """The password goes to the token server once, which is asked for a token to keep."""
    asked = tokens(puller)
    credentials = Credentials("ann", "pw-of-ann", server_address=puller.registry.host)
    registries = puller.store.registries(RegistrySettings(certificates=()))
    assert registries.begin(credentials).login() == "refresh-1"
    assert parse_qs(asked[0].path.partition("?")[2])["offline_token"] == ["true"]
    assert asked[0].headers["Authorization"] == BASIC


def test_pull_with_a_registry_token_asks_no_token_server(puller: Puller) -> None:
    """`registrytoken` is what the registry hears, and a refusal of it is final."""

    def trick(exchange: Exchange) -> bool:
        if exchange.headers.get("Authorization") == "Bearer given":
            return False
        exchange.answer(401, Www_Authenticate=f'Bearer realm="http://{puller.registry.host}/token"')
        return True

    puller.registry.tricks.append(trick)
    assert "unauthorized" in puller.fails(credentials=Credentials(registry_token="other"))
    puller.pull(credentials=Credentials(registry_token="given"))
    assert not puller.registry.asked("/token")


def test_pull_asks_a_busy_registry_no_more_when_it_wants_long(puller: Puller) -> None:
    """An hour is the user's to wait: one request, and when to come again."""

    def trick(exchange: Exchange) -> bool:
        if "/manifests/" not in exchange.path:
            return False
        exchange.answer(429, b'{"errors":[{"code":"TOOMANYREQUESTS","message":"limit"}]}', Retry_After="3600")
        return True

    puller.registry.tricks.append(trick)
    assert "toomanyrequests: limit" in puller.fails()
    assert len(puller.registry.asked("/manifests/")) == 1


def test_pull_from_an_ipv6_address(puller: Puller) -> None:
    """The literal in brackets is host and name."""
    with BadRegistry("::1") as registry:
        registry.blobs, registry.manifests = puller.registry.blobs, puller.registry.manifests
        puller.pull(host=registry.host)
        assert puller.store.images()[0].repo_tags == [f"{registry.host}/x/y:1"]


HASTY = RegistrySettings(certificates=(), read_timeout_s=0.3)


def test_pull_gives_up_on_a_registry_that_says_nothing(puller: Puller) -> None:
    """A request that is never answered ends after the time that the settings give."""
    ended = threading.Event()

    def silent(exchange: Exchange) -> bool:
        ended.wait(20)
        exchange.cut()
        return True

    puller.registry.tricks.append(silent)
    said = puller.fails(settings=HASTY)
    ended.set()
    assert "timeout awaiting response headers" in said


@pytest.mark.parametrize("about", ["/manifests/", "/blobs/"])
def test_pull_gives_up_on_a_registry_that_drips(puller: Puller, about: str) -> None:
    """A byte now and then keeps no pull alive: it ends, and is not begun anew."""
    ended = threading.Event()

    def drip(exchange: Exchange) -> bool:
        if about not in exchange.path:
            return False
        send = exchange.begin(200, 5000)
        while not ended.wait(0.05):
            send(b" ")
        exchange.cut()
        return True

    puller.registry.tricks.append(drip)
    said = puller.fails(settings=HASTY)
    ended.set()
    assert "the answer comes too slowly" in said
    assert len({one.path for one in puller.registry.asked(about)}) == len(puller.registry.asked(about))


def _drips_its_head(exchange: Exchange) -> Callable[[bytes], object]:
    send = exchange.raw()
    send(b"HTTP/1.1 200 OK\r\nX-Long: ")
    return send


def _drips_sizes_of_chunks(exchange: Exchange) -> Callable[[bytes], object]:
    send = exchange.raw()
    send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;")
    return send


@pytest.mark.parametrize("about", ["/v2/", "/manifests/", "/blobs/"])
@pytest.mark.parametrize("begin", [_drips_its_head, _drips_sizes_of_chunks])
def test_pull_gives_up_on_a_registry_that_drips_around_the_content(
    puller: Puller, about: str, begin: Callable[[Exchange], Callable[[bytes], object]]
) -> None:
    """Bytes of a head, or of what stands around the content, count as little as those of the content."""
    ended = threading.Event()

    def drip(exchange: Exchange) -> bool:
        if not exchange.path.endswith(about) and (about == "/v2/" or about not in exchange.path):
            return False
        send = begin(exchange)
        while not ended.wait(0.05):
            send(b"x")
        exchange.cut()
        return True

    puller.registry.tricks.append(drip)
    said = puller.fails(settings=HASTY)
    ended.set()
    assert "the answer comes too slowly" in said


def test_pull_goes_by_a_mirror_that_drips(puller: Puller) -> None:
    """A mirror that keeps us waiting is one that is not there."""
    ended = threading.Event()
    with BadRegistry() as mirror:

        def drip(exchange: Exchange) -> bool:
            send = _drips_its_head(exchange)
            while not ended.wait(0.05):
                send(b"x")
            exchange.cut()
            return True

        mirror.tricks.append(drip)
        puller.pull(settings=replace(mirrored(puller, mirror), read_timeout_s=0.3))
        ended.set()
