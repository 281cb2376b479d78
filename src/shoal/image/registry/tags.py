"""The tags of a repository in a registry, page by page. OCI distribution-spec §Listing Tags."""

from __future__ import annotations

import re
from urllib.parse import urljoin

from shoal.errors import InvalidArgument
from shoal.image.registry.session import Session
from shoal.oci.distribution import TagList
from shoal.oci.documents import decode_document

_PAGE_MAX = 8 << 20
_PAGES_MAX = 1000
_NEXT = re.compile(r'<([^>]+)>\s*;\s*rel="?next"?')


def all_tags(session: Session) -> list[str]:
    """Every tag of the session's repository. Raises: Refused, Unreachable, InvalidArgument."""
    url, found = session.url("tags/list"), list[str]()
    for _ in range(_PAGES_MAX):
        raw, response = session.fetch(url, _PAGE_MAX)
        found += decode_document(raw, TagList, "list of tags").tags or ()
        link = _NEXT.search(response.header("Link"))
        if link is None:
            return found
        following = urljoin(url, link[1])
        if not following.startswith(f"{session.endpoint.url}/"):
            raise InvalidArgument("invalid list of tags", why="its next page is on another host")
        url = following
    raise InvalidArgument("invalid list of tags", why=f"it has more than {_PAGES_MAX} pages")
