"""`omega export`: from a run as it stands to a model."""

from pathlib import Path
from typing import Annotated

import typer

from omega_cli.logs import show
from omega_cli.messages import say
from omega_cli.options import Overwrite, Quiet, SkipExisting, Verbose, omega_train_for
from omega_cli.output_files import Existing, local_output_option
from omega_core.places import local_path


def export(
    run: Annotated[
        Path, typer.Argument(parser=local_path, metavar="RUN", help="The folder of a run, which may be going on.")
    ],
    output: Annotated[Path, local_output_option("The model file to write.")],
    data: Annotated[
        list[str] | None,
        typer.Option(metavar="PATH[=SHARE]", help="The folder of the pictures that it trains on; or several."),
    ] = None,
    overwrite: Overwrite = False,
    skip_existing: SkipExisting = False,
    device: Annotated[str, typer.Option(help="What computes: cpu, cuda or another of torch.")] = "cpu",
    workers: Annotated[int, typer.Option(help="Processes that read pictures.", min=0)] = 0,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Make a model of a run as it stands, without ending or disturbing it."""
    show(quiet=quiet, verbose=verbose)
    if Existing.of(overwrite, skip_existing).keeps(output):
        return
    with omega_train_for("a model of a run"):
        import omega_train
        from omega_train.data.folder_shares import folder_and_share
    pictures = [folder_and_share(text) for text in data] if data else None
    path = omega_train.export_run(run, output, data=pictures, overwrite=overwrite, device=device, workers=workers)
    if not quiet:
        say(str(path))
