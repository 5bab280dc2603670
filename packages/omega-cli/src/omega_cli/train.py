"""`omega train`: trains a model according to a recipe."""

from pathlib import Path
from typing import Annotated, Any

import typer

from omega_cli import completions
from omega_cli.account import Account
from omega_cli.evaluate import evaluate_on
from omega_cli.input_files import find_files
from omega_cli.logs import show
from omega_cli.messages import say
from omega_cli.options import ComponentOptions, Quiet, Verbose, omega_train_for, parsed_options
from omega_cli.output_files import local_output_option
from omega_core.errors import OmegaError
from omega_core.locations import local_path
from omega_core.processes import launch_rank


def _component(kind: str) -> Any:
    return typer.Option(
        metavar="NAME", autocompletion=completions.components(kind), help=f"The {kind}, see `omega list {kind}`."
    )


def train(
    recipe: Annotated[
        str,
        typer.Argument(
            metavar="RECIPE",
            autocompletion=completions.recipes,
            help="The name of a recipe (see `omega models --recipes`), or a TOML file.",
        ),
    ],
    data: Annotated[
        list[str] | None,
        typer.Option(
            metavar="PATH[=SHARE]",
            help="Folder of training pictures. May be repeated; =SHARE sets the weight of a folder.",
        ),
    ] = None,
    output: Annotated[
        Path | None,
        local_output_option("The run folder. Default: runs/RECIPE."),
    ] = None,
    description: Annotated[
        str | None, typer.Option(metavar="TEXT", help="A description, stored in the model file.")
    ] = None,
    test_images: Annotated[
        list[Path] | None,
        typer.Option(
            parser=local_path,
            metavar="PATH",
            help="Folder of pictures to evaluate the trained model on. May be repeated.",
        ),
    ] = None,
    show_recipe: Annotated[
        bool, typer.Option("--show-recipe", help="Print the recipe with these options as TOML, without training.")
    ] = False,
    resume: Annotated[bool, typer.Option("--resume", help="Continue the run in the output folder.")] = False,
    init: Annotated[
        str | None,
        typer.Option(
            metavar="MODEL",
            autocompletion=completions.models,
            help="Start from the weights of a model or run folder. Weights whose names or shapes differ are left out.",
        ),
    ] = None,
    architecture: Annotated[str | None, _component("architecture")] = None,
    quantizer: Annotated[str | None, _component("quantizer")] = None,
    prior: Annotated[str | None, _component("prior")] = None,
    coder: Annotated[str | None, _component("coder")] = None,
    dataset: Annotated[str | None, _component("dataset")] = None,
    trainer: Annotated[str | None, _component("trainer")] = None,
    architecture_option: ComponentOptions = None,
    quantizer_option: ComponentOptions = None,
    prior_option: ComponentOptions = None,
    dataset_option: ComponentOptions = None,
    trainer_option: ComponentOptions = None,
    latent_channels: Annotated[int | None, typer.Option(metavar="D", help="Number of latent channels.")] = None,
    channels: Annotated[
        str | None,
        typer.Option(metavar="C|C_MIN:C", help="Number of channels, or a range such as 0:16 for 1 to 16."),
    ] = None,
    alphabet: Annotated[int | None, typer.Option(metavar="S", help="Number of symbols of each channel.")] = None,
    lambda_: Annotated[
        str | None,
        typer.Option(
            "--lambda", metavar="λ|λ_MIN:λ_MAX", help="Weight of the distortion, or its range over the rates."
        ),
    ] = None,
    epochs: Annotated[
        int | None, typer.Option(metavar="COUNT", help="Length of the run, in passes over the data.")
    ] = None,
    steps: Annotated[
        int | None, typer.Option(metavar="COUNT", help="Length of the run, in steps of one batch.")
    ] = None,
    batch_size: Annotated[int | None, typer.Option(metavar="COUNT", help="Pictures per step and process.")] = None,
    learning_rate: Annotated[float | None, typer.Option(metavar="RATE", help="Learning rate of Adam.")] = None,
    optimizer: Annotated[
        str | None,
        typer.Option(metavar="adam|muon", help="muon trains matrices by Muon and all other weights by Adam."),
    ] = None,
    matrix_learning_rate: Annotated[float | None, typer.Option(metavar="RATE", help="Learning rate of Muon.")] = None,
    seed: Annotated[int | None, typer.Option(metavar="SEED", help="Seed of all random numbers.")] = None,
    accelerator: Annotated[
        str | None, typer.Option(metavar="NAME", help="Lightning accelerator, such as cpu or gpu. Default: auto.")
    ] = None,
    devices: Annotated[
        str | None,
        typer.Option(metavar="DEVICES", help="Number of devices, or comma-separated indices. Default: all."),
    ] = None,
    nodes: Annotated[int | None, typer.Option(metavar="COUNT", help="Number of machines. Default: 1.")] = None,
    precision: Annotated[
        str | None,
        typer.Option(metavar="PRECISION", help="Lightning precision, such as bf16-mixed. Default: 32-true."),
    ] = None,
    compiled: Annotated[bool, typer.Option("--compile", help="Compile the codec with torch.compile.")] = False,
    workers: Annotated[
        int | None,
        typer.Option(metavar="COUNT", help="Processes that read pictures. Default: up to 8 per GPU, none on the CPU."),
    ] = None,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Train a model according to a recipe. Options override the settings of the recipe."""
    show(quiet=quiet, verbose=verbose)
    from omega_core.images.reading import is_picture_file

    with omega_train_for("training"):
        import omega_train
        from omega_train.data.folder_shares import folder_and_share
    folders = {f"test-{images.resolve().name}": images for images in test_images or ()}
    if len(folders) < len(test_images or ()):
        raise OmegaError(
            "two folders of --test-images have the same name: rename one, as results are named after folders."
        )
    for images in folders.values():
        if not find_files([images], is_picture_file, Account()):  # an error before the training, not after it
            raise typer.Exit(2)
    pictures = [folder_and_share(text) for text in data] if data else None
    changes: dict[str, Any] = {
        "description": description,
        "architecture": architecture,
        "quantizer": quantizer,
        "prior": prior,
        "coder": coder,
        "dataset": dataset,
        "trainer": trainer,
        "latent-channels": latent_channels,
        "channels": channels,
        "alphabet": alphabet,
        "lambda": lambda_,
        "epochs": epochs,
        "steps": steps,
        "batch-size": batch_size,
        "learning-rate": learning_rate,
        "optimizer": optimizer,
        "matrix-learning-rate": matrix_learning_rate,
        "seed": seed,
    }
    chosen = omega_train.load_recipe(recipe, changes)
    for kind, texts in {
        "architecture": architecture_option,
        "quantizer": quantizer_option,
        "prior": prior_option,
        "dataset": dataset_option,
        "trainer": trainer_option,
    }.items():
        changes[f"{kind}-options"] = parsed_options(kind, getattr(chosen, kind), texts)
    machine = {
        "accelerator": accelerator,
        "devices": devices,
        "nodes": nodes,
        "precision": precision,
        "compiled": compiled or None,
        "workers": workers,
    }
    first = launch_rank() == 0  # unknown after the training, as Lightning resets it
    chosen = omega_train.load_recipe(recipe, changes)
    if show_recipe:
        say(chosen.to_toml().rstrip())
        return
    model = omega_train.train(
        chosen,
        output or Path("runs") / chosen.name,
        data=pictures,
        resume=resume,
        init=init,
        **{option: value for option, value in machine.items() if value is not None},
    )
    if first:
        if not quiet:
            say(str(model))
        failed = False
        for folder, images in folders.items():
            measured = model.parent / folder  # may exist from a run with fewer steps
            failed |= bool(evaluate_on(images, measured, [str(model)], overwrite=True, quiet=quiet).failed)
        if failed:
            raise typer.Exit(1)
