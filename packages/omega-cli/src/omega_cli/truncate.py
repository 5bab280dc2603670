"""`omega truncate`: makes an `.omega` file smaller, without its model and without PyTorch."""

from typing import Annotated

import typer

from omega_cli.input_files import STANDARD_INPUT, Input, input_argument, opened_input
from omega_cli.messages import say
from omega_cli.options import Overwrite, Quiet, SkipExisting
from omega_cli.output_files import Existing, Output, output_option, write_output
from omega_core.errors import RateError


def truncate(
    file: Annotated[Input, input_argument("An .omega file or its URL, or - for standard input.", metavar="FILE")],
    output: Annotated[Output, output_option("A file, a folder or a URL, or - for standard output.")],
    bpp: Annotated[
        float | None, typer.Option(metavar="BITS", help="Limit the file to this many bits per pixel.")
    ] = None,
    max_bytes: Annotated[int | None, typer.Option(metavar="BYTES", help="Limit the file to this many bytes.")] = None,
    overwrite: Overwrite = False,
    skip_existing: SkipExisting = False,
    quiet: Quiet = False,
) -> None:
    """Make an .omega file smaller, without its model.

    A file that was made with effort 0 becomes what `omega compress` would have written with this limit.
    """
    from omega_core.format.packs import read_coded
    from omega_core.format.rate_control import Rate
    from omega_core.format.rate_control import truncate as truncated

    if Rate(bpp=bpp, max_bytes=max_bytes) == Rate():
        raise RateError("truncate needs a size: use --bpp or --max-bytes.")
    existing = Existing.of(overwrite, skip_existing)
    target = output.file("stdin.omega" if file == STANDARD_INPUT else file.name)
    if existing.keeps(target):
        return
    with opened_input(file) as stream:
        data = read_coded(stream)
    result = truncated(data, bpp=bpp, max_bytes=max_bytes)
    write_output(target, result, existing)
    if not (quiet or output.is_standard_output):
        say(f"{len(data):,} → {len(result):,} bytes, in {target}")
