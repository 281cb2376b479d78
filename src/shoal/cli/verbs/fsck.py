"""`shoal fsck`: every digest, reference and snapshot of the image store, verified and mended by the engine."""

from __future__ import annotations

from shoal.cli.arguments import Flags, Parser
from shoal.cli.context import Context
from shoal.cli.quantities import decimal_size
from shoal.cli.registry_auth import RegistryAuth
from shoal.client.document import Document, json_text


class Options(Flags):
    """The parsed flags."""

    repair: bool
    format: str


def configure(parser: Parser) -> None:
    """Adds the flags of the verb, which Docker does not have."""
    parser.toggle(
        "--repair",
        dest="repair",
        help="Mend what can be mended, from registries where they have it; remove what is lost",
    )
    parser.text("--format", dest="format", help="json, for an object a line")


def run(options: Options, context: Context) -> int:
    """0 if nothing is wrong, or all of it is mended by now; 1 if something is left. A line for each finding."""
    left = found = 0
    last = Document({})
    auths = RegistryAuth(context.config_directory).every_header() if options.repair else ""
    for step in context.client.system.fsck(repair=options.repair, registry_config=auths):
        if not step.text("Cause"):
            last = step
            continue
        found += 1
        left += not step.flag("Mended")
        if options.format == "json":
            context.print(json_text(step.raw))
            continue
        context.print(f"{'mended' if step.flag('Mended') else 'wrong'}: {step.text('Sentence')}")
        if step.text("Hint"):
            context.print(f"  hint: {step.text('Hint')}")
    if options.format == "json":
        context.print(json_text(last.raw))
        return 1 if left else 0
    looked = f"{last.number('Images')} images, {last.number('Layers')} layers ({decimal_size(last.number('Size'))})"
    outcome = f"{found} found wrong, {left} left" if found else "nothing is wrong"
    context.print(f"{looked} and {last.number('Snapshots')} snapshots verified: {outcome}")
    return 1 if left else 0
