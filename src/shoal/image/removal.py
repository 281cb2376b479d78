"""`docker rmi`: Docker's rules of what a name or an id removes, and when it must be forced.

By name: the name goes, and with the last name the image. By id: the image goes, if it has one name at most (or by
force). A container, or an image made on top, stands in the way; a running container does even against force.
Source: Docker API v1.50 ImageDelete, and the sentences that Docker's clients show.
"""

from __future__ import annotations

from collections.abc import Sequence

from shoal.errors import Conflict
from shoal.image.catalog import Catalog
from shoal.image.image import Deleted, Image, ImageId, ImageUser, InUse, Removal, Untagged
from shoal.oci.digest import short_id
from shoal.oci.reference import Reference

_CHILDREN, _RUNNING, _NAMES, _STOPPED = "children", "running", "names", "stopped"
_HARD = frozenset((_CHILDREN, _RUNNING))  # not even by force
_SOFT = frozenset((_NAMES, _STOPPED))


class _InTheWay(Conflict):
    """The image can't be deleted; `by_container` if that is why."""

    __slots__ = ("by_container",)

    def __init__(self, image_id: ImageId, message: str, *, hard: bool, by_container: bool) -> None:
        how = "cannot be forced" if hard else "must be forced"
        fix = "" if hard else "repeat with force (`-f`)"
        super().__init__(f"conflict: unable to delete {short_id(image_id)} ({how}) - {message}", fix=fix)
        self.by_container = by_container


class Remover:
    """Carries one removal out; the caller holds the catalog's lock."""

    def __init__(self, catalog: Catalog, in_use: InUse, *, force: bool, prune: bool) -> None:
        self._catalog = catalog
        self._in_use = in_use
        self._force = force
        self._prune = prune
        self._done: list[Removal] = []

    def remove(self, text: str) -> list[Removal]:
        """What was removed for the user's `text`. Raises: NotFound, Conflict; nothing has changed then."""
        image = self._catalog.resolve(text)
        if _is_id_of(image.id, text):
            self._by_id(image)
        else:
            self._by_name(image, text)
        return self._done

    def _by_name(self, image: Image, text: str) -> None:
        """Untag, and delete the image if that was its last name."""
        users = self._in_use(image.id)
        if not self._force and _is_single(image.references) and users:
            user = short_id(users[0].container_id)
            raise Conflict(
                f'conflict: unable to remove repository reference "{text}" (must force) - container {user} is using'
                f" its referenced image {short_id(image.id)}",
                fix=f"remove the container (`docker rm {user}`), or repeat with force (`-f`)",
            )
        reference = Reference.parse(text).with_default_tag()
        self._untag([reference])
        left = self._names(image)
        if reference.digest is None and not any(ref.name == reference.name and ref.digest is None for ref in left):
            # The repository's last tag is gone: its digests go as well.
            self._untag([ref for ref in left if ref.name == reference.name])
            left = self._names(image)
        if not left:
            self._delete(image.id, quiet=True)

    def _by_id(self, image: Image) -> None:
        """Delete the image with all its names, if they are in one repository or by force."""
        if _is_single(image.references):
            checks = _HARD if self._force else _HARD | {_STOPPED}
            conflict = self._conflict(image.id, checks)
            if conflict is not None:
                raise conflict
            self._untag(image.references)
        self._delete(image.id, quiet=False)

    def _delete(self, image_id: ImageId, *, quiet: bool) -> None:
        """Delete the image, and with `prune` its nameless parents.

        `quiet`: the names were what the user wanted gone; an image that must stay is no error.
        """
        conflict = self._conflict(image_id, _HARD if self._force else _HARD | _SOFT)
        if conflict is not None:
            if quiet and (not self._is_dangling(image_id) or conflict.by_container):
                return
            raise conflict
        image = self._catalog.get(image_id)
        if image is None:
            return
        self._untag(image.references)
        layers = self._catalog.delete(image_id)
        self._done += [Deleted(image_id), *(Deleted(chain_id) for chain_id in layers)]
        if self._prune and image.parent is not None and self._catalog.get(image.parent) is not None:
            parent = Remover(self._catalog, self._in_use, force=False, prune=True)
            parent._delete_if_loose(image.parent)
            self._done += parent._done

    def _delete_if_loose(self, image_id: ImageId) -> None:
        if self._conflict(image_id, _HARD | _SOFT) is None:
            self._delete(image_id, quiet=True)

    def _conflict(self, image_id: ImageId, checks: frozenset[str]) -> _InTheWay | None:
        """The first of `checks` that stands in the way."""
        if _CHILDREN in checks and self._catalog.children(image_id):
            return _InTheWay(image_id, "image has dependent child images", hard=True, by_container=False)
        users = self._in_use(image_id)
        running = _first(users, is_running=True)
        if _RUNNING in checks and running is not None:
            message = f"image is being used by running container {short_id(running.container_id)}"
            return _InTheWay(image_id, message, hard=True, by_container=True)
        image = self._catalog.get(image_id)
        if _NAMES in checks and image is not None and image.references:
            return _InTheWay(image_id, "image is referenced in multiple repositories", hard=False, by_container=False)
        stopped = _first(users, is_running=False)
        if _STOPPED in checks and stopped is not None:
            message = f"image is being used by stopped container {short_id(stopped.container_id)}"
            return _InTheWay(image_id, message, hard=False, by_container=True)
        return None

    def _untag(self, references: Sequence[Reference]) -> None:
        self._catalog.untag(references)
        self._done += [Untagged(reference.familiar()) for reference in references]

    def _names(self, image: Image) -> tuple[Reference, ...]:
        now = self._catalog.get(image.id)
        return now.references if now is not None else ()

    def _is_dangling(self, image_id: ImageId) -> bool:
        image = self._catalog.get(image_id)
        return image is not None and not image.references and not self._catalog.children(image_id)


def _first(users: Sequence[ImageUser], *, is_running: bool) -> ImageUser | None:
    return next((user for user in users if user.is_running is is_running), None)


def _is_id_of(image_id: ImageId, text: str) -> bool:
    """Whether the user wrote (the beginning of) the id, and not a name."""
    return image_id.startswith(text) or image_id.partition(":")[2].startswith(text)


def _is_single(references: Sequence[Reference]) -> bool:
    """Whether the image has one name at most; digests of the same repository don't count."""
    tags = [reference for reference in references if reference.digest is None]
    digests = {reference.name for reference in references if reference.digest is not None}
    if len(references) <= 1:
        return True
    if len(tags) > 1:
        return False
    name = tags[0].name if tags else references[0].name
    return digests == {name}
