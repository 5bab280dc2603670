"""`omega train`: trains a model by a recipe."""

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
from omega_core.places import local_path
from omega_core.processes import launch_rank


def _component(kind: str) -> Any:
    return typer.Option(autocompletion=completions.components(kind), help=f"See `omega list {kind}`.")


def train(
    recipe: Annotated[
        str, typer.Argument(autocompletion=completions.recipes, help="The name of a recipe, or a TOML file.")
    ],
    data: Annotated[
        list[str] | None,
        typer.Option(
            metavar="PATH[=SHARE]",
            help="The folder of the pictures to train on; or several, each with its share of the samples.",
        ),
    ] = None,
    output: Annotated[
        Path | None,
        local_output_option("The run folder; runs/RECIPE if not given."),
    ] = None,
    description: Annotated[str | None, typer.Option(help="A description, stored in the model file.")] = None,
    test_images: Annotated[
        list[Path] | None,
        typer.Option(
            parser=local_path, metavar="PATH", help="A folder of pictures to evaluate on at the end; or several."
        ),
    ] = None,
    show_recipe: Annotated[
        bool, typer.Option("--show-recipe", help="Print the recipe as TOML, with these options, and do not train.")
    ] = False,
    resume: Annotated[bool, typer.Option("--resume", help="Resume the run in the folder.")] = False,
    init: Annotated[
        str | None,
        typer.Option(
            autocompletion=completions.models,
            help="Initialize from a model, by its path or name, or a run folder: all arrays that fit.",
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
    latent_channels: Annotated[int | None, typer.Option(help="D, channels of the latent.")] = None,
    channels: Annotated[str | None, typer.Option(help="C, or C_min:C for a model of many rates.")] = None,
    alphabet: Annotated[int | None, typer.Option(help="S, the number of symbols of each channel.")] = None,
    lambda_: Annotated[
        str | None, typer.Option("--lambda", help="λ, the weight of the distortion; or λ_min:λ_max.")
    ] = None,
    epochs: Annotated[int | None, typer.Option(help="The length of the run, in passes over the data.")] = None,
    steps: Annotated[int | None, typer.Option(help="The length of the run, in steps of one batch.")] = None,
    batch_size: Annotated[int | None, typer.Option(help="Pictures in the batch of each process.")] = None,
    learning_rate: Annotated[float | None, typer.Option(help="The learning rate of Adam.")] = None,
    optimizer: Annotated[str | None, typer.Option(help="adam, or muon for weights that are matrices.")] = None,
    matrix_learning_rate: Annotated[float | None, typer.Option(help="The learning rate of Muon.")] = None,
    seed: Annotated[int | None, typer.Option(help="The seed of all random numbers.")] = None,
    accelerator: Annotated[
        str | None, typer.Option(help="cpu, gpu or another of Lightning's; the best there is if not given.")
    ] = None,
    devices: Annotated[str | None, typer.Option(help="The number of devices, or which; all if not given.")] = None,
    nodes: Annotated[int | None, typer.Option(help="The number of machines; 1 if not given.")] = None,
    precision: Annotated[
        str | None, typer.Option(help="bf16-mixed or another of Lightning's; 32-true if not given.")
    ] = None,
    compiled: Annotated[bool, typer.Option("--compile", help="Compile the codec with torch.compile.")] = False,
    workers: Annotated[
        int | None, typer.Option(help="Processes that read pictures; up to 8 a GPU if not given.")
    ] = None,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Train a model by a recipe; options override its settings."""
    show(quiet=quiet, verbose=verbose)
    from omega_core.images.reading import is_picture_file

    with omega_train_for("training"):
        import omega_train
        from omega_train.data.folder_shares import folder_and_share
    folders = {f"test-{images.resolve().name}": images for images in test_images or ()}
    if len(folders) < len(test_images or ()):
        raise OmegaError("two folders of --test-images have one name: their results would replace each other.")
    for images in folders.values():
        if not find_files([images], is_picture_file, Account()):  # an error now rather than after the training
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
    first = launch_rank() == 0  # Lightning forgets it when it is done
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
            measured = model.parent / folder  # perhaps of fewer steps
            failed |= bool(evaluate_on(images, measured, [str(model)], overwrite=True, quiet=quiet).failed)
        if failed:
            raise typer.Exit(1)
