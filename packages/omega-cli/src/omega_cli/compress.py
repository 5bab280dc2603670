"""`omega compress`: pictures to `.omega` files."""

from pathlib import Path
from typing import Annotated

import typer

from omega_cli.jobs import carry_out, exit_status, find_jobs
from omega_core.errors import OmegaError

NO_MODEL = "no model: name the .safetensors file of one with --model."


def compress(
    inputs: Annotated[list[Path], typer.Argument(metavar="INPUT...", help="Pictures, or folders of them.")],
    output: Annotated[Path, typer.Option(help="The folder for the .omega files.")],
    model: Annotated[str | None, typer.Option(help="A model file that `omega train` wrote.")] = None,
    coder: Annotated[str | None, typer.Option(help="An entropy coder other than the model's own.")] = None,
    channels: Annotated[int | None, typer.Option(help="How many channels to keep: fewer make it smaller.")] = None,
    fraction: Annotated[float | None, typer.Option(help="Which share of the channels to keep.")] = None,
    bpp: Annotated[float | None, typer.Option(help="Bits per pixel that each file takes at most.")] = None,
    max_bytes: Annotated[int | None, typer.Option(help="Bytes that each file takes at most.")] = None,
    psnr: Annotated[float | None, typer.Option(help="Quality in dB that each picture reaches at least.")] = None,
) -> None:
    """Compress pictures to .omega files."""
    if model is None:
        raise OmegaError(NO_MODEL)
    from omega_core.images import is_picture_name

    work = find_jobs(inputs, output, ".omega", is_picture_name)
    from omega_core.container import pack
    from omega_core.model import load_model
    from omega_core.rates import Rate

    rate = Rate(channels=channels, fraction=fraction, bpp=bpp, max_bytes=max_bytes, psnr=psnr)
    codec = load_model(model)
    codec.check_rate(rate)
    codec.check_coder(coder)
    before = after = pixels = 0

    def make(source: Path) -> bytes:
        nonlocal before, after, pixels
        container = codec.fit(source, rate, coder=coder)
        data = pack(container)
        before += source.stat().st_size
        after += len(data)
        pixels += container.height * container.width
        return data

    failed = carry_out(work, "picture", make)
    if pixels:
        typer.echo(f"{len(work) - failed} pictures, {before} → {after} bytes, {8 * after / pixels:.4f} bpp")
    exit_status(failed, len(work))
