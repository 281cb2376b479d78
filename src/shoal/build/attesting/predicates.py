"""What attestations say: an SPDX 2.3 document, and SLSA provenance. Pure.

Source: SPDX 2.3 (JSON), https://slsa.dev/spec/v1.0/provenance. The layout is BuildKit's (image/attestations.py).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from shoal.build.attesting.packages import Package
from shoal.oci.image_spec import rfc3339

SPDX = "https://spdx.dev/Document"
SLSA = "https://slsa.dev/provenance/v1"
_NONE = "NOASSERTION"


def spdx_document(name: str, packages: Sequence[Package], time_ns: int, version: str) -> bytes:
    """The SPDX document of an image that has these packages; the same for the same image."""
    listed = []
    for package in packages:
        entry = {
            "SPDXID": f"SPDXRef-Package-{hashlib.sha256(package.purl.encode()).hexdigest()[:16]}",
            "name": package.name,
            "versionInfo": package.version,
            "downloadLocation": _NONE,
            "filesAnalyzed": False,
            "licenseConcluded": _NONE,
            "licenseDeclared": _NONE,
            "copyrightText": _NONE,
            "externalRefs": [
                {
                    "referenceCategory": "PACKAGE-MANAGER",
                    "referenceType": "purl",
                    "referenceLocator": package.purl,
                }
            ],
        }
        if package.license:
            entry["licenseComments"] = package.license  # as the database has it, which need not be an SPDX expression
        listed.append(entry)
    image = {
        "SPDXID": "SPDXRef-DocumentRoot-Image",
        "name": name,
        "downloadLocation": _NONE,
        "filesAnalyzed": False,
        "licenseConcluded": _NONE,
        "licenseDeclared": _NONE,
        "copyrightText": _NONE,
        "primaryPackagePurpose": "CONTAINER",
    }
    relations = [_relation("SPDXRef-DOCUMENT", "DESCRIBES", "SPDXRef-DocumentRoot-Image")]
    relations += [_relation("SPDXRef-DocumentRoot-Image", "CONTAINS", str(entry["SPDXID"])) for entry in listed]
    seed = json.dumps([name, [package.purl for package in packages]])
    document = {
        "spdxVersion": "SPDX-2.3",
        "dataLicense": "CC0-1.0",
        "SPDXID": "SPDXRef-DOCUMENT",
        "name": name,
        "documentNamespace": f"https://spdx.org/spdxdocs/shoal-{hashlib.sha256(seed.encode()).hexdigest()}",
        "creationInfo": {"created": _whole_seconds(time_ns), "creators": [f"Tool: shoal-{version}"]},
        "packages": [image, *listed],
        "relationships": relations,
    }
    return json.dumps(document, sort_keys=True).encode()


def _relation(one: str, kind: str, other: str) -> dict[str, str]:
    return {"spdxElementId": one, "relationshipType": kind, "relatedSpdxElement": other}


def _whole_seconds(time_ns: int) -> str:
    return datetime.fromtimestamp(time_ns // 10**9, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def provenance(
    *,
    parameters: Mapping[str, object],
    bases: Mapping[str, str],
    began_ns: int,
    ended_ns: int,
    invocation: str,
    version: str,
) -> bytes:
    """The SLSA provenance of a build with these parameters; `bases` are the ids of images that it was made from."""
    materials = [
        {"uri": f"pkg:docker/{name}", "digest": {"sha256": id.removeprefix("sha256:")}}
        for name, id in sorted(bases.items())
    ]
    document = {
        "buildDefinition": {
            "buildType": "urn:shoal:dockerfile:v1",
            "externalParameters": dict(parameters),
            "internalParameters": {"builder": f"shoal {version}"},
            "resolvedDependencies": materials,
        },
        "runDetails": {
            "builder": {"id": "urn:shoal:engine"},
            "metadata": {
                "invocationId": invocation,
                "startedOn": rfc3339(began_ns),
                "finishedOn": rfc3339(ended_ns),
            },
        },
    }
    return json.dumps(document, sort_keys=True).encode()
