"""Creating a container from flags, for `run` and `create`: pull policy, warnings, the file with its id."""

from __future__ import annotations

import os

from shoal.cli.arguments import UsageError
from shoal.cli.container.flags import ContainerOptions
from shoal.cli.context import Context
from shoal.cli.endpoint import default_address
from shoal.cli.proxies import proxy_variables
from shoal.cli.references import split_tag, with_default_tag
from shoal.client.document import Json
from shoal.errors import InvalidArgument, NotFound

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

_PULL_POLICIES = ("always", "missing", "never")


def create_container(options: ContainerOptions, body: Mapping[str, Json], context: Context) -> str:
    """The id of the new container; an image that is missing is pulled unless `--pull never`.

    Raises: InvalidArgument, NotFound, and whatever else the engine answers.
    """
    if options.pull not in _PULL_POLICIES:
        raise UsageError(f'invalid pull option: \'{options.pull}\': must be one of "always", "missing" or "never"')
    if options.cidfile and os.path.exists(options.cidfile):
        raise InvalidArgument(
            f"container ID file found, make sure the other container isn't running or delete {options.cidfile}"
        )
    given = body.get("Env")
    env = [str(each) for each in given] if isinstance(given, list) else []
    if proxies := proxy_variables(context.config_directory, default_address(context), env):
        body = {**body, "Env": [*env, *proxies]}
    if options.pull == "always":
        _pull(options, context)
    containers = context.client.containers
    try:
        created = containers.create(body, name=options.name, platform=options.platform)
    except NotFound as error:
        if options.pull != "missing" or "no such image" not in str(error).lower():
            raise
        context.warn(f"Unable to find image '{with_default_tag(options.image)}' locally")
        _pull(options, context)
        created = containers.create(body, name=options.name, platform=options.platform)
    for warning in created.texts("Warnings"):
        context.warn(f"WARNING: {warning}")
    container_id = created.text("Id")
    if options.cidfile:
        _write_id(options.cidfile, container_id)
    return container_id


def _pull(options: ContainerOptions, context: Context) -> None:
    repo, tag = split_tag(with_default_tag(options.image))
    # Only a pull needs these.
    from shoal.cli.registry_auth import RegistryAuth
    from shoal.cli.transfers import show_transfer

    auth = RegistryAuth(context.config_directory).header(repo)
    messages = context.client.images.pull(repo, tag=tag, platform=options.platform, auth=auth)
    context.stdout.flush()
    show_transfer(messages, context.stderr, context.environment, quiet=options.quiet)


def _write_id(path: str, container_id: str) -> None:
    try:
        with open(path, "x", encoding="ascii") as file:
            file.write(container_id)
    except OSError as error:
        raise InvalidArgument(f"failed to create the container ID file {path}", why=error.strerror or "") from None
