"""`omega truncate`: an `.omega` file made smaller, without model or torch."""

from pathlib import Path
from typing import Annotated

import typer

from omega_cli.messages import say
from omega_cli.options import Quiet
from omega_core.errors import RateError


def truncate(
    file: Annotated[Path, typer.Argument(help="An .omega file.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="The file to write.")],
    channels: Annotated[int | None, typer.Option(help="Channels to keep.")] = None,
    bpp: Annotated[float | None, typer.Option(help="Largest rate of the result, in bits per pixel.")] = None,
    max_bytes: Annotated[int | None, typer.Option(help="Largest size of the result, in bytes.")] = None,
    quiet: Quiet = False,
) -> None:
    """Shorten an .omega file to one of its cuts, without its model."""
    from omega_core.file_io import read_whole, write_whole
    from omega_core.format.packs import parse
    from omega_core.format.rate_control import Rate, largest_cut

    rate = Rate(channels=channels, bpp=bpp, max_bytes=max_bytes)
    if rate == Rate():
        raise RateError("truncate to what? Give --channels, --bpp or --max-bytes.")
    data = read_whole(file)
    whole = parse(data)
    cut = largest_cut(whole, channels=channels, max_bytes=rate.budget(whole.pixels))
    result = whole.truncated(cut).to_bytes()
    write_whole(output, result)
    if quiet:
        return
    nearest = "" if channels in (None, cut) else f", the nearest cut below {channels}"
    say(f"{cut} of {whole.channels} channels{nearest}: {len(data)} → {len(result)} bytes")
