"""Push and pull against Debian's docker-registry with TLS, passwords, client certificates, and through proxies.

0.0.0.0 leads to this machine as 127.0.0.1 does, but is no loopback address: its certificates count, and proxies too.
"""

from __future__ import annotations

import io
import re
import shutil
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import trustme

from shoal.errors import ShoalError
from shoal.image.registry.credentials import Credentials
from shoal.image.registry.endpoints import RegistrySettings
from shoal.image.store import ImageStore
from shoal.oci.reference import Reference
from tests.engines import registry
from tests.engines.bad_registry import layer_tar
from tests.engines.proxy import Proxy
from tests.engines.registry import HTPASSWD, PASSWORD, USER, Registry
from tests.kernel.image.pulls import AMD64, Puller
from tests.kernel.image.trees import open_store

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(not registry.is_installed(), reason="docker-registry is not installed"),
]
ANN = Credentials(USER, PASSWORD)


@dataclass
class Shelf:
    """A store, and certificates that a test gives it."""

    store: ImageStore
    directory: Path

    @property
    def certificates(self) -> Path:
        """What /etc/shoal/certs.d is elsewhere."""
        return self.directory / "certs.d"

    def round_trip(
        self, host: str, credentials: Credentials | None = None, settings: RegistrySettings | None = None
    ) -> None:
        """Push an image, remove it, and pull it again."""
        reference = Reference.parse(f"{host}/a/b:1")
        id = self.store.import_tar(io.BytesIO(layer_tar("file", b"data" * 1000)), reference=reference)
        known = self.store.registries(settings or RegistrySettings(certificates=(self.certificates,)))
        known.begin(credentials or Credentials()).push([reference], lambda _: None)
        self.store.remove(reference.familiar(), force=True)
        pulled = known.begin(credentials or Credentials()).pull(reference, AMD64, lambda _: None)
        assert [one.id for one in pulled] == [id]

    def refused(
        self, host: str, credentials: Credentials | None = None, settings: RegistrySettings | None = None
    ) -> str:
        """What a push that must fail says: one sentence, without a password."""
        with pytest.raises(ShoalError) as caught:
            self.round_trip(host, credentials, settings)
        said = f"{caught.value} {caught.value.fix}"
        assert "\n" not in said
        assert PASSWORD not in said
        return said


@pytest.fixture
def shelf(tmp_path: Path) -> Iterator[Shelf]:
    """An empty store that believes nobody."""
    store = open_store(tmp_path / "data")
    yield Shelf(store, tmp_path)
    store.close()


@dataclass(frozen=True)
class Authority:
    """A certificate authority, a registry's certificate for 0.0.0.0, and a client's."""

    ca: Path
    server: tuple[Path, Path]
    client: tuple[Path, Path]


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """One for all tests: keys take their time."""
    directory = tmp_path_factory.mktemp("authority")
    ca = trustme.CA()
    ca.cert_pem.write_to_path(str(directory / "ca.pem"))
    pairs = []
    for name, issued in (("server", ca.issue_cert("0.0.0.0")), ("client", ca.issue_cert("ann@example.org"))):
        certificate, key = directory / f"{name}.pem", directory / f"{name}-key.pem"
        issued.cert_chain_pems[0].write_to_path(str(certificate))
        issued.private_key_pem.write_to_path(str(key))
        pairs.append((certificate, key))
    return Authority(directory / "ca.pem", pairs[0], pairs[1])


def believe(shelf: Shelf, host: str, authority: Authority) -> Path:
    """Put the authority where certs.d has it for this registry; the directory."""
    place = shelf.certificates / host
    place.mkdir(parents=True)
    shutil.copy(authority.ca, place / "ca.crt")
    return place


def test_certificate_is_believed_where_certs_d_has_its_authority(shelf: Shelf, authority: Authority) -> None:
    """Without it the push is refused with Docker's sentence; an insecure registry needs none."""
    with Registry(tls=authority.server) as running:
        host = f"0.0.0.0:{running.port}"
        assert "x509: certificate signed by unknown authority" in shelf.refused(host)
        shelf.round_trip(host, settings=RegistrySettings(certificates=(), insecure=(host,)))
        shelf.round_trip(host, settings=RegistrySettings(certificates=(), insecure=("0.0.0.0/32",)))
        believe(shelf, host, authority)
        shelf.round_trip(host)


def test_client_certificate_of_certs_d_is_shown(shelf: Shelf, authority: Authority) -> None:
    """The registry wants one: it comes from client.cert and client.key, and half a pair is told."""
    with Registry(tls=authority.server, client_authority=authority.ca) as running:
        host = f"0.0.0.0:{running.port}"
        place = believe(shelf, host, authority)
        assert re.search("remote error: tls: (bad certificate|certificate required)", shelf.refused(host))
        shutil.copy(authority.client[0], place / "client.cert")
        assert "missing key client.key for client certificate client.cert" in shelf.refused(host)
        shutil.copy(authority.client[1], place / "client.key")
        shelf.round_trip(host)
        (place / "client.cert").unlink()
        assert "missing client certificate client.cert for key client.key" in shelf.refused(host)


def test_password_over_tls(shelf: Shelf, authority: Authority) -> None:
    """Nobody, a wrong password, and the right one; a login says the same."""
    with Registry(tls=authority.server, htpasswd=HTPASSWD) as running:
        host = f"0.0.0.0:{running.port}"
        believe(shelf, host, authority)
        assert "no basic auth credentials" in shelf.refused(host)
        assert "unauthorized: authentication required" in shelf.refused(host, Credentials(USER, "wrong"))
        shelf.round_trip(host, ANN)
        known = shelf.store.registries(RegistrySettings(certificates=(shelf.certificates,)))
        assert known.begin(Credentials(USER, PASSWORD, server_address=host)).login() == ""
        with pytest.raises(ShoalError) as caught:
            known.begin(Credentials(USER, "wrong", server_address=host)).login()
        assert str(caught.value) == f'Get "https://{host}/v2/": unauthorized: authentication required'


def test_https_goes_through_the_proxy(shelf: Shelf, authority: Authority) -> None:
    """A tunnel, opened with the proxy's own password; NO_PROXY goes around; a proxy that refuses is told of."""
    with Registry(tls=authority.server, htpasswd=HTPASSWD) as running, Proxy("pam:proxy-pw") as proxy:
        host = f"0.0.0.0:{running.port}"
        believe(shelf, host, authority)

        def through(**environment: str) -> RegistrySettings:
            return RegistrySettings(certificates=(shelf.certificates,), environment=environment)

        shelf.round_trip(host, ANN, through(https_proxy=f"http://pam:proxy-pw@{proxy.host}"))
        assert set(proxy.passed) == {f"CONNECT {host}"}
        proxy.passed.clear()
        shelf.round_trip(host, ANN, through(HTTPS_PROXY=f"http://pam:proxy-pw@{proxy.host}", NO_PROXY="0.0.0.0"))
        assert proxy.passed == []
        said = shelf.refused(host, ANN, through(https_proxy=f"http://pam:wrong-pw@{proxy.host}"))
        assert "proxyconnect tcp" in said
        assert "407" in said
        assert "wrong-pw" not in said
        gone = shelf.refused(host, ANN, through(https_proxy="http://127.0.0.1:1"))
        assert "proxyconnect tcp: dial tcp 127.0.0.1:1: connect: connection refused" in gone


def test_http_goes_through_the_proxy(puller: Puller) -> None:
    """A host that only the proxy knows is pulled from, and its credentials get there."""
    with Proxy() as proxy:
        port = puller.registry.host.rpartition(":")[2]
        host = f"registry.test:{port}"
        settings = RegistrySettings(
            certificates=(), insecure=(host,), environment={"http_proxy": proxy.host, "https_proxy": proxy.host}
        )
        puller.pull(host=host, settings=settings)
        assert f"GET http://{host}/v2/x/y/manifests/1" in proxy.passed


def test_a_proxy_is_spoken_to_in_tls(shelf: Shelf, authority: Authority) -> None:
    """An https:// proxy, whose authority certs.d has, carries https within its TLS, and http; a stranger is refused."""
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(*authority.server)
    with Registry(tls=authority.server) as running, Proxy("pam:proxy-pw", tls) as proxy:
        host, port = f"0.0.0.0:{running.port}", proxy.host.rpartition(":")[2]
        believe(shelf, host, authority)
        environment = {"https_proxy": f"https://pam:proxy-pw@0.0.0.0:{port}"}
        settings = RegistrySettings(certificates=(shelf.certificates,), environment=environment)
        assert "x509: certificate signed by unknown authority" in shelf.refused(host, settings=settings)
        assert proxy.passed == []
        believe(shelf, f"0.0.0.0:{port}", authority)
        shelf.round_trip(host, settings=settings)
        assert set(proxy.passed) == {f"CONNECT {host}"}


def test_http_goes_through_a_proxy_spoken_to_in_tls(puller: Puller, authority: Authority, tmp_path: Path) -> None:
    """The registry knows no TLS, the proxy does."""
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(*authority.server)
    with Proxy(tls=tls) as proxy:
        host, place = f"registry.test:{puller.registry.host.rpartition(':')[2]}", tmp_path / "certs.d"
        its_name = f"0.0.0.0:{proxy.host.rpartition(':')[2]}"
        (place / its_name).mkdir(parents=True)
        shutil.copy(authority.ca, place / its_name / "ca.crt")
        environment = {"http_proxy": f"https://{its_name}", "https_proxy": f"https://{its_name}"}
        puller.pull(
            host=host, settings=RegistrySettings(certificates=(place,), insecure=(host,), environment=environment)
        )
        assert f"GET http://{host}/v2/x/y/manifests/1" in proxy.passed
