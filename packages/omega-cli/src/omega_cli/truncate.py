"""`omega truncate`: an `.omega` file made smaller, without model or torch."""

from typing import Annotated

import typer

from omega_cli.input_files import STANDARD_INPUT, Input, input_place, opened_input
from omega_cli.messages import say
from omega_cli.options import Overwrite, Quiet, SkipExisting
from omega_cli.output_files import Existing, Output, output_option, write_output
from omega_core.errors import RateError


def truncate(
    file: Annotated[
        Input,
        typer.Argument(parser=input_place, metavar="FILE", help="An .omega file or its URL, or - for standard input."),
    ],
    output: Annotated[
        Output,
        output_option("The file to write, a folder for it, a URL of one, or - for standard output."),
    ],
    bpp: Annotated[float | None, typer.Option(help="Largest rate of the result, in bits per pixel.")] = None,
    max_bytes: Annotated[int | None, typer.Option(help="Largest size of the result, in bytes.")] = None,
    overwrite: Overwrite = False,
    skip_existing: SkipExisting = False,
    quiet: Quiet = False,
) -> None:
    """Shorten an .omega file to any number of bytes, without its model."""
    from omega_core.format.packs import read_coded
    from omega_core.format.rate_control import Rate
    from omega_core.format.rate_control import truncate as truncated

    if Rate(bpp=bpp, max_bytes=max_bytes) == Rate():
        raise RateError("truncate to what? Give --bpp or --max-bytes.")
    existing = Existing.of(overwrite, skip_existing)
    target = output.file("stdin.omega" if file == STANDARD_INPUT else file.name)
    if existing.keeps(target):
        return
    with opened_input(file) as stream:
        data = read_coded(stream)
    result = truncated(data, bpp=bpp, max_bytes=max_bytes)
    write_output(target, result, existing)
    if not (quiet or output.is_standard_output):
        say(f"{len(data)} → {len(result)} bytes")
