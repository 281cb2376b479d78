"""`shoal context create`: gives an engine a name."""

from __future__ import annotations

from shoal.cli.arguments import Flags, Parser, WrongWords
from shoal.cli.context import Context
from shoal.cli.contexts import TLS_FILES, ContextStore, StoredContext
from shoal.client.transport import parse_host
from shoal.errors import InvalidArgument, NotFound

_KEYS = ("host", "ca", "cert", "key", "skip-tls-verify", "from")
_HOST_FIX = "write --docker host=ssh://HOST, host=tcp://HOST:2376,ca=…,cert=…,key=…, or host=unix://PATH"


class Options(Flags):
    """The parsed flags."""

    description: str
    docker: list[str]
    origin: str
    name: str


def configure(parser: Parser) -> None:
    """Adds the flags of `docker context create`."""
    parser.text("--description", dest="description", help="Description of the context")
    parser.texts("--docker", dest="docker", help="The engine: host=ADDRESS[,ca=FILE,cert=FILE,key=FILE]", metavar="map")
    parser.text("--from", dest="origin", help="Create it from the context of this name")
    parser.add_argument("name", metavar="CONTEXT")


def run(options: Options, context: Context) -> int:
    """Keeps it, and prints its name."""
    store = ContextStore(context.config_directory)
    if options.origin and options.docker:
        raise WrongWords("cannot use --docker flag when --from is set", fix="leave one of them out")
    if options.origin:
        made = store.get(options.origin)
        made.name = options.name
        made.description = options.description or made.description
    elif options.docker:
        made = put_endpoint(StoredContext(options.name, options.description), options.docker, store)
    else:
        raise WrongWords("docker endpoint configuration is required", fix=_HOST_FIX)
    store.add(made)
    context.print(options.name)
    context.warn(f'Successfully created context "{options.name}"')
    return 0


def put_endpoint(stored: StoredContext, words: list[str], store: ContextStore) -> StoredContext:
    """`stored` with the engine that `key=value,…` words tell. Raises: InvalidArgument, NotFound."""
    settings = _settings(words)
    origin = settings.get("from", "")
    if origin:
        source = store.get(origin)
        stored.host, stored.skip_verify, stored.tls = source.host, source.skip_verify, source.tls
    stored.host = settings.get("host", stored.host)
    if not stored.host:
        raise InvalidArgument("docker endpoint configuration is required", fix=_HOST_FIX)
    parse_host(stored.host)
    stored.skip_verify = settings.get("skip-tls-verify", str(stored.skip_verify)).lower() in ("true", "1", "t")
    given = {
        name: _content(settings[key])
        for key, name in zip(("ca", "cert", "key"), TLS_FILES, strict=True)
        if settings.get(key)
    }
    stored.tls = {**stored.tls, **given}
    return stored


def _settings(words: list[str]) -> dict[str, str]:
    settings = {}
    for part in ",".join(words).split(","):
        key, equals, value = part.partition("=")
        if not equals:
            raise InvalidArgument(f"{part} must be formatted as key=value", fix=_HOST_FIX)
        if key not in _KEYS:
            raise InvalidArgument(f"unrecognized config key: {key}", fix=f"one of {', '.join(_KEYS)}")
        settings[key] = value
    return settings


def _content(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError as error:
        raise NotFound(f"unable to read {path}", why=error.strerror or "") from None
