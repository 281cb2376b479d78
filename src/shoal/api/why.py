"""Why something does not work, on the wire: an addition of shoal's, GET /containers/ID/why/…."""

from __future__ import annotations

from shoal.api.wire import Wire


class PortVerdict(Wire, kw_only=True):
    """What is wrong on the way to a container's port.

    `cause` is a word for programs, "" where all is well; `sentence` and `hint` are for people. Also of a healthy port
    `cause` may tell a limit that was asked for. `published` is where clients find it.
    """

    name: str
    port: str
    healthy: bool
    cause: str = ""
    sentence: str = ""
    hint: str = ""
    published: list[str] = []


class NameVerdict(Wire, kw_only=True):
    """The first thing that is wrong on the way from a container to the answer about a name.

    `cause` is a word for programs, "" where all is well; `sentence` and `hint` are for people. `addresses` are what the
    container gets.
    """

    name: str
    asked: str
    healthy: bool
    cause: str = ""
    sentence: str = ""
    hint: str = ""
    addresses: list[str] = []
