"""`./dev test parsers`: each target in a process of its own under atheris, which looks for ways through the code."""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

_MEMORY_MB = 1024
_INPUT_S = 10
_INPUT_BYTES = 8192


def main() -> int:
    """0 if no target stumbled; what made one stumble is in a file that is told."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=60, help="for each target (60)")
    parser.add_argument("--again", metavar="FILE", help="give the target this file alone, as an earlier run left it")
    parser.add_argument("targets", nargs="*", metavar="TARGET", help="(all)")
    options = parser.parse_args()
    from tests.fuzz.parsers.targets import TARGETS, feed

    unknown = set(options.targets) - set(TARGETS)
    if unknown:
        parser.error(f"there are no targets {', '.join(sorted(unknown))}, only {', '.join(TARGETS)}")
    names = options.targets or list(TARGETS)
    if options.again:
        for name in names:
            feed(TARGETS[name], Path(options.again).read_bytes())
        return 0
    return max(_fuzz(name, TARGETS[name].seeds, options.seconds) for name in names)


def _fuzz(name: str, seeds: tuple[bytes, ...], seconds: int) -> int:
    with tempfile.TemporaryDirectory(prefix="shoal-fuzz-") as corpus:
        for number, seed in enumerate(seeds):
            (Path(corpus) / f"seed-{number}").write_bytes(seed)
        limits = [f"-max_total_time={seconds}", f"-rss_limit_mb={_MEMORY_MB}", f"-timeout={_INPUT_S}"]
        words = [*limits, f"-max_len={_INPUT_BYTES}", f"-artifact_prefix=fuzz-{name}-", corpus]
        print(f"== {name}, {seconds} s", flush=True)
        return subprocess.run([sys.executable, "-m", "tests.fuzz.parsers.run", name, *words], check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
