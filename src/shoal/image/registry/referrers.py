"""What refers to an image in its registry: signatures, lists of contents. OCI distribution-spec §Listing Referrers."""

from __future__ import annotations

import re
from collections.abc import Sequence
from urllib.parse import urljoin

from shoal.errors import InvalidArgument
from shoal.image.registry.failures import Refused
from shoal.image.registry.manifests import MANIFEST_MAX, decode_index
from shoal.image.registry.session import Session
from shoal.oci.descriptor import Descriptor
from shoal.oci.digest import Digest

_PAGES_MAX = 1000
_NEXT = re.compile(r'<([^>]+)>\s*;\s*rel="?next"?')


def list_referrers(session: Session, digest: Digest) -> Sequence[Descriptor]:
    """The manifests whose subject is `digest`; where the registry keeps no such list, what the tag for it lists.

    Raises: Refused, Unreachable, InvalidArgument.
    """
    url, found = session.url(f"referrers/{digest}"), list[Descriptor]()
    for _ in range(_PAGES_MAX):
        try:
            raw, response = session.fetch(url, MANIFEST_MAX)
        except Refused as error:
            if found or error.http_status != 404:
                raise
            return listed_by_tag(session, digest)
        found += decode_index(raw).manifests
        link = _NEXT.search(response.header("Link"))
        if link is None:
            return found
        url = urljoin(url, link[1])
        if not url.startswith(f"{session.endpoint.url}/"):
            raise InvalidArgument("invalid list of referrers", why="its next page is on another host")
    raise InvalidArgument("invalid list of referrers", why=f"it has more than {_PAGES_MAX} pages")


def tag_of_list(digest: Digest) -> str:
    """The tag of the index that lists what refers to `digest`. §Referrers Tag Schema."""
    return digest.replace(":", "-", 1)


def listed_by_tag(session: Session, digest: Digest) -> Sequence[Descriptor]:
    """What older registries have: an index under a tag. Raises: as `list_referrers`."""
    try:
        raw, _, _ = session.manifest(tag_of_list(digest))
    except Refused as error:
        if error.http_status == 404:
            return ()
        raise
    return decode_index(raw).manifests
