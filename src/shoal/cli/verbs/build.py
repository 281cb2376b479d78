"""`shoal build`: an image from a Dockerfile, with its steps shown as they happen."""

from __future__ import annotations

from shoal.cli.arguments import Parser
from shoal.cli.building.caches import bring_caches, caches_to, sent_caches
from shoal.cli.building.outputs import Output, deliver, parse_outputs
from shoal.cli.building.progress import Progress, can_draw
from shoal.cli.building.proving import prove
from shoal.cli.building.request import BuildFlags, build_query, secrets_header
from shoal.cli.building.sending import Sending, sending
from shoal.cli.context import Context
from shoal.cli.exits import ExitCode
from shoal.cli.registry_auth import RegistryAuth
from shoal.cli.shelling import shell_in
from shoal.client.document import Document
from shoal.errors import Conflict, Internal, InvalidArgument

TYPE_CHECKING = False
if TYPE_CHECKING:
    from shoal.cli.building.live import LiveProgress

Options = BuildFlags


def configure(parser: Parser) -> None:
    """Adds the flags of `docker build`, and shoal's own."""
    parser.text("-f", "--file", dest="file", help="Name of the Dockerfile (PATH/Dockerfile); - is standard input")
    parser.texts("-t", "--tag", dest="tags", help="Name of the image, NAME[:TAG]; may be given several times")
    parser.texts("--build-arg", dest="build_args", help="Value of an ARG: NAME=VALUE, or NAME for the environment's")
    parser.texts("--label", dest="labels", help="Label of the image: NAME=VALUE")
    parser.text("--target", dest="target", help="Stage to build")
    parser.toggle("--no-cache", dest="no_cache", help="Make every step anew")
    parser.toggle("--pull", dest="pull", help="Look for newer base images")
    parser.texts(
        "--cache-from", dest="cache_from", help="Caches to use: an image, or type=registry|local,ref=NAME,src=PATH"
    )
    parser.texts("--cache-to", dest="cache_to", help="Where to: type=inline|registry|local,ref=NAME,dest=PATH,mode=max")
    parser.toggle("-q", "--quiet", dest="quiet", help="Show the id of the image alone")
    parser.text("--progress", dest="progress", default="auto", metavar="auto|plain|quiet", help="What is shown")
    parser.text("-o", "--output", dest="output", help="Where to: type=local|tar|oci|docker,dest=PATH")
    parser.toggle("--sbom", dest="sbom", help="Attest the packages in the image, as SPDX")
    parser.text("--provenance", dest="provenance", metavar="true|mode=max", help="Attest how the image was built")
    parser.text("--iidfile", dest="iidfile", metavar="FILE", help="Write the id of the image to this file")
    parser.text("--platform", dest="platform", help="Platform to build for")
    parser.texts("--secret", dest="secrets", help="File for RUN --mount=type=secret: id=NAME,src=FILE or env=VARIABLE")
    parser.texts("--ssh", dest="ssh", help="Agent for RUN --mount=type=ssh: default, or NAME=SOCKET")
    parser.text("--why", dest="why", metavar="STEP", help="Say why this step (a number, or all) is made anew")
    parser.toggle("--prove", dest="prove", help="Build twice under other conditions, and compare")
    parser.toggle("--shell-on-error", dest="shell_on_error", help="Open a shell in what a failed RUN left")
    _add_limits(parser)
    parser.add_argument("path", metavar="PATH|URL|-")


def _add_limits(parser: Parser) -> None:
    parser.text("--network", dest="network", help="Network of RUN: default, none, host, or a network's name")
    parser.texts("--add-host", dest="add_host", help="Name of a host for RUN: NAME:ADDRESS")
    parser.text("-m", "--memory", dest="memory", metavar="bytes", help="Memory limit of RUN")
    parser.text("--memory-swap", dest="memory_swap", metavar="bytes", help="Memory and swap of RUN; -1 is unlimited")
    parser.integer("-c", "--cpu-shares", dest="cpu_shares", help="Weight of RUN among others")
    parser.integer("--cpu-period", dest="cpu_period", help="Length of a period in microseconds")
    parser.integer("--cpu-quota", dest="cpu_quota", help="Microseconds of a processor in a period")
    parser.text("--cpuset-cpus", dest="cpuset_cpus", help="Processors of RUN (0-3, 0,1)")
    parser.text("--cpuset-mems", dest="cpuset_mems", help="Memory nodes of RUN (0-3, 0,1)")
    parser.text("--cgroup-parent", dest="cgroup_parent", help="Control group above RUN's own")
    parser.text("--shm-size", dest="shm_size", metavar="bytes", help="Size of /dev/shm")
    parser.texts("--ulimit", dest="ulimits", help="Limit of RUN: NAME=SOFT[:HARD]")
    parser.text("--isolation", dest="isolation", help="default, or vm: run commands in virtual machines")
    parser.toggle("--squash", dest="squash", hidden=True, help="Not supported")
    for name in ("--rm", "--force-rm", "--compress", "--disable-content-trust"):
        parser.toggle(name, dest="unused", hidden=True, help="Does nothing")


def run(options: BuildFlags, context: Context) -> int:
    """Builds it, and prints the id where nothing else is shown. The exit code of a failed RUN is the verb's."""
    if options.progress not in ("auto", "plain", "quiet"):
        raise InvalidArgument(f"invalid value for --progress: {options.progress}", fix="write auto, plain or quiet")
    output = parse_outputs(options.output)
    if options.prove:
        return prove(options, context, _built)
    wanted = caches_to(options.cache_to or [])
    image_id = _built(options, context)
    bring_caches(wanted, image_id, context)
    _deliver(output, image_id, options, context)
    if options.quiet or options.progress == "quiet":
        context.print(image_id)
    return 0


def _deliver(output: Output | None, image_id: str, options: BuildFlags, context: Context) -> None:
    if options.iidfile:
        with open(options.iidfile, "w", encoding="ascii") as file:
            file.write(image_id)
    if output is not None:
        deliver(output, image_id, options.tags or [], context)


def _built(options: BuildFlags, context: Context, *, changed_s: int = 0) -> str:
    """The id of the image. Raises: what the engine refuses; ExitCode with that of a RUN."""
    sent = sending(options.path, options.file, context, changed_s=changed_s)
    try:
        return _build(sent, options, context)
    except Conflict:
        if sent.kept in ("", "new"):
            raise
    # Another build has taken the context that was to be changed, or it is gone.
    return _build(sending(options.path, options.file, context, whole=True), options, context)


def _build(sent: Sending, options: BuildFlags, context: Context) -> str:
    caches = [] if options.no_cache else sent_caches(options.cache_from or [], context)
    query = build_query(options, sent, caches, context.environment)
    headers = secrets_header(options, context.environment)
    headers["X-Registry-Config"] = RegistryAuth(context.config_directory).every_header()
    quiet = options.quiet or options.progress == "quiet"
    image_id = ""
    failure: Document | None = None
    with _progress(options, context, quiet=quiet) as progress:
        for message in context.client.images.build(sent.chunks, query, headers):
            if message.text("error"):
                failure = message
                progress.fail()
                break
            image_id = message.text("aux", "ID") or image_id
            if sent.note is not None and message.text("aux", "Context"):
                sent.note(message.text("aux", "Context"))
            progress.show(message)
    if failure is not None:
        _fail(failure, options, context)
    if not image_id:
        raise Internal("the build broke off", why="the engine ended the answer without a result")
    return image_id


def _progress(options: BuildFlags, context: Context, *, quiet: bool) -> Progress | LiveProgress:
    if options.progress == "auto" and not quiet and can_draw(context):
        from shoal.cli.building.live import LiveProgress  # threads, which nobody else needs

        return LiveProgress(context, why=options.why)
    return Progress(context, quiet=quiet, why=options.why)


def _fail(message: Document, options: BuildFlags, context: Context) -> None:
    """Raises: ExitCode, after a shell in what is left, if it was asked for."""
    image = message.text("errorDetail", "image")
    code = message.number("errorDetail", "code")
    if options.quiet or options.progress == "quiet":
        context.stderr.write(message.text("why"))  # the end of its output, which was not shown
    fix = message.text("fix")
    if image:
        short = image.removeprefix("sha256:")[:12]
        fix = f"look around in what it left: shoal debug {short}"
        if options.shell_on_error:
            context.warn(message.text("error"))
            shell_in(image, context)
            raise ExitCode(code or 1)
    raise ExitCode(code or 1, Internal(message.text("error"), fix=fix))
