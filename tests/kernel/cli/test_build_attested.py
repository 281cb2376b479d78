"""`shoal build --sbom --provenance`: what is attested, and how it travels with the image."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path
from typing import Any

import pytest

from tests.engines.engine import Engine
from tests.engines.registry import Registry, is_installed
from tests.kernel.cli.building import build

pytestmark = pytest.mark.root

TEXT = (
    "FROM busybox\nARG TOKEN=none\nRUN mkdir -p /var/lib/dpkg && printf "
    "'Package: hello\\nStatus: install ok installed\\nVersion: 2.10-3\\nArchitecture: amd64\\n' "
    "> /var/lib/dpkg/status\n"
)
FLAGS = ("--sbom", "--provenance", "mode=max", "--build-arg", "TOKEN=t")


def check_index(index: Any, blob: Any) -> dict[str, Any]:
    """The predicates by type, after the layout was held against BuildKit's."""
    image, attestation = index["manifests"]
    assert image["platform"]["os"] == "linux"
    assert attestation["platform"] == {"architecture": "unknown", "os": "unknown"}
    notes = {"vnd.docker.reference.digest": image["digest"], "vnd.docker.reference.type": "attestation-manifest"}
    assert attestation["annotations"] == notes
    manifest = blob(attestation["digest"])
    predicates = {}
    for layer in manifest["layers"]:
        assert layer["mediaType"] == "application/vnd.in-toto+json"
        statement = blob(layer["digest"])
        assert statement["predicateType"] == layer["annotations"]["in-toto.io/predicate-type"]
        assert statement["subject"][0]["digest"] == {"sha256": image["digest"].removeprefix("sha256:")}
        predicates[statement["predicateType"]] = statement["predicate"]
    assert blob(manifest["config"]["digest"])["rootfs"]["diff_ids"] == [layer["digest"] for layer in manifest["layers"]]
    return predicates


def test_attestations_are_in_an_archive(engine: Engine, tmp_path: Path) -> None:
    """The OCI output has an index of the image and its attestations, and is loaded as before."""
    build(engine, TEXT, *FLAGS, "-t", "attested", "-o", f"type=oci,dest={tmp_path}/oci.tar")
    with tarfile.open(tmp_path / "oci.tar") as layout:

        def read(name: str) -> Any:
            member = layout.extractfile(name)
            assert member is not None
            return json.load(member)

        def blob(digest: str) -> Any:
            return read(f"blobs/sha256/{digest.removeprefix('sha256:')}")

        (top,) = read("index.json")["manifests"]
        assert top["mediaType"] == "application/vnd.oci.image.index.v1+json"
        predicates = check_index(blob(top["digest"]), blob)
    sbom, made = predicates["https://spdx.dev/Document"], predicates["https://slsa.dev/provenance/v1"]
    assert (sbom["spdxVersion"], sbom["dataLicense"]) == ("SPDX-2.3", "CC0-1.0")
    (package,) = (each for each in sbom["packages"] if each["name"] == "hello")
    assert package["externalRefs"][0]["referenceLocator"] == "pkg:deb/linux/hello@2.10-3?arch=amd64"
    assert made["buildDefinition"]["externalParameters"]["buildArguments"] == {"TOKEN": "t"}
    assert made["buildDefinition"]["resolvedDependencies"][0]["uri"] == "pkg:docker/busybox"
    id = engine.ok("image", "inspect", "-f", "{{.Id}}", "attested")
    engine.ok("rmi", "attested")
    engine.ok("load", "-i", str(tmp_path / "oci.tar"))
    assert engine.ok("image", "inspect", "-f", "{{.Id}}", "attested") == id


def test_attestations_are_pushed(engine: Engine) -> None:
    """The registry has them in the index under the tag; a pull of it gives the image. mode=min has no arguments."""
    if not is_installed():
        pytest.skip("docker-registry is not installed")
    with Registry() as registry:
        name = f"{registry.host}/attested:1"
        build(engine, TEXT, "--provenance", "true", "--build-arg", "TOKEN=t", "-t", name)
        engine.ok("push", name)
        base = "attested/"

        def blob(digest: str) -> Any:
            kind = "application/vnd.oci.image.manifest.v1+json"
            for path in ("manifests", "blobs"):
                status, answer = registry.get(f"{base}{path}/{digest}", accept=kind)
                if status == 200:
                    return json.loads(answer)
            raise AssertionError(digest)

        index = json.loads(registry.get(f"{base}manifests/1", accept="application/vnd.oci.image.index.v1+json")[1])
        predicates = check_index(index, blob)
        assert list(predicates) == ["https://slsa.dev/provenance/v1"]
        assert "buildArguments" not in json.dumps(predicates)
        id = engine.ok("image", "inspect", "-f", "{{.Id}}", name)
        engine.ok("rmi", "-f", id)
        engine.ok("pull", name)
        assert engine.ok("image", "inspect", "-f", "{{.Id}}", name) == id


def test_provenance_of_a_kind_that_there_is_not(engine: Engine) -> None:
    """It is refused before anything is built."""
    assert "invalid provenance: always" in build(engine, TEXT, "--provenance", "always", code=1)
