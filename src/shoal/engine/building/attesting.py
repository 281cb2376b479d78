"""Attests what a build has made: its packages, and how it was built."""

from __future__ import annotations

import asyncio
from secrets import token_hex

from shoal import __version__
from shoal.api.build import BuildOptions
from shoal.build.attesting.packages import packages_of
from shoal.build.attesting.predicates import SLSA, SPDX, provenance, spdx_document
from shoal.build.building import Build
from shoal.build.request import Built
from shoal.engine.building.git import without_userinfo
from shoal.engine.building.layers import BuildLayers
from shoal.image.attestations import Attestation, Attestations


async def attest(
    options: BuildOptions,
    build: Build,
    built: Built,
    times_ns: tuple[int, int],
    layers: BuildLayers,
    kept: Attestations,
) -> None:
    """Nothing, once what `options` ask for is attested of the image. `times_ns` are when the build began and ended.

    Raises: OSError; Internal for a full disk.
    """
    state = build.result
    found: list[Attestation] = []
    if options.sbom and state is not None:
        packages = await asyncio.to_thread(lambda: packages_of(layers.view(state.chain_ids)))
        name = options.tags[0] if options.tags else built.image_id
        found.append(Attestation(SPDX, spdx_document(name, packages, state.time_ns, __version__)))
    if options.provenance and state is not None:
        document = provenance(
            parameters=_parameters(options),
            bases=build.bases,
            began_ns=times_ns[0],
            ended_ns=times_ns[1],
            invocation=token_hex(16),
            version=__version__,
        )
        found.append(Attestation(SLSA, document))
    if found:
        await asyncio.to_thread(kept.put, built.image_id, found)


def _parameters(options: BuildOptions) -> dict[str, object]:
    """What the build was asked for; values that a user gave only where the whole is wanted. Never a secret."""
    told: dict[str, object] = {
        "frontend": "dockerfile.v0",
        "source": without_userinfo(options.remote) or "context",
        "dockerfile": options.dockerfile,
        "target": options.target,
        "platform": options.platform,
    }
    if options.provenance == "max":
        told["buildArguments"] = dict(options.arguments)
        told["labels"] = dict(options.labels)
        told["secrets"] = sorted(options.secrets)
        told["ssh"] = sorted(options.ssh)
    return told
