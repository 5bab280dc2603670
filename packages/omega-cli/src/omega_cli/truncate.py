"""`omega truncate`: an `.omega` file made smaller, without model or torch."""

from pathlib import Path
from typing import Annotated

import typer

from omega_core.errors import RateError


def truncate(
    file: Annotated[Path, typer.Argument(help="An .omega file.")],
    output: Annotated[Path, typer.Option(help="The file to write.")],
    channels: Annotated[int | None, typer.Option(help="How many channels to keep.")] = None,
    bpp: Annotated[float | None, typer.Option(help="Bits per pixel that it takes at most.")] = None,
    max_bytes: Annotated[int | None, typer.Option(help="Bytes that it takes at most.")] = None,
) -> None:
    """Shorten an .omega file to one of its cuts: a whole file again."""
    from omega_core.files import read_whole, write_whole
    from omega_core.format.pack import parse
    from omega_core.format.rates import Rate, largest_cut

    rate = Rate(channels=channels, bpp=bpp, max_bytes=max_bytes)
    if rate == Rate():
        raise RateError("truncate to what? Give --channels, --bpp or --max-bytes.")
    data = read_whole(file)
    whole = parse(data)
    cut = largest_cut(whole, channels=channels, max_bytes=rate.budget(whole.pixels))
    result = whole.truncated(cut).to_bytes()
    write_whole(output, result)
    nearest = "" if channels in (None, cut) else f", the nearest cut below {channels}"
    typer.echo(f"{cut} of {whole.channels} channels{nearest}: {len(data)} → {len(result)} bytes")
