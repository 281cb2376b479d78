"""Names of containers: Docker's rule for given names, and made-up ones for the rest. Pure but for the given chooser."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from shoal.errors import InvalidArgument

_ALLOWED = re.compile(r"/?[a-zA-Z0-9][a-zA-Z0-9_.-]+")

_MOODS = """
    agile amber ample azure brave bright brisk calm candid clever coral cosy crisp curious daring deep eager
    early easy fair fleet fluent fond frank fresh gentle glad golden grand happy hardy honest humble jolly keen
    kind lively lucid lucky mellow merry mild modest neat nimble noble patient placid plucky polite proud quick
    quiet rapid ready robust serene sharp silver sleek smooth snug sober solid spry steady stout sturdy subtle
    sunny swift tidy tranquil trusty upbeat vivid warm wise witty zesty
""".split()  # noqa: SIM905 - a list of words reads best as words

_SWIMMERS = """
    anchovy angelfish barbel barracuda bass bleak blenny bluefish bonito bream brill carp catfish char chub
    cichlid cod dab dace damselfish dory eel elver flounder garfish goby gourami grayling grouper guppy gurnard
    haddock hake halibut herring huchen lamprey ling loach lumpfish mackerel marlin minnow molly moray mullet
    opah perch pike pilchard piranha plaice pollock pomfret puffer ray remora roach salmon sardine saury sculpin
    seahorse shad shanny smelt snapper sole sprat stickleback sturgeon sunfish tarpon tench tetra tilapia trout
    tuna turbot wahoo weever whiting wrasse zander
""".split()  # noqa: SIM905 - a list of words reads best as words


def normalise_name(name: str) -> str:
    """`name` without a leading slash.

    Raises: InvalidArgument with Docker's sentence where the name breaks the rule (Docker API v1.50 ContainerCreate).
    """
    if not _ALLOWED.fullmatch(name):
        raise InvalidArgument(
            f"Invalid container name ({name}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed",
            fix="use at least two characters, the first a letter or a digit",
        )
    return name.removeprefix("/")


def invent_name(is_taken: Callable[[str], bool], choose: Callable[[Sequence[str]], str]) -> str:
    """A name like `quick_salmon` that is not taken; `choose` picks one of a sequence."""
    while True:
        name = f"{choose(_MOODS)}_{choose(_SWIMMERS)}"
        if not is_taken(name):
            return name
        name = f"{name}{choose('0123456789')}{choose('0123456789')}{choose('0123456789')}"
        if not is_taken(name):
            return name
