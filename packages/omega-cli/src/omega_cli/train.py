"""`omega train`: from a recipe to a model."""

from pathlib import Path
from typing import Annotated

import typer

from omega_cli.evaluate import evaluate_on
from omega_cli.jobs import files
from omega_cli.options import omega_train_for
from omega_core.errors import OmegaError
from omega_core.processes import rank


def train(
    recipe: Annotated[str, typer.Argument(help="A shipped recipe, or a TOML file.")],
    data: Annotated[Path | None, typer.Option(help="The folder of the pictures to train on.")] = None,
    output: Annotated[Path | None, typer.Option(help="The run folder; runs/RECIPE if not given.")] = None,
    description: Annotated[str | None, typer.Option(help="What the model file says about itself.")] = None,
    test_images: Annotated[
        list[Path] | None, typer.Option(help="A folder of pictures to evaluate on at the end; or several.")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run in the folder.")] = False,
    architecture: Annotated[str | None, typer.Option(help="See `omega list architecture`.")] = None,
    quantizer: Annotated[str | None, typer.Option(help="See `omega list quantizer`.")] = None,
    prior: Annotated[str | None, typer.Option(help="See `omega list prior`.")] = None,
    trainer: Annotated[str | None, typer.Option(help="See `omega list trainer`.")] = None,
    latent_channels: Annotated[int | None, typer.Option(help="D, channels of the latent.")] = None,
    channels: Annotated[str | None, typer.Option(help="C, or C_min:C for a model of many rates.")] = None,
    symbols: Annotated[int | None, typer.Option(help="S, the alphabet of each channel.")] = None,
    weight: Annotated[str | None, typer.Option("--lambda", help="λ, or λ_min:λ_max: the weight of quality.")] = None,
    epochs: Annotated[int | None, typer.Option(help="How long, in passes over the data.")] = None,
    steps: Annotated[int | None, typer.Option(help="How long, in batches.")] = None,
    batch_size: Annotated[int | None, typer.Option(help="Pictures a step, for each process.")] = None,
    learning_rate: Annotated[float | None, typer.Option(help="Of Adam.")] = None,
    seed: Annotated[int | None, typer.Option(help="What everything random follows from.")] = None,
    accelerator: Annotated[str, typer.Option(help="cpu, gpu or another of Lightning's.")] = "auto",
    devices: Annotated[str, typer.Option(help="How many, or which.")] = "auto",
    nodes: Annotated[int, typer.Option(help="How many machines.")] = 1,
    precision: Annotated[str, typer.Option(help="32-true, bf16-mixed or another of Lightning's.")] = "32-true",
    compiled: Annotated[bool, typer.Option("--compile", help="Let torch.compile make training quicker.")] = False,
    workers: Annotated[
        int | None, typer.Option(help="Processes that read pictures; up to 8 a GPU if not given.")
    ] = None,
) -> None:
    """Train a model by a recipe, which flags override."""
    from omega_core.images import is_picture_name

    with omega_train_for("training"):
        import omega_train
    folders = {f"test-{images.resolve().name}": images for images in test_images or ()}
    if len(folders) < len(test_images or ()):
        raise OmegaError("two folders of --test-images have one name: their results would replace each other.")
    for images in folders.values():
        files(images, is_picture_name)  # an error now rather than after the training
    chosen = omega_train.load_recipe(
        recipe,
        {
            "description": description,
            "architecture": architecture,
            "quantizer": quantizer,
            "prior": prior,
            "trainer": trainer,
            "latent-channels": latent_channels,
            "channels": channels,
            "symbols": symbols,
            "lambda": weight,
            "epochs": epochs,
            "steps": steps,
            "batch-size": batch_size,
            "learning-rate": learning_rate,
            "seed": seed,
        },
    )
    first = rank() == 0  # Lightning forgets it when it is done
    model = omega_train.train(
        chosen,
        output or Path("runs") / chosen.name,
        data=data,
        resume=resume,
        accelerator=accelerator,
        devices=devices,
        nodes=nodes,
        precision=precision,
        compiled=compiled,
        workers=workers,
    )
    if first:
        typer.echo(str(model))
        for folder, images in folders.items():
            evaluate_on(images, model.parent / folder, [str(model)])
