"""`omega decompress`: `.omega` files to pictures."""

from pathlib import Path
from typing import Annotated

import typer

from omega_cli.compress import NO_MODEL
from omega_cli.jobs import carry_out, exit_status, find_jobs
from omega_core.errors import OmegaError


def decompress(
    inputs: Annotated[list[Path], typer.Argument(metavar="INPUT...", help=".omega files, or folders of them.")],
    output: Annotated[Path, typer.Option(help="The folder for the pictures, as PNG.")],
    model: Annotated[str | None, typer.Option(help="The model that the files were made with.")] = None,
    partial: Annotated[bool, typer.Option("--partial", help="Take what is intact of files that break off.")] = False,
) -> None:
    """Decompress .omega files to PNG pictures."""
    work = find_jobs(inputs, output, ".png", lambda path: path.suffix == ".omega")
    if model is None:
        raise OmegaError(NO_MODEL)
    from omega_core.files import read_whole
    from omega_core.images import png
    from omega_core.model import load_model

    codec = load_model(model)
    failed = carry_out(work, "file", lambda source: png(codec.decompress(read_whole(source), partial=partial)))
    if failed < len(work):
        typer.echo(f"{len(work) - failed} pictures in {output}")
    exit_status(failed, len(work))
