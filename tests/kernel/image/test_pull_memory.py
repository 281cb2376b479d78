"""What a pull takes of memory does not depend on what it pulls."""

from __future__ import annotations

import os

from tests.engines.big_image import MIB, keep_big_image, peak_bytes, reset_peak
from tests.kernel.image.forked import run_forked
from tests.kernel.image.pulls import Puller, open_store

ZEROS_MIB, NOISE_MIB = 320, 24
MOST_ABOVE_REST_BYTES = 64 * MIB


def test_pull_of_a_big_layer_takes_little_memory(puller: Puller) -> None:
    """A layer of hundreds of megabytes goes through a few pieces: under 64 MiB above what the process has at rest."""
    keep_big_image(puller.registry, "big", zeros_mib=ZEROS_MIB, noise_mib=NOISE_MIB)

    def pull() -> None:
        puller.store = open_store(puller.scratch.parent.parent)
        puller.pull()  # what a first pull loads, libraries above all, is no matter of size
        before = reset_peak(os.getpid())
        puller.pull("big")
        assert puller.store.layers_size() > ZEROS_MIB * MIB
        assert peak_bytes(os.getpid()) - before < MOST_ABOVE_REST_BYTES

    run_forked(pull)
