"""Image references by Docker's rules: `busybox`, `quay.io/a/b:1.2`, `debian@sha256:…`, an id, or a short id.

Pure. A reference is kept normalised (`docker.io/library/busybox`, tag `latest`) and shown familiar (`busybox:latest`).
Grammar: https://distribution.github.io/reference/ (the `reference` package of the distribution project); the error
sentences are those that Docker clients print and match on.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from shoal.errors import InvalidArgument
from shoal.oci.digest import Digest, parse_digest

DEFAULT_DOMAIN = "docker.io"
DEFAULT_TAG = "latest"
_LEGACY_DOMAIN = "index.docker.io"
_OFFICIAL_PREFIX = "library"
_NAME_MAX = 255

_ALPHANUMERIC = r"[a-z0-9]+"
_SEPARATOR = r"(?:[._]|__|-+)"
_COMPONENT = rf"{_ALPHANUMERIC}(?:{_SEPARATOR}{_ALPHANUMERIC})*"
_PATH = rf"{_COMPONENT}(?:/{_COMPONENT})*"
_DOMAIN_COMPONENT = r"(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])"
_HOST = rf"(?:{_DOMAIN_COMPONENT}(?:\.{_DOMAIN_COMPONENT})*|\[[a-fA-F0-9:]+\])"
_DOMAIN = rf"{_HOST}(?::[0-9]+)?"
_TAG = r"[a-zA-Z0-9_][a-zA-Z0-9_.-]{0,127}"
_DIGEST = r"[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,}"

_REFERENCE = re.compile(
    rf"(?:(?P<domain>{_DOMAIN})/)?(?P<path>{_PATH})(?::(?P<tag>{_TAG}))?(?:@(?P<digest>{_DIGEST}))?\Z"
)
_DOMAIN_ONLY = re.compile(rf"{_DOMAIN}\Z")
_TAG_ONLY = re.compile(rf"{_TAG}\Z")
_IDENTIFIER = re.compile(r"[a-f0-9]{64}\Z")
_ID_PREFIX = re.compile(r"(?:sha256:)?[a-f0-9]{1,64}\Z")

_FORMAT = "invalid reference format"


@dataclass(frozen=True, slots=True)
class Reference:
    """A normalised image name with an optional tag and digest."""

    domain: str
    path: str
    tag: str | None = None
    digest: Digest | None = None

    @classmethod
    def parse(cls, text: str) -> Reference:
        """The reference that a user's `text` means, normalised; no tag is added (see `with_default_tag`).

        Raises: InvalidArgument `invalid reference format` and its more exact forms.
        """
        if _IDENTIFIER.match(text):
            raise InvalidArgument(f"invalid repository name ({text})", why="cannot specify 64-byte hexadecimal strings")
        domain, remainder = _split_domain(text)
        if len(remainder) > 4096:
            raise InvalidArgument(_FORMAT)
        repository = re.split("[:@]", remainder, maxsplit=1)[0] if ":" in remainder else remainder.partition("@")[0]
        if repository.lower() != repository:
            raise InvalidArgument(_FORMAT, why=f"repository name ({repository}) must be lowercase")
        match = _REFERENCE.match(f"{domain}/{remainder}")
        if match is None or match["domain"] is None:
            raise InvalidArgument(_FORMAT)
        if len(match["domain"]) + 1 + len(match["path"]) > _NAME_MAX:
            raise InvalidArgument(f"repository name must not be more than {_NAME_MAX} characters")
        digest = parse_digest(match["digest"]) if match["digest"] else None
        return cls(match["domain"], match["path"], match["tag"], digest)

    @classmethod
    def of_repository(cls, repository: str, tag: str = "") -> Reference:
        """The reference that the API's `repo` and `tag` parameters make; `latest` where neither carries a tag.

        Raises: InvalidArgument; also when `repository` carries a digest.
        Source: Docker API v1.50 ImageTag.
        """
        reference = cls.parse(repository)
        if reference.digest is not None:
            raise InvalidArgument("refusing to create a tag with a digest reference")
        if tag:
            reference = reference.with_tag(tag)
        return reference.with_default_tag()

    @property
    def name(self) -> str:
        """The normalised name without tag and digest: `docker.io/library/busybox`."""
        return f"{self.domain}/{self.path}"

    @property
    def familiar_name(self) -> str:
        """The name as Docker shows it: `busybox`, `quay.io/a/b`."""
        if self.domain != DEFAULT_DOMAIN:
            return self.name
        first, slash, rest = self.path.partition("/")
        return rest if slash and first == _OFFICIAL_PREFIX and "/" not in rest else self.path

    def familiar(self) -> str:
        """The whole reference as Docker shows it: `busybox:latest`, `debian@sha256:…`."""
        return self.familiar_name + self._suffix()

    def normalised(self) -> str:
        """The whole reference, normalised: `docker.io/library/busybox:latest`."""
        return self.name + self._suffix()

    def with_tag(self, tag: str) -> Reference:
        """The same name with `tag`. Raises: InvalidArgument `invalid tag format`."""
        if not _TAG_ONLY.match(tag):
            raise InvalidArgument("invalid tag format", why=f"`{tag}`" if tag else "")
        return replace(self, tag=tag)

    def with_default_tag(self) -> Reference:
        """The same reference, with the tag `latest` if it has neither tag nor digest."""
        return replace(self, tag=DEFAULT_TAG) if self.tag is None and self.digest is None else self

    def _suffix(self) -> str:
        return (f":{self.tag}" if self.tag else "") + (f"@{self.digest}" if self.digest else "")

    def __str__(self) -> str:
        return self.normalised()


def parse_any(text: str) -> Reference | Digest:
    """What `text` may mean by its shape alone: a full id (64 digits or a digest), else a name.

    A short id has the shape of a name, too: only a store can tell (`could_be_id`).
    Raises: InvalidArgument.
    """
    if _IDENTIFIER.match(text):
        return Digest("sha256:" + text)
    if text.startswith("sha256:") and _IDENTIFIER.match(text[7:]):
        return Digest(text)
    return Reference.parse(text)


def is_domain(text: str) -> bool:
    """Whether text can be the domain of a reference: `HOST` or `HOST:PORT`, the host a name or an address."""
    return _DOMAIN_ONLY.match(text) is not None


def could_be_id(text: str) -> bool:
    """Whether `text` has the shape of an image id or of the beginning of one."""
    return _ID_PREFIX.match(text) is not None


def _split_domain(text: str) -> tuple[str, str]:
    """The registry's host and the rest of a name; a host has `.`, `:` or an upper-case letter, or is `localhost`."""
    first, slash, rest = text.partition("/")
    is_host = bool(slash) and ("." in first or ":" in first or first == "localhost" or first.lower() != first)
    domain, remainder = (first, rest) if is_host else (DEFAULT_DOMAIN, text)
    if domain == _LEGACY_DOMAIN:
        domain = DEFAULT_DOMAIN
    if domain == DEFAULT_DOMAIN and "/" not in remainder:
        remainder = f"{_OFFICIAL_PREFIX}/{remainder}"
    return domain, remainder
