"""`omega truncate`: an `.omega` file made smaller, without model or torch."""

from pathlib import Path
from typing import Annotated

import typer

from omega_cli.input_files import STANDARD_INPUT, input_path, standard_input
from omega_cli.messages import say
from omega_cli.options import Overwrite, Quiet, SkipExisting
from omega_cli.output_files import Existing, Output, output_option, write_output
from omega_core.errors import RateError


def truncate(
    file: Annotated[
        Path, typer.Argument(parser=input_path, metavar="FILE", help="An .omega file, or - for standard input.")
    ],
    output: Annotated[
        Output,
        output_option("The file to write, a folder for it, or - for standard output."),
    ],
    channels: Annotated[int | None, typer.Option(help="Channels to keep.")] = None,
    bpp: Annotated[float | None, typer.Option(help="Largest rate of the result, in bits per pixel.")] = None,
    max_bytes: Annotated[int | None, typer.Option(help="Largest size of the result, in bytes.")] = None,
    overwrite: Overwrite = False,
    skip_existing: SkipExisting = False,
    quiet: Quiet = False,
) -> None:
    """Shorten an .omega file to one of its cuts, without its model."""
    from omega_core.file_io import bytes_of
    from omega_core.format.packs import parse
    from omega_core.format.rate_control import Rate, largest_cut

    rate = Rate(channels=channels, bpp=bpp, max_bytes=max_bytes)
    if rate == Rate():
        raise RateError("truncate to what? Give --channels, --bpp or --max-bytes.")
    existing = Existing.of(overwrite, skip_existing)
    target = output.file("stdin.omega" if file == STANDARD_INPUT else file.name)
    if existing.keeps(target):
        return
    data = bytes_of(standard_input() if file == STANDARD_INPUT else file)
    whole = parse(data)
    cut = largest_cut(whole, channels=channels, max_bytes=rate.budget(whole.pixels))
    result = whole.truncated(cut).to_bytes()
    write_output(target, result, existing)
    if quiet or output.is_standard_output:
        return
    nearest = "" if channels in (None, cut) else f", the nearest cut below {channels}"
    say(f"{cut} of {whole.channels} channels{nearest}: {len(data)} → {len(result)} bytes")
