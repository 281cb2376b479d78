"""`./dev test soak [--seconds 600] [--seed N]`: random operations and random kills, for a long time (root)."""

from __future__ import annotations

import argparse
import contextlib
import random
import sys
import time

from tests.engines.shoald import Shoald
from tests.soak.soak import Soak


def main(words: list[str]) -> int:
    """0 where all held, 1 with the history of what did not."""
    parser = argparse.ArgumentParser(prog="./dev test soak", description=__doc__, allow_abbrev=False)
    parser.add_argument("--seconds", type=float, default=600, help="how long (600)")
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 30), help="of an earlier run, to repeat it")
    options = parser.parse_args(words)
    say = lambda text: print(f"{time.strftime('%H:%M:%S')} {text}", flush=True)  # noqa: E731
    say(f"seed {options.seed}, {options.seconds:.0f} s")
    engine = Shoald()
    with contextlib.closing(engine):
        engine.start()
        engine.import_busybox()
        soak = Soak(engine, options.seed, say=say)
        failures = soak.run(options.seconds)
        if failures:
            print("\n\n".join(failures))
            print(engine.log[-4000:])
    say(f"seed {options.seed}: {soak.history.operations} operations, {soak.kills} kills, {len(failures)} failures")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
