"""`omega export`: writes a model from the last checkpoint of a run."""

from pathlib import Path
from typing import Annotated

import typer

from omega_cli.logs import show
from omega_cli.messages import say
from omega_cli.options import Overwrite, Quiet, SkipExisting, Verbose, omega_train_for
from omega_cli.output_files import Existing, local_output_option
from omega_core.locations import local_path


def export(
    run: Annotated[
        Path, typer.Argument(parser=local_path, metavar="RUN", help="A run folder; the run may still be training.")
    ],
    output: Annotated[Path, local_output_option("The model file to write.")],
    data: Annotated[
        list[str] | None,
        typer.Option(metavar="PATH[=SHARE]", help="Folder of the training pictures of the run. May be repeated."),
    ] = None,
    overwrite: Overwrite = False,
    skip_existing: SkipExisting = False,
    device: Annotated[str, typer.Option(metavar="DEVICE", help="PyTorch device, such as cpu or cuda.")] = "cpu",
    workers: Annotated[int, typer.Option(metavar="COUNT", help="Processes that read pictures.", min=0)] = 0,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Write a model from the last checkpoint of a run, without stopping the run."""
    show(quiet=quiet, verbose=verbose)
    if Existing.of(overwrite, skip_existing).keeps(output):
        return
    with omega_train_for("export of a run"):
        import omega_train
        from omega_train.data.folder_shares import folder_and_share
    pictures = [folder_and_share(text) for text in data] if data else None
    path = omega_train.export_run(run, output, data=pictures, overwrite=overwrite, device=device, workers=workers)
    if not quiet:
        say(str(path))
